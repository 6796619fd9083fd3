"""Our verifier's verdicts beside Linux's, program by program.

    python -m benchmarks.verdicts [-o TABLE.md] [--linux KEPT.json] [--match TEXT] FILE|DIRECTORY...

Every program of every object is resolved against this machine's kernel; Linux is asked by BPF_PROG_LOAD (nothing is
attached), our verifier is asked in this process and timed.  Programs that Linux refuses for other reasons than its
verifier's (privileges, missing targets) are counted apart.  `--linux` keeps Linux's answers, which take longest.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import signal
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks.objects import _with_sizes, objects_in, pin_directory
from stingless import StinglessError, load, open_object
from stingless._gen.helpers import Helper
from stingless.embedded.verifier.verify import verify
from stingless.errors import VerifierError
from stingless.frozen import replace
from stingless.linux.kernel import LinuxKernel
from stingless.obj.resolve import resolve
from stingless.obj.spec import ObjectSpec
from stingless.target.running import RunningKernel

HELPERS = frozenset(int(each) for each in Helper if each)


def linux_verdicts(path: Path, pins: Path) -> dict[str, str]:
    """Of each program "ok", "verifier: " and its last words, or "other: " and why Linux did not look at it."""
    try:
        spec = _with_sizes(open_object(path))
    except ValueError as error:
        return {"": f"other: {error}".splitlines()[0]}
    return {name: _linux(spec, name, pins) for name in spec.programs}


def _linux(spec: ObjectSpec, name: str, pins: Path) -> str:
    with LinuxKernel() as kernel:
        try:
            load(spec, kernel=kernel, pin_path=pins, programs=[name]).close()
        except VerifierError as error:
            return f"verifier: {_last(error.log)}"
        except (StinglessError, OSError, ValueError) as error:
            return f"other: {type(error).__name__}: {error}".splitlines()[0]
        finally:
            for pinned in pins.iterdir():
                pinned.unlink()
    return "ok"


def _last(log: str) -> str:
    lines = [
        line
        for line in log.splitlines()
        if line and not re.match(r"processed \d|verification time|stack depth|\d+: |from \d|mark_prec|;", line)
    ]
    return lines[-1] if lines else "?"


class _TooLongError(BaseException):
    pass


def _too_long(*_: object) -> None:
    raise _TooLongError


def our_verdicts(path: Path, target: RunningKernel, match: str, limit: float) -> Iterator[tuple[str, str, float, int]]:
    """Of each program its name, "ok" or the last words, seconds, and instructions followed."""
    try:
        spec = _with_sizes(open_object(path))
    except ValueError:
        return
    btf = target.btf
    assert btf is not None
    for name in spec.programs:
        if match not in f"{path}:{name}":
            continue
        try:
            alone = resolve(replace(spec, programs={name: replace(spec.programs[name], autoload=True)}), target)
        except (StinglessError, ValueError, OSError) as error:
            yield name, f"other: {error}".splitlines()[0], 0.0, 0
            continue
        start = time.perf_counter()
        count = 0
        signal.setitimer(signal.ITIMER_REAL, limit)
        try:
            count = verify(alone.programs[name], alone.maps, HELPERS, btf, linux=True).insns_processed
            said = "ok"
        except _TooLongError:
            said = f"no answer in {limit:g} s"
        except VerifierError as error:
            said = _last(error.log)
        except Exception as error:  # a bug of ours, which the table shows
            said = f"BUG {type(error).__name__}: {error}".splitlines()[0]
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        yield name, said, time.perf_counter() - start, count


def _kind(said: str) -> str:
    return re.sub(r"'[^']*'|\b0x[0-9a-f]+\b|#?-?\b\d+\b|\bR\d+\b", "…", said)[:110]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verdicts", description=__doc__.splitlines()[0])
    parser.add_argument("places", nargs="+", metavar="FILE|DIRECTORY")
    parser.add_argument("-o", "--output", type=Path, help="write each program's row")
    parser.add_argument("--linux", type=Path, default=None, help="keep, and take, Linux's answers here")
    parser.add_argument("--only-linux", action="store_true")
    parser.add_argument("--match", default="", help="only programs whose FILE:PROGRAM has this in it")
    parser.add_argument("-v", "--verbose", action="store_true", help="print each row when it is known")
    parser.add_argument("--limit", type=float, default=60, help="seconds for one program")
    options = parser.parse_args()
    signal.signal(signal.SIGALRM, _too_long)
    paths = objects_in(options.places)
    kept: dict[str, dict[str, str]] = {}
    if options.linux and options.linux.exists():
        kept = json.loads(options.linux.read_text())
    missing = [path for path in paths if str(path) not in kept]
    if missing:
        with pin_directory() as pins:
            for number, path in enumerate(missing):
                kept[str(path)] = linux_verdicts(path, pins)
                if options.linux and number % 20 == 0:
                    options.linux.write_text(json.dumps(kept))
        if options.linux:
            options.linux.write_text(json.dumps(kept))
    if options.only_linux:
        return
    target = RunningKernel()
    counts: Counter[str] = Counter()
    reasons: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], str] = {}
    times: list[float] = []
    rows = []
    for path in paths:
        for name, ours, seconds, processed in our_verdicts(path, target, options.match, options.limit):
            theirs = kept[str(path)].get(name, "other: not asked")
            if theirs.startswith("other: "):
                counts["not judged by Linux here, ours " + ("ok" if ours == "ok" else "no")] += 1
                kind = ("(not judged)", _kind(ours))
                if ours != "ok":
                    reasons[kind] += 1
                    examples.setdefault(kind, f"{path}:{name}")
            else:
                linux = theirs == "ok"
                counts[f"Linux {'ok' if linux else 'no'}, ours {'ok' if ours == 'ok' else 'no'}"] += 1
                if linux != (ours == "ok"):
                    kind = ("ok" if linux else _kind(theirs), _kind(ours))
                    reasons[kind] += 1
                    examples.setdefault(kind, f"{path}:{name}")
            times.append(seconds)
            row = f"{seconds * 1000:8.1f} ms {processed:7} {path}:{name}\n\t{theirs}\n\t{ours}"
            rows.append(row)
            if options.verbose:
                print(row, file=sys.stderr, flush=True)
    for what, count in counts.most_common():
        print(f"{count:6} {what}")
    if times:
        times.sort()
        print(
            f"ms: median {statistics.median(times) * 1000:.1f}, 99 % {times[int(len(times) * 0.99)] * 1000:.0f}, "
            f"longest {times[-1] * 1000:.0f}"
        )
    for kind, count in reasons.most_common(60):
        print(f"{count:5} Linux: {kind[0]} | ours: {kind[1]}\n        {examples[kind]}")
    if options.output:
        with contextlib.suppress(BrokenPipeError):
            options.output.write_text("\n".join(rows) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

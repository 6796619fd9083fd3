"""Which objects load: libbpf's verdict and ours for each, on this host and in a guest.

    python -m benchmarks.objects [-k KERNEL] [-o TABLE.md] FILE|DIRECTORY...

Nothing is attached.  libbpf is the one that `benchmarks.peers` finds.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.measure import BenchmarkError
from benchmarks.peers import build, libbpf_version
from stingless._gen.uapi import MapType
from stingless.obj.spec import ObjectSpec
from tests.vm.guest import GuestError
from tests.vm.missing import explain_missing
from tests.vm.run import run_guest

_T = MapType
_SIZED = (_T.HASH, _T.ARRAY, _T.PERCPU_HASH, _T.PERCPU_ARRAY, _T.LRU_HASH, _T.STACK_TRACE)


@dataclass(frozen=True)
class Verdict:
    """Of one loader on one object: of the whole ("ok" or the reason), and of each program loaded without the others."""

    whole: str
    programs: dict[str, str]

    @property
    def loaded(self) -> set[str]:
        return {name for name, verdict in self.programs.items() if verdict == "ok"}


Verdicts = dict[str, tuple[Verdict, Verdict]]
"""Object -> (libbpf's verdict, ours)."""


def objects_in(places: Iterable[str]) -> list[Path]:
    """The object files named, and those under the directories named."""
    found = []
    for place in map(Path, places):
        if place.is_dir():
            found += sorted(p for p in place.rglob("*") if p.suffix in (".o", ".elf"))
        else:
            found.append(place)
    return [path.resolve() for path in found]


def verdicts(peer: Path, paths: Sequence[Path]) -> Verdicts:
    """Ask both, here."""
    return {str(path): (_libbpf(peer, path), _ours(path)) for path in paths}


def _libbpf(peer: Path, path: Path) -> Verdict:
    def ask(verb: str) -> str:
        done = subprocess.run([peer, verb, path], capture_output=True, text=True, timeout=300)
        return done.stdout if done.returncode == 0 else f"died of {done.returncode}"

    rows = (line.partition("\t") for line in ask("programs").splitlines() if "\t" in line)
    return Verdict(ask("verdict").strip(), {name: verdict for name, _, verdict in rows if name})


def _ours(path: Path) -> Verdict:
    from stingless import open_object

    def attempt(source: ObjectSpec | Path, **options: Any) -> str:
        from stingless import StinglessError, load
        from stingless.linux.kernel import LinuxKernel

        with LinuxKernel() as kernel:
            try:
                load(source, kernel=kernel, **options).close()
            except (StinglessError, OSError) as error:
                return f"{type(error).__name__}: {error}".splitlines()[0]
            except Exception as error:  # of another kind: a bug, which the table shows
                return f"BUG {type(error).__name__}: {error}".splitlines()[0]
        return "ok"

    whole = attempt(path)
    try:
        spec = _with_sizes(open_object(path))
    except ValueError:  # which the verdict on the whole tells
        return Verdict(whole, {})
    return Verdict(whole, {name: attempt(spec, programs=[name]) for name in spec.programs})


def _with_sizes(spec: ObjectSpec) -> ObjectSpec:
    """Maps whose size the application sets before the load, as the peer sets them."""
    sized = {}
    for name, map in spec.maps.items():
        if map.type in _SIZED and map.max_entries == 0:
            map = replace(map, max_entries=1024)
        if map.type is MapType.STACK_TRACE and map.value_size == 0:
            map = replace(map, value_size=127 * 8)
        sized[name] = map
    return replace(spec, maps=sized)


def in_guest(kernel: str, peer: Path, paths: Sequence[Path]) -> Verdicts:
    """Ask both in a guest.  Raises `BenchmarkError`."""
    if (reason := explain_missing(kernel)) is not None:
        raise BenchmarkError(reason)
    environment = {"PYTHONPATH": path} if (path := os.environ.get("PYTHONPATH")) else {}
    argv = [sys.executable, "-m", "benchmarks.objects", "--here", str(peer), *map(str, paths)]
    try:
        done = run_guest(kernel, argv, cwd=Path(__file__).parent.parent, env=environment, timeout=1800)
    except GuestError as error:
        raise BenchmarkError(str(error)) from error
    if done.returncode:
        raise BenchmarkError(f"in the guest: {done.stderr.strip()}")
    answer = json.loads(done.stdout)
    return {path: (Verdict(**theirs), Verdict(**ours)) for path, (theirs, ours) in answer.items()}


def show(columns: dict[str, Verdicts]) -> str:
    """A table of all: for each loader the verdict on the whole object and how many of its programs load by themselves;
    what only one of them loads; and the sums."""
    heads = [f"{who} on {where}" for where in columns for who in ("libbpf", "stingless")]
    lines = [f"| object | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for path in next(iter(columns.values())):
        cells = [_cell(verdict) for found in columns.values() for verdict in found[path]]
        lines.append(f"| {_name(path)} | {' | '.join(cells)} |")
    for where, found in columns.items():
        lines += ["", *_differences(where, found)]
    return "\n".join(lines)


def _differences(where: str, found: Verdicts) -> list[str]:
    kinds = Counter((theirs.whole == "ok", ours.whole == "ok") for theirs, ours in found.values())
    shared = sum(len(theirs.loaded & ours.loaded) for theirs, ours in found.values())
    only_theirs = [line for path, (theirs, ours) in found.items() for line in _beyond(path, theirs, ours)]
    only_ours = [line for path, (theirs, ours) in found.items() for line in _beyond(path, ours, theirs)]
    by_theirs, by_ours = (
        sum(len(one.loaded - other.loaded) for one, other in pairs)
        for pairs in (found.values(), [(ours, theirs) for theirs, ours in found.values()])
    )
    return [
        f"{where}: {len(found)} objects; as a whole both load {kinds[True, True]}, "
        f"only stingless {kinds[False, True]}, only libbpf {kinds[True, False]}, neither {kinds[False, False]}.  "
        f"Programs by themselves: both load {shared}, only stingless {by_ours}, only libbpf {by_theirs}.",
        "",
        *(f"- only libbpf: {line}" for line in only_theirs),
        *(f"- only stingless: {line}" for line in only_ours),
    ]


def _beyond(path: str, one: Verdict, other: Verdict) -> list[str]:
    """What the other loader says of what the one loads beyond it; equal reasons together."""
    reasons: dict[str, list[str]] = {}
    for name in sorted(one.loaded - other.loaded):
        reasons.setdefault(_short(other.programs.get(name, other.whole)), []).append(name)
    return [f"{_name(path)} {', '.join(names)}: {reason}" for reason, names in reasons.items()]


def _name(path: str) -> str:
    return f"{Path(path).parent.name}/{Path(path).name}"


def _cell(verdict: Verdict) -> str:
    return f"{_short(verdict.whole)} ({len(verdict.loaded)} of {len(verdict.programs)})"


def _short(verdict: str) -> str:
    return re.sub(r"\s+", " ", verdict).replace("|", "\\|")[:120]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.objects", description=__doc__.splitlines()[0])
    parser.add_argument("places", nargs="+", metavar="FILE|DIRECTORY")
    parser.add_argument("-k", "--kernel", action="append", default=[], help="also in a guest with this kernel")
    parser.add_argument("-o", "--output", type=Path, help="write the table there instead of to standard output")
    parser.add_argument("--here", type=Path, help=argparse.SUPPRESS)  # in the guest: the peer's program; answers JSON
    options = parser.parse_args()
    paths = objects_in(options.places)
    if options.here:
        found = verdicts(options.here, paths)
        print(json.dumps({path: [asdict(verdict) for verdict in both] for path, both in found.items()}))
        return
    with tempfile.TemporaryDirectory() as directory:
        try:
            peer = build("load_object", Path(directory))
            columns = {f"Linux {os.uname().release.split('-')[0]}": verdicts(peer, paths)}
            for kernel in options.kernel:
                columns[f"guest {kernel}"] = in_guest(kernel, peer, paths)
        except BenchmarkError as error:
            sys.exit(str(error))
    text = f"libbpf {libbpf_version()}\n\n{show(columns)}\n"
    if options.output:
        options.output.write_text(text)
    else:
        print(text)


if __name__ == "__main__":
    main()

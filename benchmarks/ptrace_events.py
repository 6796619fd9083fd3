"""System calls a second under the ptrace source, next to strace."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.loop import build_loop
from benchmarks.measure import BenchmarkError, Spread, paired, ratio, table

COUNT = Path(__file__).parent / "programs" / "count_getppid.py"
STRACE = ["strace", "--seccomp-bpf", "-f", "-e", "trace=getppid", "-o", "/dev/null"]


@dataclass(frozen=True)
class Loop:
    """One run of the loop: nanoseconds of one call by the loop's own clock, and seconds of the whole command."""

    call_ns: float
    seconds: float


def report(pairs: int, calls: int) -> None:
    """Print tables: the loop alone, under our ptrace source and under strace; on one CPU, then on all."""
    if shutil.which("strace") is None:
        print("\nskipped: strace is not installed: apt-get install strace")
        return
    cpus = os.sched_getaffinity(0)
    with tempfile.TemporaryDirectory(prefix="stingless-bench-") as scratch:
        try:
            program = build_loop(Path(scratch))
            # On one CPU tracer and loop take turns without waking a CPU that sleeps, which in a virtual machine takes
            # many times as long as all the rest.
            for where, chosen in (("on one CPU", {max(cpus)}), ("on any CPU", cpus)):
                os.sched_setaffinity(0, chosen)
                print(_measure(program, pairs, calls, where), flush=True)
        except BenchmarkError as error:
            print(f"\nskipped: {error}", flush=True)
        finally:
            os.sched_setaffinity(0, cpus)


def _measure(program: Path, pairs: int, calls: int, where: str) -> str:
    untraced = 20 * calls  # these take well under a microsecond each
    traced = [str(program), str(calls), "getppid"]
    other = [str(program), str(untraced), "other"]
    run = [sys.executable, "-m", "stingless", "run"]
    ours = [*run, "--kernel", "embedded", str(COUNT)]
    subjects: dict[str, Callable[[], Loop]] = {
        "alone": partial(_loop, [str(program), str(untraced), "getppid"], untraced),
        "strace": partial(_loop, [*STRACE, *traced], calls),
        "entry": partial(_loop, [*ours, "--", *traced], calls, seen=[calls, 0]),
        "both": partial(_loop, [*ours, "return", "--", *traced], calls, seen=[calls, calls]),
        "other alone": partial(_loop, other, untraced),
        "other strace": partial(_loop, [*STRACE, *other], untraced),
        "other ours": partial(_loop, [*ours, "--", *other], untraced, seen=[0, 0]),
    }
    results = dict(zip(subjects, paired(pairs, *subjects.values()), strict=True))
    ns = {name: [one.call_ns for one in many] for name, many in results.items()}
    whole = {name: [one.seconds for one in many] for name, many in results.items()}
    rows = [
        _row("getppid, program at its entry, ns a call", ns, "alone", "entry", "strace"),
        _row("the same, thousand calls a second", ns, "alone", "entry", "strace", lambda call: 1e6 / call),
        _row("getppid, programs at entry and return, ns a call", ns, "alone", "both", "strace"),
        _row("getuid, not traced, ns a call", ns, "other alone", "other ours", "other strace"),
        [
            f"whole command of {calls} traced calls, ms",
            "",
            *(Spread.of(whole[name]).show(1000) for name in ("entry", "strace")),
            ratio(whole["strace"], whole["entry"]).show(digits=2),
        ],
    ]
    header = ["median (least to most)", "alone", "stingless", "strace", "strace / stingless"]
    return table(f"ptrace source, {where}, {pairs} pairs", header, rows)


def _row(
    title: str, ns: dict[str, list[float]], alone: str, ours: str, strace: str, shown: Callable[[float], float] = float
) -> list[str]:
    cells = [Spread.of(shown(call) for call in ns[name]).show() for name in (alone, ours, strace)]
    return [title, *cells, ratio(ns[strace], ns[ours]).show(digits=2)]


def _loop(argv: Sequence[str], calls: int, seen: Sequence[int] = ()) -> Loop:
    """`seen` are the entries and returns that the tracer must have counted."""
    begin = time.perf_counter()
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=600)
    seconds = time.perf_counter() - begin
    lines = done.stdout.split()
    if done.returncode or len(lines) != 1 + len(seen):
        raise BenchmarkError(f"{' '.join(argv)}: status {done.returncode}\n{done.stdout}{done.stderr.strip()}")
    if (counted := [int(word) for word in lines[1:]]) != list(seen):
        raise BenchmarkError(f"{' '.join(argv)}: counted {counted} entries and returns and not {list(seen)}")
    return Loop(int(lines[0]) / calls, seconds)

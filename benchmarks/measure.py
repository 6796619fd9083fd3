"""Starting programs and comparing what they cost.

Two things are compared run by run, A B A B: what else the machine does at that moment slows both of a pair.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

ATTACHED = "attached\n"


class BenchmarkError(RuntimeError):
    """Something cannot be measured here; the message says why and what to do."""


@dataclass(frozen=True)
class Start:
    """One run of a script until it says that it is attached."""

    seconds: float
    """From the process's start to the line."""
    cpu_seconds: float
    """User and system time of the process and of its children, its end included."""
    own_kib: int
    """The peak resident memory of the process itself (VmHWM), up to the line."""
    child_kib: int
    """The peak resident memory of its largest child (a compiler, say); 0 when it had none."""

    @property
    def together_kib(self) -> int:
        """The most that can have been resident at once: the process and its largest child.

        A child smaller than the process is left out: before its exec it is a copy of the process, and the kernel counts
        that as its peak.
        """
        return self.own_kib + self.child_kib if self.child_kib > self.own_kib else self.own_kib


def start(argv: Sequence[str], env: Mapping[str, str] | None = None) -> Start:
    """Run `argv` until it prints "attached", then close its standard input, which ends it; its last word is the peak
    memory of its children, in KiB.

    `env` is added to the environment, in which Python may keep its bytecode, as an installed package's is kept.  Raises
    `BenchmarkError` with what the process said when it fails.
    """
    with tempfile.TemporaryFile("w+") as said:
        begin = time.perf_counter()
        process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True, env=_environment(env)
        )
        assert process.stdin is not None
        assert process.stdout is not None
        line = process.stdout.readline()
        seconds = time.perf_counter() - begin
        own = _high_water(process.pid) if line == ATTACHED else 0
        process.stdin.close()
        last = process.stdout.read()
        process.stdout.close()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if line != ATTACHED or process.returncode:
            said.seek(0)
            raise BenchmarkError(f"{' '.join(argv)}: status {process.returncode}\n{said.read().strip()}")
        return Start(seconds, usage.ru_utime + usage.ru_stime, own, int(last))


def output(argv: Sequence[str], env: Mapping[str, str] | None = None) -> str:
    """What `argv` prints.  `env`: as for `start`.  Raises `BenchmarkError` with what the process said when it fails."""
    done = subprocess.run(argv, capture_output=True, text=True, env=_environment(env))
    if done.returncode:
        raise BenchmarkError(f"{' '.join(argv)}: status {done.returncode}\n{done.stderr.strip()}")
    return done.stdout


def _environment(added: Mapping[str, str] | None) -> dict[str, str]:
    """Ours, in which Python may keep its bytecode, as an installed package's is kept."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | dict(added or {})


def _high_water(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise BenchmarkError(f"/proc/{pid}/status has no VmHWM")


def paired(pairs: int, *subjects: Callable[[], T]) -> list[list[T]]:
    """Call the subjects in turn, `pairs` times, and once more before to fill caches.  A list of results each."""
    for subject in subjects:
        subject()
    rounds = [[subject() for subject in subjects] for _ in range(pairs)]
    return [list(results) for results in zip(*rounds, strict=True)]


@dataclass(frozen=True)
class Spread:
    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        known = list(values)
        return cls(statistics.median(known), min(known), max(known))

    def show(self, scale: float = 1.0, digits: int = 1) -> str:
        """ "12.3 (11.9 to 14.0)", each times `scale`."""
        median, least, most = (f"{value * scale:.{digits}f}" for value in (self.median, self.least, self.most))
        return f"{median} ({least} to {most})"


def ratio(theirs: Sequence[float], ours: Sequence[float]) -> Spread:
    """Theirs over ours, pair by pair: above 1 means that ours is faster or smaller."""
    return Spread.of(t / o for t, o in zip(theirs, ours, strict=True))


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table under a title."""
    lines = [header, ["---"] * len(header), *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    text = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    return "\n".join(["", f"### {title}", "", *text])

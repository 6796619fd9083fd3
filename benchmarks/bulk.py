"""Moving data: a hash of 100,000 entries and a ring buffer of 1,000,000 records, next to bcc and to libbpf in C."""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.headers import headers_for
from benchmarks.measure import BenchmarkError, Spread, output, paired, ratio, table
from benchmarks.peers import build, libbpf_version
from benchmarks.start import PROGRAMS, PYTHON, home, require_bcc

ENTRIES, RECORDS = 100_000, 1_000_000
ROUNDS = 5


@dataclass(frozen=True)
class Reading:
    """What one process told: the seconds of each time that it read, and the most KiB that it had resident."""

    seconds: tuple[float, ...]
    kib: int

    @classmethod
    def of(cls, text: str) -> Reading:
        *seconds, kib = text.split()
        return cls(tuple(map(float, seconds)), int(kib))

    @property
    def first(self) -> float:
        return self.seconds[0]

    @property
    def again(self) -> float:
        """When the memory that it reads to has been in use: from the third time on, since two arrays take turns."""
        return statistics.median(self.seconds[2:])


def report_hash(pairs: int, kernel: str) -> None:
    """Print a table of reading a whole hash."""
    _print(partial(_hash, pairs, kernel))


def report_ring(pairs: int, kernel: str) -> None:
    """Print tables of emptying a ring buffer, against bcc and against libbpf in C."""
    _print(partial(_ring, pairs, kernel))
    _print(partial(_ring_in_c, pairs))


def _print(measure: partial[str]) -> None:
    try:
        print(measure(), flush=True)
    except BenchmarkError as error:
        print(f"\nskipped: {error}", flush=True)


def _hash(pairs: int, kernel: str) -> str:
    with tempfile.TemporaryDirectory() as directory:
        path = _compiled("hash", directory)
        ours = {verb: _ours("hash", path, ENTRIES, verb) for verb in ("to_numpy", "items")}
        theirs = {verb: _bcc("hash", kernel, ENTRIES, verb) for verb in ("items", "items_lookup_batch")}
        to_numpy, items, slow, batch = paired(pairs, *ours.values(), *theirs.values())
    rows = [
        _row("to_numpy(), bcc's items()", to_numpy, slow),
        _row("to_numpy(), bcc's items_lookup_batch()", to_numpy, batch),
        _row("items(), bcc's items()", items, slow),
        _row("items(), bcc's items_lookup_batch()", items, batch),
    ]
    return _table(f"reading a hash of {ENTRIES:,} entries, {pairs} pairs", "bcc", rows)


def _ring(pairs: int, kernel: str) -> str:
    with tempfile.TemporaryDirectory() as directory:
        path = _compiled("ring", directory)
        ours = [_ours("ring", path, RECORDS, face, rounds) for face, rounds in _FACES.items()]
        *samples, bcc = paired(pairs, *ours, _bcc("ring", kernel, RECORDS))
    drain, _, lease, loop, callback = samples
    rows = [
        _row("drain(), first of a process", drain, bcc),
        _row("drain(), again", _again(drain), bcc),
        _row("lease() and sum, again", _again(lease), bcc),
        _row("for", loop, bcc),
        _row("callback", callback, bcc),
    ]
    title = f"{RECORDS:,} records of 48 bytes from a ring buffer, bcc's callback with event(), {pairs} pairs"
    return _table(title, "bcc", rows)


_FACES = {"drain": ROUNDS, "drain_sum": ROUNDS, "lease": ROUNDS, "for": 1, "callback": 1}


def _ring_in_c(pairs: int) -> str:
    with tempfile.TemporaryDirectory() as directory:
        path = _compiled("ring", directory)
        peer = partial(_reading, [str(build("drain_ring", Path(directory))), path, str(RECORDS), str(ROUNDS)])
        faces = ("drain", "drain_sum", "lease")
        *samples, libbpf = paired(pairs, *(_ours("ring", path, RECORDS, face, ROUNDS) for face in faces), peer)
    drain, drain_sum, lease = samples
    rows = [
        _row("drain(), first of a process", drain, libbpf),
        _row("drain(), again", _again(drain), _again(libbpf)),
        _row("drain() and sum, again", _again(drain_sum), _again(libbpf)),
        _row("lease() and sum, again", _again(lease), _again(libbpf)),
    ]
    title = f"the same, libbpf {libbpf_version()} in C with a callback that sums, {pairs} pairs"
    return _table(title, "libbpf", rows)


def _compiled(name: str, directory: str) -> str:
    from stingless.compile.plain import compile_file

    path = Path(directory) / f"{name}.bpf.o"
    path.write_bytes(compile_file(PROGRAMS / f"{name}.bpf.c"))
    return str(path)


def _ours(name: str, *arguments: object) -> partial[Reading]:
    path = os.pathsep.join(dict.fromkeys(home(package) for package in ("stingless", "numpy")))
    argv = [PYTHON, str(PROGRAMS / f"{name}_stingless.py"), *map(str, arguments)]
    return partial(_reading, argv, {"PYTHONPATH": path})


def _bcc(name: str, kernel: str, *arguments: object) -> partial[Reading]:
    require_bcc()
    _, headers = headers_for(kernel)
    argv = [PYTHON, str(PROGRAMS / f"{name}_bcc.py"), *map(str, arguments)]
    return partial(_reading, argv, {"BCC_KERNEL_SOURCE": str(headers)})


def _reading(argv: Sequence[str], env: Mapping[str, str] | None = None) -> Reading:
    return Reading.of(output(argv, env))


def _again(readings: Iterable[Reading]) -> list[Reading]:
    return [Reading((each.again,), each.kib) for each in readings]


def _row(name: str, ours: Sequence[Reading], theirs: Sequence[Reading]) -> list[str]:
    mine, peers = [each.first for each in ours], [each.first for each in theirs]
    memory = [f"{statistics.median(each.kib for each in of) / 1024:.0f}" for of in (ours, theirs)]
    return [
        name,
        Spread.of(mine).show(1000),
        Spread.of(peers).show(1000),
        ratio(peers, mine).show(digits=2),
        " / ".join(memory),
    ]


def _table(title: str, peer: str, rows: Sequence[Sequence[str]]) -> str:
    header = ["ms, median (least to most)", "stingless", peer, f"{peer} / stingless", "peak RSS of both, MiB"]
    return table(title, header, rows)

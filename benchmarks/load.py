"""Loading an object: against `bpftool prog loadall` as a whole process, and against libbpf within one."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from benchmarks.measure import BenchmarkError, Spread, output, paired, ratio, table
from benchmarks.peers import build, libbpf_version

HERE = Path(__file__).parent
TIMES = 20  # loads within one process
_OURS = "import sys; from stingless import load; load(sys.argv[1]).close()"
_OURS_TIMED = """
import sys, time
from stingless import load
for _ in range(int(sys.argv[2])):
    begin = time.perf_counter()
    load(sys.argv[1]).close()
    print(time.perf_counter() - begin)
"""


def report(pairs: int) -> None:
    """Print a table for an object of our own: CO-RE, six programs, maps of several types, global variables."""
    try:
        print(_measure(pairs), flush=True)
    except BenchmarkError as error:
        print(f"\nskipped: {error}", flush=True)


def _measure(pairs: int) -> str:
    from stingless.compile.plain import compile_file

    if shutil.which("bpftool") is None:
        raise BenchmarkError("bpftool is not installed: apt-get install bpftool")
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "object.bpf.o"
        path.write_bytes(compile_file(HERE / "programs/object.bpf.c"))
        peer = build("load_object", Path(directory))
        # A bpffs of its own in a mount namespace of its own: nothing stays pinned.
        mount = "mount -t bpf none /sys/fs/bpf && exec bpftool prog loadall"
        theirs = partial(_seconds, ["unshare", "-m", "sh", "-c", f"{mount} {path} /sys/fs/bpf/benchmark"])
        ours = partial(_seconds, [sys.executable, "-c", _OURS, str(path)])
        whole_theirs, whole_ours = paired(pairs, theirs, ours)
        inside_theirs, inside_ours = paired(
            max(pairs // 3, 1),
            partial(_median, [str(peer), "time", str(path), str(TIMES)]),
            partial(_median, [sys.executable, "-c", _OURS_TIMED, str(path), str(TIMES)]),
        )
        rows = [
            ["whole process, ms (bpftool)", *_row(whole_ours, whole_theirs)],
            [f"within one process, ms (libbpf {libbpf_version()} in C)", *_row(inside_ours, inside_theirs)],
        ]
        size = path.stat().st_size
    return table(
        f"loading an object of {size // 1024} KiB, {pairs} pairs",
        ["median (least to most)", "stingless", "peer", "peer / stingless"],
        rows,
    )


def _row(ours: list[float], theirs: list[float]) -> list[str]:
    return [Spread.of(ours).show(1000), Spread.of(theirs).show(1000), ratio(theirs, ours).show(digits=2)]


def _seconds(argv: list[str]) -> float:
    begin = time.perf_counter()
    output(argv)
    return time.perf_counter() - begin


def _median(argv: list[str]) -> float:
    return Spread.of(map(float, output(argv).split())).median

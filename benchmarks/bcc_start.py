"""Start to attached, and memory: five of bcc's own tools under stingless and under bcc, in a guest."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import asdict
from functools import partial
from pathlib import Path

from benchmarks.measure import BenchmarkError, Start, paired, start
from benchmarks.start import PROGRAMS, PYTHON, Samples, compare, home, in_guest, require_bcc

TOOLS = {
    "opensnoop": "/usr/sbin/opensnoop-bpfcc",
    "execsnoop": "/usr/sbin/execsnoop-bpfcc",
    "tcpconnect": "/usr/sbin/tcpconnect-bpfcc",
    "runqlat": "/usr/sbin/runqlat-bpfcc",
    "vfsstat": "/usr/sbin/vfsstat-bpfcc",
}


def report(pairs: int, kernel: str) -> None:
    """Measure each in a guest of its own, and print two tables a tool."""
    try:
        require_bcc()
        if absent := [path for path in TOOLS.values() if not Path(path).exists()]:
            raise BenchmarkError(f"no {absent[0]}: apt-get install bpfcc-tools")
    except BenchmarkError as error:
        print(f"\nskipped: {error}", flush=True)
        return
    for name in TOOLS:
        try:
            release, said = in_guest(kernel, "benchmarks.bcc_start", [str(pairs), name], timeout=600 + 300 * pairs)
        except BenchmarkError as error:
            print(f"\nskipped: {name}: {error}", flush=True)
            continue
        samples: Samples = {subject: [Start(**one) for one in many] for subject, many in said.items()}
        title = f"{name}, in the guest (Linux {release}, emulated), {pairs} pairs"
        print(compare(f"{title}, compiled at each start", samples["compiled"], samples["bcc"]), flush=True)
        print(compare(f"{title}, from the cache", samples["cached"], samples["bcc"]), flush=True)


def measure_tool(path: str, pairs: int, bcc_headers: str) -> Samples:
    """Run here, one after another: the tool compiled, from the cache, and under bcc."""
    script = str(PROGRAMS / "tool.py")
    ours = {"PYTHONPATH": os.pathsep.join(home(package) for package in ("stingless", "ziglang"))}
    with tempfile.TemporaryDirectory() as cache:
        subjects = {
            # Only objects are made anew: what is known of the kernel's types is kept, as of any other program's start.
            "compiled": partial(_compiled, [PYTHON, script, "stingless", path], ours, cache),
            "cached": partial(
                start, [PYTHON, script, "stingless", path], ours | {"STINGLESS_CACHE": f"{cache}/objects"}
            ),
            "bcc": partial(start, [PYTHON, script, "bcc", path], {"BCC_KERNEL_SOURCE": bcc_headers}),
        }
        return dict(zip(subjects, paired(pairs, *subjects.values()), strict=True))


def _compiled(argv: list[str], env: dict[str, str], cache: str) -> Start:
    directory = Path(cache, "compiled")
    for each in directory.glob("*"):
        if each.is_file():
            each.unlink()
    return start(argv, env | {"STINGLESS_CACHE": str(directory)})


def main(headers: str, pairs: str, name: str) -> None:
    """In the guest: measure one tool and tell the host."""
    samples = measure_tool(TOOLS[name], int(pairs), headers)
    print(json.dumps({subject: [asdict(one) for one in many] for subject, many in samples.items()}))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except BenchmarkError as error:
        sys.exit(str(error))

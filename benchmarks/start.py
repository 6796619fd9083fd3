"""Start to attached, and memory: hello under stingless and under bcc."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.headers import headers_for
from benchmarks.measure import BenchmarkError, Spread, Start, paired, ratio, start, table
from tests.vm.guest import GuestError
from tests.vm.missing import explain_missing
from tests.vm.run import run_guest

HERE = Path(__file__).parent
PROGRAMS = HERE / "programs"
PYTHON = "/usr/bin/python3"  # bcc is a package of Debian's own Python; ours runs under the same one

Samples = dict[str, list[Start]]


def report(pairs: int, guest_pairs: int, kernel: str) -> None:
    """Measure on this host, then in a guest, and print a table for each."""
    for measure in (partial(_on_host, pairs, kernel), partial(_in_guest, guest_pairs, kernel)):
        try:
            print(measure(), flush=True)
        except BenchmarkError as error:
            print(f"\nskipped: {error}", flush=True)


def measure_start(hook: str, pairs: int, bcc_headers: str) -> Samples:
    """Run here, one after another: Python alone, Python with our package imported, and the script under both."""
    hello, bare, bare_import = (str(PROGRAMS / name) for name in ("hello.py", "bare.py", "bare_import.py"))
    ours = {"PYTHONPATH": os.pathsep.join(home(package) for package in ("stingless", "ziglang"))}
    with tempfile.TemporaryDirectory() as cache:
        subjects = {
            "python": partial(start, [PYTHON, bare]),
            "import": partial(start, [PYTHON, bare_import], ours),
            "compiled": partial(start, [PYTHON, hello, "stingless", hook], ours | {"STINGLESS_CACHE": ""}),
            "cached": partial(
                start, [PYTHON, hello, "stingless", hook], ours | {"STINGLESS_CACHE": f"{cache}/objects"}
            ),
            "bcc": partial(start, [PYTHON, hello, "bcc", hook], {"BCC_KERNEL_SOURCE": bcc_headers}),
        }
        return dict(zip(subjects, paired(pairs, *subjects.values()), strict=True))


def home(package: str) -> str:
    """The directory that a package that we can import is in."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise BenchmarkError(f"{package} cannot be imported by {sys.executable}: pip install 'stingless[compile]'")
    return str(Path(spec.submodule_search_locations[0]).resolve().parent)


def _on_host(pairs: int, kernel: str) -> str:
    require_bcc()
    # There are no headers for every host's kernel; these do for a program that reads none of its structures.
    _, headers = headers_for(kernel)
    samples = measure_start("tracepoint", pairs, str(headers))
    return _show(f"hello on a tracepoint, on the host (Linux {os.uname().release}), {pairs} pairs", samples)


def _in_guest(pairs: int, kernel: str) -> str:
    require_bcc()
    release, said = in_guest(kernel, "benchmarks.start", ["kprobe", str(pairs)], timeout=120 + 120 * pairs)
    samples = {name: [Start(**one) for one in many] for name, many in said.items()}
    return _show(f"hello on a kprobe, in the guest (Linux {release}, emulated), {pairs} pairs", samples)


def in_guest(kernel: str, module: str, arguments: Sequence[str], timeout: float) -> tuple[str, Any]:
    """Run `python -m MODULE HEADERS ARGUMENT...` in a guest, where HEADERS is what bcc takes as the kernel's.  Returns
    the kernel's release, and the JSON that was printed.  Raises `BenchmarkError`."""
    if (reason := explain_missing(kernel)) is not None:
        raise BenchmarkError(reason)
    fetched, headers = headers_for(kernel)
    argv = [sys.executable, "-m", module, str(headers), *arguments]
    env = {"PYTHONPATH": path} if (path := os.environ.get("PYTHONPATH")) else {}
    try:
        done = run_guest(kernel, argv, cwd=HERE.parent, env=env, timeout=timeout)
    except GuestError as error:
        raise BenchmarkError(str(error)) from error
    if done.returncode:
        raise BenchmarkError(f"in the guest: {done.stderr.strip()}")
    return fetched.release, json.loads(done.stdout)


def require_bcc() -> None:
    test = "import sys, bcc; assert sys.version_info >= (3, 11), 'stingless needs Python 3.11'"
    try:
        done = subprocess.run([PYTHON, "-c", test], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise BenchmarkError(f"bcc needs {PYTHON}: apt-get install python3-bpfcc") from None
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1]
        raise BenchmarkError(f"no bcc for {PYTHON} ({reason}): apt-get install python3-bpfcc")


def _show(title: str, samples: Samples) -> str:
    parts = [
        compare(f"{title}, compiled at each start", samples["compiled"], samples["bcc"]),
        compare(f"{title}, from the cache", samples["cached"], samples["bcc"]),
    ]
    bare = [s.seconds for s in samples["python"]]
    imported = [with_it.seconds - without for with_it, without in zip(samples["import"], bare, strict=True)]
    notes = [
        f"Python alone: {Spread.of(bare).show(1000)} ms",
        f"`import stingless` over that: {Spread.of(imported).show(1000)} ms",
    ]
    return "\n".join([*parts, "", *(f"- {note}" for note in notes)])


def compare(title: str, ours: list[Start], theirs: list[Start]) -> str:
    measures: dict[str, tuple[float, list[float], list[float]]] = {
        "start to attached, ms": (1000.0, [s.seconds for s in ours], [s.seconds for s in theirs]),
        "CPU time of the whole run, ms": (1000.0, [s.cpu_seconds for s in ours], [s.cpu_seconds for s in theirs]),
        "peak RSS of the script, MiB": (1 / 1024, [s.own_kib for s in ours], [s.own_kib for s in theirs]),
        "peak RSS with its compiler, MiB": (
            1 / 1024,
            [s.together_kib for s in ours],
            [s.together_kib for s in theirs],
        ),
    }
    rows = [
        [name, Spread.of(our).show(scale), Spread.of(their).show(scale), ratio(their, our).show(digits=2)]
        for name, (scale, our, their) in measures.items()
    ]
    return table(title, ["median (least to most)", "stingless", "bcc", "bcc / stingless"], rows)


def main(headers: str, hook: str, pairs: str) -> None:
    """In the guest: measure and tell the host."""
    samples = measure_start(hook, int(pairs), headers)
    print(json.dumps({name: [asdict(one) for one in many] for name, many in samples.items()}))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except BenchmarkError as error:
        sys.exit(str(error))

"""User probes a second under the ptrace source, next to gdb's breakpoints and ltrace."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.loop import SOURCE, TARGETS
from benchmarks.measure import BenchmarkError, Spread, paired, ratio, table
from stingless.compile.toolchain import find_compiler

COUNT = Path(__file__).parent / "programs" / "count_calls.py"
FUNCTION = "called"
# The loop calls a function instead of the kernel.
_CALLED = """
__attribute__((noinline, used)) long called(long a) { __asm__ volatile("" ::: "memory"); return a + 1; }
"""


def report(pairs: int, calls: int) -> None:
    """Print a table: ns a probed call, under each."""
    with tempfile.TemporaryDirectory(prefix="stingless-bench-") as scratch:
        cpus = os.sched_getaffinity(0)
        try:
            program = _build(Path(scratch))
            os.sched_setaffinity(0, {max(cpus)})
            print(_measure(program, Path(scratch), pairs, calls), flush=True)
        except BenchmarkError as error:
            print(f"\nskipped: {error}", flush=True)
        finally:
            os.sched_setaffinity(0, cpus)


def _build(directory: Path) -> Path:
    source, unlinked, program = (directory / name for name in ("calls.c", "calls.o", "calls"))
    text = SOURCE.replace("__attribute__((used)) void entry", _CALLED + "__attribute__((used)) void entry")
    source.write_text(text.replace("call(number, 0, 0, 0);\n\tlong taken", "number = called(number);\n\tlong taken"))
    compiler = find_compiler()
    if compiler.origin != "ziglang wheel":
        raise BenchmarkError("the loop is built with the ziglang wheel: pip install ziglang")
    target = TARGETS[platform.machine()]
    flags = ["-O1", "-g", "-ffreestanding", "-fno-stack-protector", "-nostdlibinc", "-w"]
    subprocess.run([*compiler.argv, "-target", target, *flags, "-c", str(source), "-o", str(unlinked)], check=True)
    subprocess.run([compiler.argv[0], "ld.lld", "-static", str(unlinked), "-o", str(program)], check=True)
    return program


def _measure(program: Path, scratch: Path, pairs: int, calls: int) -> str:
    run = [sys.executable, "-m", "stingless", "run", "--kernel", "embedded", str(COUNT)]
    loop = [str(program), str(calls), "getppid"]
    script = scratch / "gdb"
    # The fastest that gdb has: it counts by itself, without a command for each stop.
    script.write_text(f"set pagination off\nbreak {FUNCTION}\nignore 1 1000000000\nrun {calls} getppid\n")
    subjects = {
        "alone": partial(_call_ns, [str(program), str(2000 * calls), "getppid"], 2000 * calls),
        "entry": partial(_call_ns, [*run, str(program), FUNCTION, "--", *loop], calls, [calls, 0]),
    }
    if shutil.which("gdb"):
        subjects["gdb"] = partial(_call_ns, ["gdb", "-batch", "-nx", "-x", str(script), str(program)], calls)
    if shutil.which("ltrace") and shutil.which("cc"):
        library = _linked(scratch)  # ltrace sees calls of shared libraries, and their returns
        loop = [str(library), str(calls)]
        subjects["library"] = partial(_call_ns, [str(library), str(20 * calls)], 20 * calls)
        both = [*run, "c", "getppid", "return", "--", *loop]
        subjects["both"] = partial(_call_ns, both, calls, [calls, calls])
        subjects["ltrace"] = partial(_call_ns, ["ltrace", "-e", "getppid", "-o", "/dev/null", *loop], calls)
    found = dict(zip(subjects, paired(pairs, *subjects.values()), strict=True))
    rows = []
    for peer, alone, ours, what in (
        ("gdb", "alone", "entry", "a function's entry, ns a call; gdb"),
        ("ltrace", "library", "both", "getppid of libc, entry and return, ns a call; ltrace"),
    ):
        if peer in found:
            cells = [Spread.of(found[name]).show() for name in (alone, ours, peer)]
            rows.append([what, *cells, ratio(found[peer], found[ours]).show(digits=2)])
    header = ["median (least to most)", "alone", "stingless", "peer", "peer / stingless"]
    return table(f"user probes by ptrace, on one CPU, {pairs} pairs of {calls} calls", header, rows)


def _linked(directory: Path) -> Path:
    """A loop that calls the C library."""
    source, program = directory / "library.c", directory / "library"
    source.write_text(
        "#include <stdio.h>\n#include <stdlib.h>\n#include <time.h>\n#include <unistd.h>\n"
        "int main(int argc, char **argv) { struct timespec a, b; long calls = atol(argv[1]);"
        " clock_gettime(CLOCK_MONOTONIC, &a); for (long i = 0; i < calls; i++) getppid();"
        " clock_gettime(CLOCK_MONOTONIC, &b);"
        ' printf("%ld\\n", (b.tv_sec - a.tv_sec) * 1000000000 + b.tv_nsec - a.tv_nsec); }'
    )
    subprocess.run(["cc", "-O1", "-w", str(source), "-o", str(program)], check=True)
    return program


def _call_ns(argv: Sequence[str], calls: int, seen: Sequence[int] = ()) -> float:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=600)
    words = done.stdout.split()
    numbers = [int(word) for word in words if word.isdigit() and int(word) > 1000]
    if not numbers or (seen and [int(word) for word in words[-len(seen) :]] != list(seen)):
        raise BenchmarkError(f"{' '.join(argv)}: status {done.returncode}\n{done.stdout}{done.stderr.strip()}")
    return numbers[0] / calls


def report_memory(pairs: int) -> None:
    """Print what importing and making an embedded kernel takes, and its resident memory, next to an empty Python."""
    texts = {
        "Python alone": "",
        "import stingless": "import stingless",
        "a kernel": "from stingless.embedded.kernel import EmbeddedKernel; k = EmbeddedKernel()",
        "a loaded program": (
            "from stingless.embedded.kernel import EmbeddedKernel; from stingless.obj.spec import ProgramSpec;"
            "from stingless._gen.uapi import ProgramType; from stingless.asm.instruction import encode, exit_, mov_imm;"
            "k = EmbeddedKernel();"
            "p = k.load_program(ProgramSpec('p', 'xdp', ProgramType.XDP, encode([mov_imm(0, 2), exit_()])), {});"
            "p.run(bytes(64))"
        ),
    }
    runs = paired(pairs, *(partial(_started, text) for text in texts.values()))
    rows = [
        [name, Spread.of(ms for ms, _ in run).show(), Spread.of(mib for _, mib in run).show()]
        for name, run in zip(texts, runs, strict=True)
    ]
    print(table(f"embedded kernel, {pairs} pairs", ["median (least to most)", "ms to there", "RSS, MiB"], rows))


def _started(text: str) -> tuple[float, float]:
    """Milliseconds of the process, and its resident memory at the end."""
    tell = "import re; print(re.search(r'VmRSS:\\s+(\\d+)', open('/proc/self/status').read())[1])"
    begin = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", f"{text}\n{tell}"], capture_output=True, text=True, check=True)
    return (time.perf_counter() - begin) * 1000, int(done.stdout) / 1024

"""A program that makes one system call over and over and tells how long that took.

Built without a C library by the compiler that stingless uses for eBPF, so that nothing more is needed here.
"""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

from benchmarks.measure import BenchmarkError
from stingless.compile.toolchain import find_compiler

TARGETS = {"x86_64": "x86_64-linux-gnu", "aarch64": "aarch64-linux-gnu"}

# loop N call: `N` calls of getppid, or with "other" of getuid.  Prints nanoseconds.
SOURCE = r"""
#if defined(__x86_64__)
enum { WRITE = 1, GETUID = 102, GETPPID = 110, CLOCK_GETTIME = 228, EXIT_GROUP = 231 };
static long call(long number, long a, long b, long c)
{
	long result;
	__asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return result;
}
__asm__(".globl _start\n_start:\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall entry\n");
#else
enum { WRITE = 64, GETUID = 174, GETPPID = 173, CLOCK_GETTIME = 113, EXIT_GROUP = 94 };
static long call(long number, long a, long b, long c)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
	return x0;
}
__asm__(".globl _start\n_start:\n\tmov x0, sp\n\tbl entry\n");
#endif

static long now(void)
{
	long time[2];
	call(CLOCK_GETTIME, 1, (long)time, 0);
	return time[0] * 1000000000 + time[1];
}

__attribute__((used)) void entry(long *stack)
{
	char *const *words = (char *const *)(stack + 1);
	long calls = 0;
	for (const char *digit = words[1]; *digit; digit++)
		calls = calls * 10 + *digit - '0';
	long number = words[2][0] == 'g' ? GETPPID : GETUID;
	long begin = now();
	for (long i = 0; i < calls; i++)
		call(number, 0, 0, 0);
	long taken = now() - begin;
	char text[24];
	int at = sizeof(text);
	text[--at] = '\n';
	do
		text[--at] = '0' + taken % 10;
	while (taken /= 10);
	call(WRITE, 1, (long)(text + at), sizeof(text) - at);
	call(EXIT_GROUP, 0, 0, 0);
}
"""


def build_loop(directory: Path) -> Path:
    """The program in `directory`.  Raises `BenchmarkError` where it cannot be built."""
    target = TARGETS.get(platform.machine())
    compiler = find_compiler()
    if target is None or compiler.origin != "ziglang wheel":
        raise BenchmarkError("the loop is built with the ziglang wheel, for x86-64 or arm64: pip install ziglang")
    source, unlinked, program = (directory / name for name in ("loop.c", "loop.o", "loop"))
    source.write_text(SOURCE)
    flags = ["-O2", "-ffreestanding", "-fno-stack-protector", "-nostdlibinc"]
    subprocess.run([*compiler.argv, "-target", target, *flags, "-c", str(source), "-o", str(unlinked)], check=True)
    subprocess.run([compiler.argv[0], "ld.lld", "-static", str(unlinked), "-o", str(program)], check=True)
    return program

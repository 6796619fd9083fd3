"""Programs to trace, built by the clang of the ziglang wheel without any libc, and programs to attach to them."""

from __future__ import annotations

import importlib.util
import os
import struct
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from stingless._gen.helpers import Helper
from stingless._gen.uapi import MapType, ProgramType
from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction, add_imm, call, encode, exit_, ld_imm64, load, mov, mov_imm, store
from stingless.embedded.kernel import EmbeddedKernel
from stingless.embedded.maps import EmbeddedMap
from stingless.embedded.programs import EmbeddedProgram
from stingless.obj.spec import MapRef, MapSpec, ProgramSpec

MACHINE = os.uname().machine
KPROBE, TRACEPOINT = ProgramType.KPROBE, ProgramType.TRACEPOINT
RAW_TRACEPOINT, PERF_EVENT = ProgramType.RAW_TRACEPOINT, ProgramType.PERF_EVENT

# System calls, threads and a start for C without libc.
PRELUDE = r"""
typedef unsigned long u64;
#if defined(__x86_64__)
enum { WRITE = 1, CLONE = 56, EXIT = 60, GETPPID = 110, FUTEX = 202, EXIT_GROUP = 231 };
static long sys(long nr, long a, long b, long c, long d, long e)
{
	long r;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	__asm__ volatile("syscall" : "=a"(r) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
	return r;
}
__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tand $-16, %rsp\n\tcall entry\n");
__asm__("spawn:\n\tmov %rdi, %r9\n\tmov $0x310f00, %edi\n\tmov %rdx, %r10\n\tmov $56, %eax\n\tsyscall\n"
	"\ttest %eax, %eax\n\tjnz 1f\n\txor %ebp, %ebp\n\tcall *%r9\n"
	"\tmov $60, %eax\n\txor %edi, %edi\n\tsyscall\n1:\tret\n");
#else
enum { WRITE = 64, CLONE = 220, EXIT = 93, GETPPID = 173, FUTEX = 98, EXIT_GROUP = 94 };
static long sys(long nr, long a, long b, long c, long d, long e)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
	return x0;
}
__asm__(".globl _start\n_start:\n\tmov x29, #0\n\tbl entry\n");
__asm__("spawn:\n\tmov x9, x0\n\tmov x0, #0x0f00\n\tmovk x0, #0x31, lsl #16\n\tmov x4, x2\n\tmov x3, #0\n"
	"\tmov x8, #220\n\tsvc #0\n"
	"\tcbnz x0, 1f\n\tmov x29, #0\n\tblr x9\n\tmov x8, #93\n\tmov x0, #0\n\tsvc #0\n1:\tret\n");
#endif
/* A thread on the stack that ends at `top`; the kernel sets *tid and clears it at the end.  CLONE_VM, FS, FILES,
 * SIGHAND, THREAD, PARENT_SETTID, CHILD_CLEARTID */
long spawn(void (*run)(void), void *top, int *tid);
static char stacks[16][16384] __attribute__((aligned(16)));
static int tids[16];
static void start_thread(int i, void (*run)(void)) { tids[i] = 1; spawn(run, stacks[i] + 16384, &tids[i]); }
static void join_thread(int i)
{
	int tid;
	while ((tid = __atomic_load_n(&tids[i], __ATOMIC_ACQUIRE)))
		sys(FUTEX, (long)&tids[i], 0, tid, 0, 0);
}
static void finish(int status) { sys(EXIT_GROUP, status, 0, 0, 0, 0); }
static void print(u64 value)
{
	char text[17];
	for (int i = 15; i >= 0; i--, value >>= 4)
		text[i] = "0123456789abcdef"[value & 15];
	text[16] = '\n';
	sys(WRITE, 1, (long)text, 17, 0, 0);
}
#define NOINLINE __attribute__((noinline, used))
void entry(void) __attribute__((used));
"""


def build(folder: Path, source: str, name: str = "target", options: str = "") -> Path:
    """A static program of the C text `source`, without debug information."""
    spec = importlib.util.find_spec("ziglang")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("needs the compiler of the ziglang wheel")
    zig = str(Path(spec.submodule_search_locations[0]) / "zig")
    text, object_, program = folder / f"{name}.c", folder / f"{name}.o", folder / name
    text.write_text(PRELUDE + source)
    environment = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": str(folder), "ZIG_LOCAL_CACHE_DIR": str(folder)}
    flags = f"-target {MACHINE}-linux-gnu -O1 -ffreestanding -fno-stack-protector -fno-pic -nostdlibinc -w".split()
    flags += options.split()
    subprocess.run([zig, "clang", *flags, "-c", text, "-o", object_], check=True, env=environment)
    subprocess.run([zig, "ld.lld", "-static", "-o", program, object_], check=True, env=environment)
    return program


def offset_of(program: Path, symbol: str) -> int:
    """The file offset of a function, from the ELF symbol table."""
    data = program.read_bytes()
    section_at, entry, count = (
        struct.unpack_from("<Q", data, 40)[0],
        struct.unpack_from("<H", data, 58)[0],
        struct.unpack_from("<H", data, 60)[0],
    )
    sections = [struct.unpack_from("<IIQQQQIIQQ", data, section_at + i * entry) for i in range(count)]
    for _, kind, _, _, offset, size, link, *_ in sections:
        if kind != 2:  # SHT_SYMTAB
            continue
        strings = sections[link][4]
        for at in range(offset, offset + size, 24):
            name, _, _, index, value, _ = struct.unpack_from("<IBBHQQ", data, at)
            end = data.index(b"\0", strings + name)
            if data[strings + name : end].decode() == symbol:
                return int(value - sections[index][3] + sections[index][4])
    raise KeyError(symbol)


def array(kernel: EmbeddedKernel, values: int = 1) -> EmbeddedMap:
    """An array map with one entry of `values` u64."""
    return kernel.create_map(MapSpec("m", MapType.ARRAY, 4, 8 * values, 1))


def values_of(map_: EmbeddedMap) -> tuple[int, ...]:
    value = map_.lookup(bytes(4))
    assert value is not None
    return struct.unpack(f"<{len(value) // 8}Q", value)


def program(
    kernel: EmbeddedKernel, kind: ProgramType, map_: EmbeddedMap, body: Iterable[Instruction] = ()
) -> EmbeddedProgram:
    """A program that adds 1 to the map's first u64, then runs `body` with r6 = context and r7 = the map's value."""
    code = [
        mov(6, 1),
        *ld_imm64(7, 0, op.PSEUDO_MAP_VALUE),
        mov_imm(2, 1),
        Instruction(op.STX | op.ATOMIC | op.DW, 7, 2, 0, op.ADD),
        *body,
        mov_imm(0, 0),
        exit_(),
    ]
    return kernel.load_program(
        ProgramSpec("test", "test", kind, encode(code), map_refs=(MapRef(1, "m", 0),)), {"m": map_}
    )


def keep(offset: int, index: int) -> list[Instruction]:
    """value[index] = *(u64 *)(context + offset)"""
    return [load(op.DW, 2, 6, offset), store(op.DW, 7, 8 * index, 2)]


def read(helper: Helper, size: int, index: int) -> list[Instruction]:
    """Read `size` bytes at the address in r3 to value[index...]."""
    return [mov(1, 7), add_imm(1, 8 * index), mov_imm(2, size), call(helper)]

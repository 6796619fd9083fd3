"""Uprobes and uretprobes in real commands through the embedded kernel's ptrace source."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stingless._gen.helpers import Helper
from stingless.asm import opcodes as op
from stingless.asm.instruction import load
from stingless.embedded.kernel import EmbeddedKernel
from stingless.embedded.maps import EmbeddedMap
from stingless.errors import PrivilegeError
from stingless.events import Uprobe
from tests.tracer_target import KPROBE, array, build, keep, offset_of, program, read, values_of

X86 = os.uname().machine == "x86_64"
# Offsets in struct pt_regs: first argument, return value, program counter, stack pointer.
ARGUMENT, RESULT, IP = (112, 80, 128) if X86 else (0, 0, 256)

THREADS = """
NOINLINE u64 work(u64 x) { __asm__ volatile("" : "+r"(x)); return x * 3 + 1; }
static u64 total;
static void run(void)
{
	for (u64 i = 0; i < 200; i++)
		__atomic_fetch_add(&total, work(i), __ATOMIC_RELAXED);
}
void entry(void)
{
	for (int i = 0; i < 16; i++) start_thread(i, run);
	for (int i = 0; i < 16; i++) join_thread(i);
	finish(total != 16 * (3 * 199 * 100 + 200));
}
"""


@pytest.fixture
def kernel() -> Iterator[EmbeddedKernel]:
    with EmbeddedKernel() as made:
        yield made


def probe(kernel: EmbeddedKernel, path: Path, symbol: str, ret: bool = False) -> EmbeddedMap:
    counted = array(kernel)
    kernel.attach(program(kernel, KPROBE, counted), Uprobe(str(path), offset_of(path, symbol), ret, symbol=symbol))
    return counted


def run(kernel: EmbeddedKernel, *argv: str) -> int:
    command = kernel.spawn(argv)
    command.release()
    status = command.wait(60)
    assert status is not None
    return status


@pytest.mark.parametrize("first", ["", '__asm__ volatile("" :: "r"(weight));'])
def test_threads_miss_nothing(kernel: EmbeddedKernel, tmp_path: Path, first: str) -> None:
    """With `first`, the probed instruction is no simple one, and more threads want to step over it than have room."""
    target = build(
        tmp_path, THREADS.replace("NOINLINE u64 work(u64 x) {", f"u64 weight; NOINLINE u64 work(u64 x) {{ {first}")
    )
    entered, returned = probe(kernel, target, "work"), probe(kernel, target, "work", ret=True)
    assert run(kernel, str(target)) == 0
    assert values_of(entered) == values_of(returned) == (3200,)


def test_arguments_results_and_addresses(kernel: EmbeddedKernel, tmp_path: Path) -> None:
    target = build(
        tmp_path,
        """
        NOINLINE u64 work(const char *text, u64 x) { __asm__ volatile("" : "+r"(text)); return x * 3 + text[0]; }
        NOINLINE void caller(void) { print(work("seventeen", 100)); }
        void entry(void) { print((u64)work); print((u64)caller); caller(); finish(0); }
        """,
    )
    entry, ret = array(kernel, 5), array(kernel, 3)
    body = [*keep(IP, 1), load(op.DW, 3, 6, ARGUMENT), *read(Helper.probe_read_user_str, 16, 2)]
    offset = offset_of(target, "work")
    kernel.attach(program(kernel, KPROBE, entry, body), Uprobe(str(target), offset))
    kernel.attach(program(kernel, KPROBE, ret, [*keep(IP, 1), *keep(RESULT, 2)]), Uprobe(str(target), offset, ret=True))
    output = tmp_path / "output"
    # A shell redirects; it does not map the target, its child does.
    assert run(kernel, "sh", "-c", f"{target} > {output}") == 0
    work, caller, printed = (int(line, 16) for line in output.read_text().split())
    assert printed == 300 + ord("s")
    assert values_of(entry)[:2] == (1, work)
    assert b"".join(each.to_bytes(8, "little") for each in values_of(entry)[2:4]).startswith(b"seventeen\0")
    times, ip, result = values_of(ret)
    assert (times, result) == (1, printed)
    assert caller < ip < caller + 64  # where it returns to


# Functions whose first instruction cannot simply run elsewhere, or is emulated.  `f` gets 5 in its first argument.
STEPS = {
    "push": "push %rbx\n pop %rbx\n lea 1(%rdi), %rax\n ret",
    "push_r12": "push %r12\n pop %r12\n mov %rdi, %rax\n ret",
    "endbr": "endbr64\n mov %rdi, %rax\n ret",
    "nop": "nop\n mov %rdi, %rax\n ret",
    "long_nop": "nopw 0x12345678(%rax,%rax,1)\n mov %rdi, %rax\n ret",
    "sub_rsp": "sub $0x18, %rsp\n pushf\n pop %rax\n and $0x8d5, %eax\n add $0x18, %rsp\n ret",
    "sub_rsp_32": "sub $0x118, %rsp\n pushf\n pop %rax\n and $0x8d5, %eax\n add $0x118, %rsp\n ret",
    "mov_regs": "mov %rdi, %rax\n ret",
    "mov_regs_high": "mov %rdi, %r11\n mov %r11, %rax\n ret",
    "mov_imm": "mov $0xfedcba98, %eax\n ret",
    "mov_imm64": "movabs $0x123456789abcdef0, %rax\n ret",
    "ret": "ret",
    "jmp": "jmp 1f\n .skip 300\n 1: lea 7(%rdi), %rax\n ret",
    "jmp_short": "jmp 1f\n nop\n 1: lea 7(%rdi), %rax\n ret",
    "jcc_taken": "jnz 1f\n mov $1, %eax\n ret\n 1: mov $2, %eax\n ret",
    "jcc_far": "jz 1f\n .skip 200, 0x90\n mov $3, %eax\n ret\n 1: mov $4, %eax\n ret",
    "call": "call 1f\n add $1, %rax\n ret\n 1: mov (%rsp), %rax\n sub $f, %rax\n ret",
    "call_register": "call *pointer_register\n add %rdi, %rax\n ret",
    "call_memory": "call *pointer(%rip)\n add %rdi, %rax\n ret",
    "jmp_memory": "jmp *pointer(%rip)",
    "load_rip": "mov value(%rip), %rax\n ret",
    "lea_rip": "lea value(%rip), %rax\n ret",
    "load_rip_high": "mov value(%rip), %r14\n mov %r14, %rax\n ret",
    "load_rip_si": "mov value(%rip), %rsi\n mov %rsi, %rax\n add %rdi, %rax\n ret",
    "store_rip": "movq $0x1234, value(%rip)\n mov value(%rip), %rax\n ret",
    "store_rip_16": "movw $0x1234, value(%rip)\n mov value(%rip), %rax\n ret",
    "compare_rip": "cmpb $0x77, value(%rip)\n sete %al\n movzbl %al, %eax\n ret",
    "shift_rip": "shll $3, value(%rip)\n mov value(%rip), %rax\n ret",
    "test_rip": "testl $0x70, value(%rip)\n setne %al\n movzbl %al, %eax\n ret",
    "sse_rip": "movsd value(%rip), %xmm0\n movq %xmm0, %rax\n ret",
    "sse_shuffle_rip": "pshufd $0x4e, wide(%rip), %xmm0\n movq %xmm0, %rax\n ret",
    "ssse3_rip": "pshufb wide(%rip), %xmm0\n movq %xmm0, %rax\n and $0, %eax\n ret",
    "palignr_rip": "palignr $8, wide(%rip), %xmm0\n movq %xmm0, %rax\n ret",
    "pushf": "pushf\n pop %rax\n and $0x100, %eax\n ret",
    "push_rip": "push value(%rip)\n pop %rax\n ret",
    "repeat": "rep stosb\n mov %rcx, %rax\n ret",
    "enter": "enter $16, $0\n mov %rdi, %rax\n leave\n ret",
    "ret_imm": "ret $0",
    "xor": "xor %eax, %eax\n ret",
}
STEP_SOURCE = """
__asm__(".data\\nvalue: .quad 0x1122334455667777\\npointer: .quad other\\npointer_register: .quad other\\n"
        ".balign 16\\nwide: .quad 0x1111222233334444, 0x5555666677778888\\n.text\\nother: mov $$0x4242, %eax\\n ret\\n"
        ".globl f\\n.type f, @function\\nf: BODY\\n");
char buffer[64];
static void run(void)
{
        for (int i = 0; i < 3; i++) {
                u64 result, bx = 0xb, r12 = 0xc, si = 0x51, flags = 0, sp_before, sp_after;
                __asm__ volatile("mov %%rsp, %[before]\\n\\tmov $5, %%edi\\n\\tmov $0x77, %%eax\\n\\t"
                                 "lea buffer, %%r8\\n\\tmov $9, %%ecx\\n\\tREPEATS test %%edi, %%edi\\n\\t"
                                 "call f\\n\\tmov %%rsp, %[after]"
                                 : "=a"(result), "+b"(bx), "+S"(si), [before] "=&r"(sp_before), [after] "=&r"(sp_after)
                                 : : "rdi", "rcx", "rdx", "r8", "r9", "r10", "r11", "r14", "xmm0", "memory", "cc");
                print(result);
                print(bx);
                print(si);
                print(sp_before - sp_after);
        }
}
/* On a stack whose address is the same in every run: flags depend on it. */
void entry(void) { start_thread(0, run); join_thread(0); finish(0); }
"""


@pytest.mark.skipif(not X86, reason="x86-64 instructions")
@pytest.mark.parametrize("name", STEPS)
def test_stepping_changes_nothing(kernel: EmbeddedKernel, tmp_path: Path, name: str) -> None:
    body = STEPS[name].replace("\n", "\\n\\t")
    repeats = "lea buffer, %%rdi\\n\\t" if name == "repeat" else ""
    target = build(tmp_path, STEP_SOURCE.replace("BODY", body).replace("REPEATS", repeats).replace("$$", "$"))
    expected = subprocess.run([target], capture_output=True, check=True).stdout
    entered, returned = probe(kernel, target, "f"), probe(kernel, target, "f", ret=True)
    output = tmp_path / "output"
    assert run(kernel, "sh", "-c", f"exec {target} > {output}") == 0
    # A call through the hijacked return sees what it saw before, but for the address itself.
    assert output.read_bytes() == expected
    assert values_of(entered) == values_of(returned) == (3,)


def test_recursion_and_tail_calls(kernel: EmbeddedKernel, tmp_path: Path) -> None:
    target = build(
        tmp_path,
        """
        NOINLINE u64 leaf(u64 n) { __asm__ volatile("" : "+r"(n)); return n + 1; }
        NOINLINE u64 tail(u64 n) { __asm__ volatile("" : "+r"(n)); __attribute__((musttail)) return leaf(n * 2); }
        u64 down(u64 n);
        static u64 (*volatile again)(u64) = down; /* no loop, please */
        NOINLINE u64 down(u64 n) { return n ? again(n - 1) + tail(n) : 0; }
        void entry(void) { finish(down(20) != 20 * 21 + 20); }
        """,
    )
    expected = {"down": 21, "tail": 20, "leaf": 20}
    maps = {name: (probe(kernel, target, name), probe(kernel, target, name, ret=True)) for name in expected}
    assert run(kernel, str(target)) == 0
    assert {name: (values_of(a)[0], values_of(b)[0]) for name, (a, b) in maps.items()} == {
        name: (n, n) for name, n in expected.items()
    }


def test_deep_recursion_returns(kernel: EmbeddedKernel, tmp_path: Path) -> None:
    """More returns are pending than are followed: 64, as on Linux.  The rest is not seen; the program is right."""
    target = build(
        tmp_path,
        """
        u64 down(u64 n);
        static u64 (*volatile again)(u64) = down; /* no loop, please */
        NOINLINE u64 down(u64 n) { return n ? again(n - 1) + n : 0; }
        void entry(void) { finish(down(200) != 200 * 201 / 2); }
        """,
    )
    entered, returned = probe(kernel, target, "down"), probe(kernel, target, "down", ret=True)
    assert run(kernel, str(target)) == 0
    assert values_of(entered) == (201,) and values_of(returned) == (64,)


def test_jumping_out_of_functions(kernel: EmbeddedKernel, tmp_path: Path) -> None:
    """As longjmp(3) does: frames that never return."""
    target = build(
        tmp_path,
        """
        static void *place[5];
        static u64 rounds;
        NOINLINE u64 inner(u64 n) { __asm__ volatile("" : "+r"(n)); if (n & 1) __builtin_longjmp(place, 1); return n; }
        NOINLINE u64 outer(u64 n) { __asm__ volatile("" : "+r"(n)); return inner(n) + 1; }
        NOINLINE u64 round_(u64 n)
        {
            if (__builtin_setjmp(place))
                return 1;
            n = outer(n);
            __asm__ volatile("" : "+r"(n));
            return n;
        }
        void entry(void) { for (rounds = 0; rounds < 50; rounds++) round_(rounds); finish(rounds != 50); }
        """,
    )
    maps = {
        name: (probe(kernel, target, name), probe(kernel, target, name, ret=True))
        for name in ("inner", "outer", "round_")
    }
    assert run(kernel, str(target)) == 0
    assert {name: (values_of(a)[0], values_of(b)[0]) for name, (a, b) in maps.items()} == {
        "inner": (50, 25),
        "outer": (50, 25),
        "round_": (50, 50),
    }


FORKER = """
NOINLINE u64 work(u64 x) { __asm__ volatile("" : "+r"(x)); return x + 1; }
NOINLINE long forks(void)
{
	return sys(CLONE, 17, 0, 0, 0, 0);
}
void entry(void)
{
	for (int i = 0; i < 5; i++) {
		work(1);
		if (!forks()) { work(2); work(3); finish(0); }
	}
	for (int i = 0; i < 200000; i++) __asm__ volatile("");
	finish(0);
}
"""


def test_children_inherit_probes_and_pending_returns(kernel: EmbeddedKernel, tmp_path: Path) -> None:
    target = build(tmp_path, FORKER)
    entered, returned = probe(kernel, target, "work"), probe(kernel, target, "work", ret=True)
    forked = probe(kernel, target, "forks", ret=True)
    command = kernel.spawn([str(target)])
    command.release()
    assert command.wait(30) == 0
    _until(lambda: values_of(returned) == (15,))
    assert values_of(entered) == (15,)
    assert values_of(forked) == (10,)


def _until(condition: object) -> None:
    assert callable(condition)
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_signals_while_stepping(kernel: EmbeddedKernel, tmp_path: Path) -> None:
    """A timer's signals hit a loop of probed calls; the handler is probed too."""
    python = os.path.realpath(sys.executable)
    library = _libc(python)
    if library is None:
        pytest.skip("needs a python with a shared libc")
    offset = _dynamic_offset(library, "getppid")
    counted = array(kernel)
    kernel.attach(program(kernel, KPROBE, counted), Uprobe(str(library), offset, symbol="getppid"))
    text = """
import os, signal
hits = 0
def handler(*_):
    global hits
    hits += 1
    os.getppid()
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
for _ in range(3000): os.getppid()
signal.setitimer(signal.ITIMER_REAL, 0)
import sys
open(sys.argv[1], "w").write(str(hits))
"""
    hits = tmp_path / "hits"
    assert run(kernel, python, "-S", "-c", text, str(hits)) == 0
    assert int(hits.read_text()) > 0
    assert values_of(counted) == (3000 + int(hits.read_text()),)


def _libc(python: str) -> Path | None:
    text = subprocess.run(
        [python, "-c", "print(open('/proc/self/maps').read())"], capture_output=True, text=True, check=True
    )
    for line in text.stdout.splitlines():
        name = line.split(" ")[-1]
        if "/libc.so" in name or "/libc-" in name or "/ld-musl" in name:
            return Path(name).resolve()
    return None


def _dynamic_offset(library: Path, symbol: str) -> int:
    import struct

    data = library.read_bytes()
    at, entry, count = struct.unpack_from("<Q", data, 40)[0], *struct.unpack_from("<HH", data, 58)
    sections = [struct.unpack_from("<IIQQQQIIQQ", data, at + i * entry) for i in range(count)]
    for _, kind, _, _, offset, size, link, *_ in sections:
        if kind != 11:  # SHT_DYNSYM
            continue
        for place in range(offset, offset + size, 24):
            name, _, _, index, value, _ = struct.unpack_from("<IBBHQQ", data, place)
            start = sections[link][4] + name
            if index and data[start : data.index(b"\0", start)].decode() == symbol:
                return int(value - sections[index][3] + sections[index][4])
    raise KeyError(symbol)


def test_libraries_are_probed_when_mapped(kernel: EmbeddedKernel) -> None:
    """libc is mapped by the loader, after execve; in every command of the tree."""
    python = os.path.realpath(sys.executable)
    library = _libc(python)
    if library is None:
        pytest.skip("needs a python with a shared libc")
    event = Uprobe(str(library), _dynamic_offset(library, "getppid"), symbol="getppid")
    entered, returned = array(kernel), array(kernel, 2)
    kernel.attach(program(kernel, KPROBE, entered), event)
    kernel.attach(
        program(kernel, KPROBE, returned, keep(RESULT, 1)),
        Uprobe(event.path, event.offset, ret=True, symbol=event.symbol),
    )
    once = [python, "-S", "-c", "import os; [os.getppid() for _ in range(10)]"]
    assert run(kernel, python, "-S", "-c", f"import subprocess; [subprocess.check_call({once}) for _ in range(3)]") == 0
    assert values_of(entered) == (30,)
    assert values_of(returned)[0] == 30
    assert 1 < values_of(returned)[1] < 1 << 22  # a process id


def test_attach_and_detach_while_it_runs(kernel: EmbeddedKernel, tmp_path: Path) -> None:
    target = build(
        tmp_path,
        """
        NOINLINE u64 work(u64 x) { __asm__ volatile("" : "+r"(x)); return x + 1; }
        NOINLINE u64 rest(u64 x) { __asm__ volatile("" : "+r"(x)); return x + 1; }
        static void run(void) { for (;;) work(rest(1)); }
        void entry(void) { for (int i = 0; i < 3; i++) start_thread(i, run); run(); }
        """,
    )
    command = kernel.spawn([str(target)])
    command.release()
    offset = offset_of(target, "work")
    text = target.read_bytes()[offset : offset + 8]
    address = None
    for _ in range(3):
        entered, returned = array(kernel, 2), array(kernel)
        links = [
            kernel.attach(program(kernel, KPROBE, entered, keep(IP, 1)), Uprobe(str(target), offset)),
            kernel.attach(program(kernel, KPROBE, returned), Uprobe(str(target), offset, ret=True)),
        ]
        _until(lambda: values_of(entered)[0] > 100 and values_of(returned)[0] > 100)  # noqa: B023
        for link in links:
            link.close()
        seen = values_of(entered)[0], values_of(returned)[0]
        address = values_of(entered)[1]
        _until(lambda: _memory(command.pid, address, 8) == text)  # noqa: B023
        time.sleep(0.05)
        assert (values_of(entered)[0], values_of(returned)[0]) == seen
    assert command.wait(0) is None
    command.close()
    assert command.wait(0) == 128 + signal.SIGKILL


def _memory(pid: int, address: int, size: int) -> bytes:
    with Path(f"/proc/{pid}/mem").open("rb") as file:
        file.seek(address)
        return file.read(size)


def test_only_the_named_process(kernel: EmbeddedKernel, tmp_path: Path) -> None:
    target = build(tmp_path, THREADS)
    counted = array(kernel)
    command = kernel.spawn([str(target)])
    event = Uprobe(str(target), offset_of(target, "work"), pid=os.getpid())  # not the command
    kernel.attach(program(kernel, KPROBE, counted), event)
    command.release()
    assert command.wait() == 0
    assert values_of(counted) == (0,)


def test_this_process_itself(tmp_path: Path) -> None:
    target = build(tmp_path, THREADS)
    with EmbeddedKernel() as other, pytest.raises(PrivilegeError, match="it is this process, and none traces itself"):
        other.attach(
            program(other, KPROBE, array(other)), Uprobe(str(target), offset_of(target, "work"), pid=os.getpid())
        )


@pytest.mark.skipif(shutil.which("gcc") is None, reason="builds a program against the system's libc")
def test_dynamic_library_loaded_late(kernel: EmbeddedKernel, tmp_path: Path) -> None:
    (tmp_path / "plug.c").write_text("int plug(int x) { return x * 2; }")
    (tmp_path / "host.c").write_text(
        "#include <dlfcn.h>\nint main(int c, char **v) { void *h = dlopen(v[1], RTLD_NOW);"
        ' int (*f)(int) = (int (*)(int))dlsym(h, "plug"); int n = 0;'
        " for (int i = 0; i < 40; i++) n += f(i); return n != 1560; }"
    )
    library, host = tmp_path / "plug.so", tmp_path / "host"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, tmp_path / "plug.c"], check=True)
    subprocess.run(["gcc", "-O1", "-o", host, tmp_path / "host.c", "-ldl"], check=True)
    event = Uprobe(str(library), _dynamic_offset(library, "plug"))
    entered, returned = array(kernel), array(kernel)
    kernel.attach(program(kernel, KPROBE, entered), event)
    kernel.attach(program(kernel, KPROBE, returned), Uprobe(event.path, event.offset, ret=True))
    assert run(kernel, str(host), str(library)) == 0
    assert values_of(entered) == values_of(returned) == (40,)


def test_a_faulting_instruction_faults_in_its_place(kernel: EmbeddedKernel, tmp_path: Path) -> None:
    python = os.path.realpath(sys.executable)
    target = build(
        tmp_path,
        """
        __asm__(".globl f\\n.type f, @function\\nf:\\n\\t"
        #if defined(__x86_64__)
        "mov (%rdi), %rax\\n\\tret\\n"
        #else
        "ldr x0, [x0]\\n\\tret\\n"
        #endif
        );
        u64 f(u64 *);
        void entry(void) { finish(f((u64 *)16)); }
        """,
    )
    entered = probe(kernel, target, "f")
    assert (
        run(kernel, python, "-S", "-c", f"import subprocess; raise SystemExit(-subprocess.call([{str(target)!r}]))")
        == 11
    )
    assert values_of(entered) == (1,)

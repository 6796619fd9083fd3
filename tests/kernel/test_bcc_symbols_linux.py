"""Addresses of stacks of our own processes by name, and the same names as bcc has for them."""

from __future__ import annotations

import ast
import json
import os
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stingless import BPF
from stingless.bcc import symbols
from stingless.bcc.symbols import SymbolCache
from stingless.linux import perf_link
from stingless.symbols.mappings import mappings
from tests.linux_support import IS_ROOT
from tests.symbol_programs import TARGET, build, running

pytestmark = [
    pytest.mark.skipif(not IS_ROOT, reason="bpf(2) needs root"),
    pytest.mark.skipif(perf_link.pmu_type("uprobe") is None, reason="this kernel has no uprobes"),
    pytest.mark.skipif(symbols.ksymname("_stext") == -1, reason="this kernel shows no addresses"),
]

# It waits to be told, calls, and waits again, so that its symbols can be asked for.
CHAIN = r"""
#include <stdio.h>
#define NOINLINE __attribute__((noinline))
NOINLINE int third(int x) { __asm__ volatile("" : "+r"(x) :: "memory"); return x; }
NOINLINE int second(int x) { x = third(x) + 1; __asm__ volatile("" : "+r"(x)); return x; }
NOINLINE int first(int x) { x = second(x) + 1; __asm__ volatile("" : "+r"(x)); return x; }
int main(void)
{
    getchar();
    for (volatile int i = 0; i < 3; i++) first(i);
    puts("called");
    fflush(stdout);
    getchar();
    return 0;
}
"""

USER = """
BPF_STACK_TRACE%s(stacks, 64);
BPF_HASH(ids, int, u64);
int on_return(struct pt_regs *ctx) {
    ids.increment(stacks.get_stackid(ctx, BPF_F_USER_STACK));
    return 0;
}
"""


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(CHAIN, tmp_path_factory.mktemp("stacks") / "chain", "-Wl,--build-id=sha1")


@contextmanager
def calling(program: Path) -> Iterator[int]:
    """A process that has done its calls, and waits."""
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("g")
        process.stdin.flush()
        assert process.stdout.readline() == "called\n"
        yield process.pid
        process.kill()


def test_a_users_stack(chain: Path) -> None:
    with BPF(text=USER % "") as bpf:
        bpf.attach_uretprobe(name=str(chain), sym="third", fn_name="on_return")
        with calling(chain) as pid:
            ((stack, count),) = bpf["ids"].items()
            frames = list(bpf["stacks"].walk(stack.value))
            names = [bpf.sym(address, pid, show_module=True) for address in frames]
            again = list(bpf["stacks"].walk(stack.value, lambda address: bpf.sym(address, pid)))
    assert count.value == 3
    assert names[:3] == [b"second [chain]", b"first [chain]", b"main [chain]"]
    assert names[-1].startswith(b"__libc_start")
    assert again[:3] == [b"second", b"first", b"main"]


def test_a_stack_by_build_id(chain: Path, tmp_path: Path) -> None:
    """The process need not be there any more."""
    copy = tmp_path / "copy"
    copy.write_bytes(chain.read_bytes())
    with BPF(text=USER % "_BUILDID") as bpf:
        bpf.attach_uretprobe(name=str(chain), sym="third", fn_name="on_return")
        with calling(chain):
            pass
        ((stack, _),) = bpf["ids"].items()
        frames = list(bpf["stacks"].walk(stack.value))
        bpf.add_module(str(copy))
        names = [bpf.sym(frame, -1, show_module=True) for frame in frames]
    assert names[:3] == [b"second [copy]", b"first [copy]", b"main [copy]"]


def test_the_kernels_stack() -> None:
    text = """
    BPF_STACK_TRACE(stacks, 64);
    BPF_HASH(ids, int, u64);
    TRACEPOINT_PROBE(raw_syscalls, sys_enter) {
        if (bpf_get_current_pid_tgid() >> 32 == ME && args->id == GETPPID)
            ids.increment(stacks.get_stackid(args, 0));
        return 0;
    }
    """
    getppid = {"x86_64": 110, "aarch64": 173}[os.uname().machine]
    with BPF(text=text, cflags=[f"-DME={os.getpid()}", f"-DGETPPID={getppid}"]) as bpf:
        for _ in range(3):
            os.getppid()
        stacks = [list(bpf["stacks"].walk(stack.value)) for stack, _ in bpf["ids"].items() if stack.value >= 0]
    assert stacks
    names = [bpf.ksym(address) for address in stacks[0]]
    assert b"[unknown]" not in names
    assert any(b"syscall" in name or b"svc" in name for name in names)
    shown = bpf.ksym(stacks[0][-1], show_module=True, show_offset=True)
    assert shown.startswith(names[-1] + b"+0x")
    assert shown.endswith(b" [kernel]")
    assert bpf.ksymname(names[-1]) + int(shown.split()[0].rpartition(b"+")[2], 16) == stacks[0][-1]


# bcc, where it is installed, is asked for the same addresses

PYTHON = "/usr/bin/python3"
ASK = """
import json, sys
import bcc
pid, addresses = json.load(sys.stdin)
cache = bcc.SymbolCache(pid)
print(repr([cache.resolve(address, demangle) for address in addresses for demangle in (False, True)]))
print(repr([bcc.BPF.sym(address, pid, True, True) for address in addresses]))
"""
Answers = list[tuple[bytes | None, int, bytes | None]]


def asked(pid: int, addresses: list[int]) -> tuple[Answers, list[bytes]]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [PYTHON, "-c", ASK], input=json.dumps([pid, addresses]), capture_output=True, text=True, env=environment
    )
    if done.returncode:
        pytest.skip(f"bcc is not there: {done.stderr.strip().splitlines()[-1]}")
    first, second = done.stdout.splitlines()
    return ast.literal_eval(first), ast.literal_eval(second)


def compare(pid: int, addresses: list[int], least: int) -> None:
    """The same, but for which of several names of a function is told."""
    cache = SymbolCache(pid)
    theirs, texts = asked(pid, addresses)
    ours = [cache.resolve(address, demangle) for address in addresses for demangle in (False, True)]
    differ = [(a, b) for a, b in zip(ours, theirs, strict=True) if a[1:] != b[1:] or (a[0] is None) != (b[0] is None)]
    assert not differ
    equal = sum(a == b for a, b in zip(ours, theirs, strict=True))
    assert equal > least * len(ours) // 100
    shown = [symbols.sym(address, pid, True, True) for address in addresses]
    tails = [(a.rpartition(b"+")[2], b.rpartition(b"+")[2]) for a, b in zip(shown, texts, strict=True)]
    assert all(a == b for a, b in tails)


def test_a_process_as_bcc_has_it(tmp_path: Path) -> None:
    target = build(TARGET, tmp_path / "target", "-pie", "-fPIE", "-Wl,--no-as-needed", "-lstdc++", "-lm")
    with running(target) as process:
        addresses = []
        for mapping in mappings(process.pid):
            if not mapping.name.startswith("["):
                chosen = random.Random(1).sample(range(mapping.start, mapping.end), 200)
                addresses += sorted(chosen)
        compare(process.pid, [*addresses, process.hidden, process.visible + 3, 1 << 20], 85)


def test_the_kernel_as_bcc_has_it() -> None:
    start, end = symbols.ksymname("_stext"), symbols.ksymname("_etext")
    addresses = random.Random(2).sample(range(start, end), 500)
    compare(-1, [*sorted(addresses), 0, 4096], 90)

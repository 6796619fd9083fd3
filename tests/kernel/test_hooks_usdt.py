"""Static probes of a library of our own: arguments, semaphores, cookies, several places."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from stingless.errors import AttachError, UnknownNameError
from stingless.linux import perf_link, usdt
from stingless.linux.kernel import LinuxKernel
from stingless.symbols.usdt import probe, probes
from tests import usdt_program
from tests.hook_support import Hooks, c_program
from tests.leak_checks import open_files
from tests.linux_support import IS_ROOT

pytestmark = [
    pytest.mark.skipif(not IS_ROOT, reason="bpf(2) needs root"),
    pytest.mark.skipif(perf_link.pmu_type("uprobe") is None, reason="this kernel has no uprobes"),
]
Library = tuple[Path, ctypes.CDLL]


@pytest.fixture
def kernel() -> Iterator[LinuxKernel]:
    with LinuxKernel() as k:
        yield k


@pytest.fixture
def library() -> Iterator[Library]:
    with c_program(usdt_program.source(os.uname().machine), "-shared", "-fPIC") as path:
        yield path, ctypes.CDLL(str(path))


USDT = "#include <bpf/usdt.bpf.h>\n"
SUM = """
    long value; int i; if (!MINE()) return 0;
    for (i = 0; i < 4; i++) { out[i] = -99; error[i] = bpf_usdt_arg(ctx, i, &value); out[i] = value; }
    for (i = 0; i < 4; i++) size[i] = bpf_usdt_arg_size(ctx, i);
    hits++; last = bpf_usdt_cookie(ctx); count = bpf_usdt_arg_cnt(ctx); return 0;
"""
ALL = USDT + "long out[4], error[4], size[4], count;\n"


def longs(hooks: Hooks, name: str) -> list[int]:
    where = hooks.spec.variable_specs[name]
    content = hooks.maps[where.map].lookup(bytes(4))
    assert content is not None
    part = content[where.offset : where.offset + where.size]
    return [int.from_bytes(part[i : i + 8], "little", signed=True) for i in range(0, where.size, 8)]


def test_notes(library: Library) -> None:
    path, _ = library
    found = probes(str(path))
    assert {key: len(each) for key, each in found.places.items()} == {
        ("st", "registers"): 1,
        ("st", "memory"): 1,
        ("st", "twice"): 2,
    }
    (place,) = probe(str(path), "st", "registers")
    assert place.semaphore > 0
    assert path.read_bytes()[place.semaphore : place.semaphore + 2] == b"\0\0"
    with pytest.raises(UnknownNameError, match="nearest: st:registers"):
        probe(str(path), "st", "register")


def test_arguments_in_registers(kernel: LinuxKernel, library: Library) -> None:
    path, code = library
    hooks = Hooks(kernel, f'{ALL} SEC("usdt/{path}:st:registers") int prog(struct pt_regs *ctx) {{ {SUM} }}')
    before = open_files()
    hooks.program()
    assert code.semaphore() == 0
    link = hooks.attach(cookie=1 << 50)
    assert code.semaphore() == 1
    code.in_registers(-7, ctypes.c_ulong(1 << 63 | 5), -300)
    assert longs(hooks, "out") == [-7, (1 << 63 | 5) - (1 << 64), -300, 200]
    assert longs(hooks, "error") == [0, 0, 0, 0]
    assert longs(hooks, "size") == [4, 8, 2, 1]
    assert (hooks.hits, hooks.last, hooks.variable("count")) == (1, 1 << 50, 4)
    link.close()
    assert code.semaphore() == 0
    code.in_registers(1, 2, 3)
    assert hooks.hits == 1
    hooks.program().close()
    assert open_files() == before


def test_arguments_in_memory(kernel: LinuxKernel, library: Library) -> None:
    path, code = library
    hooks = Hooks(kernel, f'{ALL} SEC("usdt") int prog(struct pt_regs *ctx) {{ {SUM} }}')
    hooks.attach(path=path, provider="st", name="memory", pid=os.getpid())
    code.in_memory(3)
    assert longs(hooks, "out") == [-5, -6, 5, 0]
    assert longs(hooks, "error") == [0, 0, 0, -2]
    assert (hooks.hits, hooks.last, hooks.variable("count")) == (1, 0, 3)


def test_parameters_of_the_program_and_two_places(kernel: LinuxKernel, library: Library) -> None:
    path, code = library
    hooks = Hooks(
        kernel,
        USDT
        + f"""
        SEC("usdt/{path}:st:twice") int BPF_USDT(prog, int a) {{ if (MINE()) {{ hits++; last += a; }} return 0; }}
        SEC("usdt/{path}:st:twice") int BPF_USDT(other, int a) {{ if (MINE()) last += 1000000; return 0; }}
        """,
    )
    link = hooks.attach()
    code.twice(5)
    assert (hooks.hits, hooks.last) == (2, 110)
    with hooks.attach("other", cookie=3):
        code.twice(1)
    assert (hooks.hits, hooks.last) == (4, 110 + 102 + 2000000)
    link.close()
    code.twice(1)
    assert hooks.hits == 4
    # All descriptions have been given back.
    assert all(len(room._free) == 256 for specs, room in usdt._rooms.items() if specs in hooks.maps.values())


def test_a_program_without_arguments_has_the_cookie(kernel: LinuxKernel, library: Library) -> None:
    path, code = library
    body = "{ if (MINE()) last += bpf_get_attach_cookie(ctx); return 0; }"
    hooks = Hooks(kernel, f'SEC("usdt/{path}:st:twice") int prog(void *ctx) {body}')
    hooks.attach(cookie=21)
    code.twice(0)
    assert hooks.last == 42


def test_what_cannot_be(kernel: LinuxKernel, library: Library) -> None:
    path, _ = library
    few = f"#define BPF_USDT_MAX_SPEC_CNT 2\n{USDT}"
    hooks = Hooks(kernel, f'{few} SEC("usdt") int BPF_USDT(prog, int a) {{ hits += a; return 0; }}')
    with pytest.raises(AttachError, match=r"path=, provider= and name="):
        hooks.attach()
    with pytest.raises(UnknownNameError, match="nearest: st:twice"):
        hooks.attach(path=path, provider="st", name="twic")
    first = hooks.attach(path=path, provider="st", name="twice", cookie=1)
    with pytest.raises(AttachError, match="BPF_USDT_MAX_SPEC_CNT"):
        hooks.attach(path=path, provider="st", name="twice", cookie=2)
    first.close()
    hooks.attach(path=path, provider="st", name="twice", cookie=2).close()

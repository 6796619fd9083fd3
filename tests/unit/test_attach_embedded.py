"""Attaching by section on the embedded kernel: what it has fires, what it has not says what to take."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from stingless.attach import event_of
from stingless.compile.driver import compile_object
from stingless.embedded.kernel import EmbeddedKernel
from stingless.errors import AttachError, NotSupportedError, PrivilegeError
from stingless.events import Usdt
from stingless.frozen import replace
from stingless.obj.reader import read_object
from tests.hook_support import HEAD, c_program
from tests.usdt_program import PROBES

USER = """
int first(int a) { __asm__ volatile(""); return a + 1; }
int second(int a) { __asm__ volatile(""); return a + 2; }
#include <unistd.h>
int main(void) { for (int i = 0; i < 3; i++) first(i); second(40); return getppid() == 0; }
"""


@pytest.fixture
def kernel() -> Iterator[EmbeddedKernel]:
    with EmbeddedKernel() as made:
        yield made


def values(kernel: EmbeddedKernel, text: str, *argv: str, **where: Any) -> tuple[int, int]:
    """`hits` and `last` after the command ran with all programs attached."""
    spec = kernel.resolve(read_object(compile_object(HEAD + text)))
    maps = {name: kernel.create_map(each) for name, each in spec.maps.items()}
    command = kernel.spawn(argv)
    for program in spec.programs.values():
        kernel.attach(kernel.load_program(program, maps), event_of(program, **where))
    command.release()
    assert command.wait(30) is not None
    content = maps[".bss"].lookup(bytes(4)) or b""
    at = [spec.variable_specs[name].offset for name in ("hits", "last")]
    return int.from_bytes(content[at[0] : at[0] + 8], "little"), int.from_bytes(content[at[1] : at[1] + 8], "little")


CALL = "if (ctx[1] == 110 /* getppid on x86-64 */ || ctx[1] == 173) hits++; return 0;"


@pytest.mark.parametrize(
    ("section", "text"),
    [
        ("tp/syscalls/sys_enter_getppid", "(void *ctx) { hits++; return 0; }"),
        ("tracepoint/syscalls/sys_exit_getppid", "(void *ctx) { hits++; return 0; }"),
        ("raw_tp/sys_enter", "(unsigned long long *ctx) { " + CALL + " }"),
        ("kprobe/sys_getppid", "(void *ctx) { hits++; return 0; }"),
        ("kretprobe/sys_getppid", "(void *ctx) { hits++; return 0; }"),
        ("ksyscall/getppid", "(void *ctx) { hits++; return 0; }"),
        ("kretsyscall/getppid", "(void *ctx) { hits++; return 0; }"),
    ],
)
def test_system_calls(kernel: EmbeddedKernel, section: str, text: str) -> None:
    with c_program(USER) as path:
        assert values(kernel, f'SEC("{section}") int prog{text}', str(path))[0] == 1


def test_user_functions_and_cookies(kernel: EmbeddedKernel) -> None:
    with c_program(USER, "-fno-inline", "-O0") as path:
        text = f"""
        SEC("uprobe/{path}:first") int entry(void *ctx) {{ hits++; return 0; }}
        SEC("uretprobe/{path}:second") int BPF_URETPROBE(left, int result)
        {{ last += result * 1000 + bpf_get_attach_cookie(ctx); return 0; }}
        """
        assert values(kernel, text, str(path), cookie=7) == (3, 42007)


def test_cookie_of_a_tracepoint(kernel: EmbeddedKernel) -> None:
    text = 'SEC("tp/syscalls/sys_enter_getppid") int f(void *ctx) { last = bpf_get_attach_cookie(ctx); return 0; }'
    with c_program(USER) as path:
        assert values(kernel, text, str(path), cookie=1 << 40) == (0, 1 << 40)


def test_perf_event(kernel: EmbeddedKernel) -> None:
    busy = "int main(void) { for (volatile long i = 0; i < 200000000; i++); return 0; }"
    with c_program(busy) as path:
        hits, _ = values(kernel, 'SEC("perf_event") int f(void *ctx) { hits++; return 0; }', str(path), sample_freq=100)
    assert hits >= 3


@pytest.mark.parametrize(
    ("section", "where", "advice"),
    [
        ("kprobe.session/tcp_*", {}, "one program to the entry"),
        ("socket", {"socket": 0}, "give an interface"),
    ],
)
def test_what_is_not_there(kernel: EmbeddedKernel, section: str, where: dict[str, Any], advice: str) -> None:
    spec = read_object(compile_object(f'{HEAD} SEC("{section}") int prog(void *ctx) {{ return 0; }}')).programs["prog"]
    program = kernel.load_program(spec, {})
    with pytest.raises(NotSupportedError) as e:
        kernel.attach(program, event_of(spec, **where))
    assert advice in str(e.value)
    assert "on the embedded kernel" in str(e.value)


def test_programs_of_types_that_are_not_there(kernel: EmbeddedKernel) -> None:
    text = f'{HEAD} SEC("fentry/vfs_read") int prog(void *ctx) {{ return 0; }}'
    spec = read_object(compile_object(text)).programs["prog"]
    with pytest.raises(NotSupportedError, match="embedded kernel"):
        kernel.load_program(spec, {})


def test_static_probe_with_arguments(kernel: EmbeddedKernel) -> None:
    calls = "int main(void) { in_registers(1, 2, 3); in_registers(40, 5, 6); return 0; }"
    with c_program(f"{PROBES}\n{calls}") as path:
        text = f"""
        #include <bpf/usdt.bpf.h>
        SEC("usdt/{path}:st:registers") int BPF_USDT(f, int a, unsigned long b, short c)
        {{ hits++; last = last * 1000 + a * 10 + b + c; return 0; }}
        """
        assert values(kernel, text, str(path)) == (2, 15 * 1000 + 411)


def test_descriptions_of_a_static_probe_are_given_back(kernel: EmbeddedKernel) -> None:
    with c_program(f"{PROBES}\nint main(void) {{ in_registers(1, 2, 3); return 0; }}") as path:
        text = f"""
        #define BPF_USDT_MAX_SPEC_CNT 1
        #include <bpf/usdt.bpf.h>
        SEC("usdt/{path}:st:registers") int BPF_USDT(f, int a) {{ hits++; return 0; }}
        """
        spec = kernel.resolve(read_object(compile_object(HEAD + text)))
        maps = {name: kernel.create_map(each) for name, each in spec.maps.items()}
        program = kernel.load_program(spec.programs["f"], maps)
        with pytest.raises(PrivilegeError, match="it is this process"), EmbeddedKernel() as other:
            own = {name: other.create_map(each) for name, each in spec.maps.items()}
            f = other.load_program(spec.programs["f"], own)
            event = Usdt(str(path), "st", "registers", os.getpid(), cookie=3)
            try:
                other.attach(f, event)
            except PrivilegeError:
                other.attach(f, replace(event, pid=-1, cookie=4))  # there is room for one
                raise
        first = kernel.attach(program, Usdt(str(path), "st", "registers", cookie=1))
        with pytest.raises(AttachError, match="is full; define BPF_USDT_MAX_SPEC_CNT"):
            kernel.attach(program, Usdt(str(path), "st", "registers", cookie=2))
        first.close()
        kernel.attach(program, Usdt(str(path), "st", "registers", cookie=2))
        with pytest.raises(AttachError, match="/no/such/file: No such file"):
            kernel.attach(program, Usdt("/no/such/file", "st", "registers"))


def test_many_functions_of_a_file(kernel: EmbeddedKernel) -> None:
    with c_program(USER, "-fno-inline", "-O0") as path:
        text = f'SEC("uprobe.multi/{path}:?irs*") int f(void *ctx) {{ hits++; return 0; }}'
        assert values(kernel, text, str(path))[0] == 3


def test_many_system_calls(kernel: EmbeddedKernel) -> None:
    prefix = "__arm64" if os.uname().machine == "aarch64" else "__x64"
    with c_program(USER) as path:
        text = f'SEC("kprobe.multi/{prefix}_sys_getpp*") int f(void *ctx) {{ hits++; return 0; }}'
        assert values(kernel, text, str(path))[0] == 1

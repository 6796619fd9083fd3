"""Objects loaded where the host's kernel cannot: old kernels, variables of the kernel, modules, other programs."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

import pytest

from stingless._gen.uapi import AttachType
from stingless.btf.kernel import kernel_btf
from stingless.btf.types import Kind
from stingless.errors import NotSupportedError, UnknownNameError
from stingless.linux import btf_objects
from stingless.linux.kernel import LinuxKernel
from stingless.linux.program_info import dump
from tests.load_support import BARE, Loaded, compiled

RELEASE = tuple(map(int, os.uname().release.split(".")[:2]))


@pytest.fixture
def kernel() -> Iterator[LinuxKernel]:
    with LinuxKernel() as k:
        yield k


def test_types_that_old_kernels_do_not_know(kernel: LinuxKernel) -> None:
    """The object's BTF is taken, whatever the kernel knows of it, so that the program has its source lines."""
    loaded = Loaded(
        kernel,
        compiled(
            """
enum wide { SMALL, WIDE = 0x123456789abcULL };
struct all { double real; enum wide wide; int __attribute__((btf_type_tag("user"))) *tagged; }
    __attribute__((btf_decl_tag("mine")));
struct all all = { .wide = WIDE };
__noinline __u64 global(void) { return all.wide; }
SEC("xdp") int probe(struct xdp_md *ctx) { return global() == WIDE ? XDP_TX : XDP_DROP; }
""",
            BARE,
        ),
    )
    program = loaded.programs["probe"]
    assert program.run(bytes(64)).retval == 3
    info = program.info
    assert info.btf_id
    assert any("return global() == WIDE" in text for _, _, _, text in info.lines)
    assert "return all.wide" in dump(info)
    lacking = {"FLOAT": (5, 13), "DECL_TAG": (5, 16), "TYPE_TAG": (5, 17), "ENUM64": (6, 0)}
    assert btf_objects.lacking() == {name for name, since in lacking.items() if since > RELEASE}


def test_a_variable_of_the_kernel(kernel: LinuxKernel) -> None:
    """Each CPU's run queue tells its CPU."""
    spec = compiled(
        """
struct rq { int cpu; } __attribute__((preserve_access_index));
extern const struct rq runqueues __ksym;
extern const int there_is_no_such_variable __ksym __weak;
int cpu = -1, absent;
SEC("raw_tp/sched_switch") int probe(u64 *ctx)
{
    const struct rq *rq = bpf_per_cpu_ptr(&runqueues, 0);
    if (rq) cpu = rq->cpu;
    absent = &there_is_no_such_variable == 0;
    return 0;
}
""",
        BARE,
    )
    if kernel_btf().find("runqueues", Kind.VAR) is None:  # as in Debian's 5.10, whose BTF has no variables
        with pytest.raises(UnknownNameError, match="runqueues"):
            kernel.resolve(spec)
        return
    loaded = Loaded(kernel, spec)
    assert loaded.programs["probe"].run(ctx=struct.pack("<Q", 0)).retval == 0
    assert loaded.values() == {"cpu": 0, "absent": 1}


def module_function() -> tuple[str, str]:
    """(module, function) of a loaded module, that no other module and not the kernel has."""
    btf = kernel_btf()
    for module in btf.modules():
        types = btf.module_btf(module)
        for type_id in types.ids(Kind.FUNC):
            name = types.type(type_id).name
            if btf.find(name, Kind.FUNC) is None and name.startswith("p9_client_"):
                return module, name
    pytest.fail("no module has a p9_client_ function")


def test_a_function_of_a_module(kernel: LinuxKernel) -> None:
    if RELEASE < (5, 11):
        with pytest.raises(UnknownNameError, match="p9_client_clunk"):
            kernel.resolve(compiled('SEC("fentry/p9_client_clunk") int p(u64 *ctx) { return 0; }', BARE))
        return
    module, function = module_function()
    for target in (function, f"{module}:{function}"):
        loaded = Loaded(kernel, compiled(f'SEC("fentry/{target}") int p(u64 *ctx) {{ return 0; }}', BARE))
        assert loaded.spec.programs["p"].attach_module == module
        assert loaded.programs["p"].info.id
    with pytest.raises(UnknownNameError, match="module 'no_such_module'"):
        kernel.resolve(compiled(f'SEC("fentry/no_such_module:{function}") int p(u64 *ctx) {{ return 0; }}', BARE))


TARGET = """
__noinline int verdict(struct xdp_md *ctx) { volatile int r = XDP_PASS; return r; }
SEC("xdp") int filter(struct xdp_md *ctx) { return verdict(ctx); }
"""


def test_programs_for_another_program(kernel: LinuxKernel) -> None:
    target = Loaded(kernel, compiled(TARGET, BARE)).programs["filter"]
    spec = compiled(
        """
SEC("freplace/verdict") int drop(struct xdp_md *ctx) { return XDP_DROP; }
SEC("?fexit/filter") int after(u64 *ctx) { return 0; }
""",
        BARE,
    )
    drop = kernel.load_program(spec.programs["drop"], {}, target=target)
    after = kernel.load_program(spec.programs["after"], {}, target=target)
    assert drop.info.name == "drop"
    assert after.spec.attach_type is AttachType.TRACE_FEXIT


def test_attach_types_that_the_kernel_lacks(kernel: LinuxKernel) -> None:
    spec = compiled('SEC("lsm_cgroup/socket_bind") int p(u64 *ctx) { return 1; }', BARE)
    if RELEASE >= (6, 0):
        assert Loaded(kernel, spec).programs["p"].info.id
    else:
        with pytest.raises(NotSupportedError, match=r"LSM_CGROUP.*Linux 6\.0"):
            Loaded(kernel, spec)

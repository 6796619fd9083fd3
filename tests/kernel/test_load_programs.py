"""Loaded programs: every type, what the kernel tells of them, pins, test runs with contexts."""

from __future__ import annotations

import errno
import os
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stingless._gen.uapi import AttachType, ProgramType
from stingless.asm.instruction import encode, exit_, mov_imm
from stingless.errors import LoadError, NotSupportedError, PrivilegeError, VerifierError
from stingless.linux.kernel import LinuxKernel
from stingless.linux.program_info import dump, enable_stats
from stingless.obj.sections import section_kind
from stingless.obj.spec import ProgramSpec
from tests.linux_support import IS_ROOT
from tests.load_support import BARE, Loaded, compiled

pytestmark = pytest.mark.skipif(not IS_ROOT, reason="bpf(2) needs root")


@pytest.fixture
def kernel() -> Iterator[LinuxKernel]:
    with LinuxKernel() as k:
        yield k


def minimal(section: str, result: int = 1) -> ProgramSpec:
    kind = section_kind(section)
    return ProgramSpec(
        "minimal",
        section,
        kind.type,
        encode([mov_imm(0, result), exit_()]),
        attach_type=kind.attach,
        attach_target=kind.btf_target,
        flags=kind.flags,
    )


@pytest.mark.parametrize(
    "section",
    [
        "socket",
        "sk_reuseport",
        "kprobe",
        "kprobe.multi",
        "uprobe",
        "uprobe.s",
        "uprobe.multi",
        "tc",
        "tcx/ingress",
        "netkit/peer",
        "action",
        "tracepoint",
        "raw_tp",
        "raw_tp.w",
        "tp_btf/sched_switch",
        "syscall",
        "xdp",
        "xdp.frags",
        "xdp/devmap",
        "xdp/cpumap",
        "perf_event",
        "lwt_in",
        "lwt_out",
        "lwt_xmit",
        "lwt_seg6local",
        "sockops",
        "sk_skb",
        "sk_skb/stream_parser",
        "sk_msg",
        "flow_dissector",
        "cgroup/skb",
        "cgroup_skb/egress",
        "cgroup/sock",
        "cgroup/post_bind4",
        "cgroup/sysctl",
        "cgroup/getsockopt",
        "cgroup/setsockopt",
        "cgroup/dev",
        "sk_lookup",
        "netfilter",
        "cgroup/bind4",
        "cgroup/connect6",
        "cgroup/recvmsg4",
        "cgroup/sendmsg6",
        "cgroup/getpeername4",
        "cgroup/connect_unix",
    ],
)
def test_types(kernel: LinuxKernel, section: str) -> None:
    spec = minimal(section)
    info = kernel.load_program(spec, {}).info
    assert (info.type, info.verified_insns) == (spec.type, 2)


def test_iterators_return_zero(kernel: LinuxKernel) -> None:
    assert kernel.load_program(minimal("iter/task", 0), {}).info.type == ProgramType.TRACING


@pytest.mark.parametrize("section", ["fentry/vfs_read", "fexit/vfs_read", "lsm/file_open"])
def test_what_a_host_may_forbid(kernel: LinuxKernel, section: str) -> None:
    """Verified and loaded, or refused by a policy, which the error says."""
    try:
        assert kernel.load_program(minimal(section, 0), {}).info.id
    except PrivilegeError as e:
        assert "a policy of this host" in str(e)


def test_types_that_are_not_there(kernel: LinuxKernel) -> None:
    with pytest.raises(LoadError, match="in no struct"):
        kernel.load_program(minimal("struct_ops/init"), {})
    if not Path("/dev/lirc0").exists():
        with pytest.raises(NotSupportedError, match="CONFIG_BPF_LIRC_MODE2"):
            kernel.load_program(minimal("lirc_mode2"), {})


def test_a_section_without_target(kernel: LinuxKernel) -> None:
    with pytest.raises(VerifierError, match="btf_id") as e:
        kernel.load_program(minimal("tp_btf"), {})
    assert "fentry/vfs_read" in e.value.hint


INFORMED = """
struct { __uint(type, BPF_MAP_TYPE_HASH); __type(key, int); __type(value, long); __uint(max_entries, 4); }
    counts SEC(".maps");
SEC("xdp") int informed(struct xdp_md *ctx)
{
    int key = 1;
    long *value = bpf_map_lookup_elem(&counts, &key);
    return value ? XDP_PASS : XDP_TX;
}
"""


def test_info(kernel: LinuxKernel) -> None:
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    loaded = Loaded(kernel, compiled(INFORMED, BARE))
    program = loaded.programs["informed"]
    info = program.info
    assert (info.type, info.name, info.gpl_compatible) == (ProgramType.XDP, "informed", True)
    assert info.map_ids == (loaded.maps["counts"].info.id,)
    assert len(info.tag) == 16
    assert len(info.translated) % 8 == 0
    assert before <= info.loaded_at <= time.clock_gettime(time.CLOCK_BOOTTIME)
    texts = [(file, text) for _, file, _, text in info.lines]
    assert ("prog.bpf.c", "long *value = bpf_map_lookup_elem(&counts, &key);") in texts
    shown = dump(info)
    assert f"map[id:{info.map_ids[0]}]" in shown
    assert shown.index("; int key = 1;") < shown.index("; long *value") < shown.index("exit")


def test_statistics(kernel: LinuxKernel) -> None:
    program = Loaded(kernel, compiled(INFORMED, BARE)).programs["informed"]
    with enable_stats():
        program.run(bytes(64), repeat=1000)
    counted = program.info
    assert counted.run_count >= 1000
    assert counted.run_time_ns > 0


def test_open_by_id(kernel: LinuxKernel) -> None:
    program = Loaded(kernel, compiled(INFORMED, BARE)).programs["informed"]
    other = kernel.open_program(program.info.id)
    assert other.fd != program.fd
    assert (other.spec.name, other.spec.type, other.info.tag) == ("informed", ProgramType.XDP, program.info.tag)
    assert other.run(bytes(64)).retval == 3
    with pytest.raises(FileNotFoundError):
        kernel.open_program(0x7FFFFFFF)


def test_pin(tmp_path: Path) -> None:
    directory = tmp_path / "bpffs"
    directory.mkdir()
    if subprocess.run(["mount", "-t", "bpf", "bpf", directory], check=False, capture_output=True).returncode:
        pytest.skip("no bpffs can be mounted")
    try:
        with LinuxKernel() as first:
            loaded = Loaded(first, compiled(INFORMED, BARE))
            program = loaded.programs["informed"]
            program.pin(directory / "p")
            loaded.maps["counts"].pin(directory / "m")
            tag = program.info.tag
            with pytest.raises(FileExistsError):
                program.pin(directory / "p")
            with pytest.raises(FileNotFoundError):
                program.pin(directory / "absent" / "p")
        with LinuxKernel() as second:
            again = second.open_program(directory / "p")
            assert (again.info.tag, again.run(bytes(64)).retval) == (tag, 3)
            with pytest.raises(LoadError, match="is not a program"):
                second.open_program(directory / "m")
    finally:
        subprocess.run(["umount", directory], check=True)


def test_context_of_xdp(kernel: LinuxKernel) -> None:
    """Metadata before the packet, and the interface's index, as the program sees them."""
    text = """
struct full { __u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex; };
SEC("xdp") int seen(struct full *ctx)
{
    __u32 *meta = (void *)(long)ctx->data_meta;
    if ((void *)(meta + 1) > (void *)(long)ctx->data) return 0;
    return *meta;
}
"""
    program = Loaded(kernel, compiled(text, BARE)).programs["seen"]
    packet = struct.pack("<I", 1234) + bytes(64)
    context = struct.pack("<6I", 4, len(packet), 0, 1, 0, 0)
    result = program.run(packet, context)
    assert result.retval == 1234
    assert struct.unpack("<6I", result.ctx)[:2] == (4, len(packet))


def test_a_chosen_cpu(kernel: LinuxKernel) -> None:
    text = 'SEC("raw_tp/sched_switch") int cpu(void *ctx) { return bpf_get_smp_processor_id(); }'
    spec = compiled(text, BARE).programs["cpu"]
    program = kernel.load_program(spec, {})
    for cpu in os.sched_getaffinity(0):
        assert program.run(ctx=bytes(8), cpu=cpu).retval == cpu
    with pytest.raises(LoadError) as e:
        program.run(ctx=bytes(8), cpu=1 << 20)
    assert e.value.errno in (errno.EINVAL, errno.ENXIO)


def test_attach_types_go_along(kernel: LinuxKernel) -> None:
    """A program may see the member of its context that only its attach type has."""
    text = """
struct bpf_sock_addr { __u32 user_family, user_ip4, user_ip6[4]; };
SEC("cgroup/connect6") int six(struct bpf_sock_addr *ctx) { return ctx->user_ip6[0] == 7; }
"""
    spec = compiled(text, BARE).programs["six"]
    assert spec.attach_type is AttachType.CGROUP_INET6_CONNECT
    assert kernel.load_program(spec, {}).info.id

"""From a program's section and arguments to its event: pure."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from stingless import events
from stingless._gen.uapi import AttachType, ProgramType
from stingless.attach import event_of
from stingless.errors import AttachError, UnknownNameError
from stingless.events import Event
from stingless.obj.sections import section_kind
from stingless.obj.spec import ProgramSpec
from stingless.symbols.elf import function_offset
from stingless.symbols.libraries import resolve_binary


def spec(section: str, **fields: Any) -> ProgramSpec:
    kind = section_kind(section)
    known: dict[str, Any] = {
        "attach_type": kind.attach,
        "attach_to": kind.target,
        "attach_target": kind.btf_target,
        "flags": kind.flags,
    }
    return ProgramSpec("prog", section, kind.type, b"", **known | fields)


A = AttachType
LIBC = str(resolve_binary("libc.so.6"))
OPEN = function_offset(LIBC, "malloc")


class Numbered:
    """A map, a program or a socket."""

    fd = 7

    def fileno(self) -> int:
        return 8


CASES: list[tuple[str, dict[str, Any], Event]] = [
    ("kprobe/vfs_read", {}, events.Kprobe("vfs_read")),
    ("?kprobe/vfs_read+0x10", {"cookie": 3}, events.Kprobe("vfs_read", 16, cookie=3)),
    ("kretprobe/vfs_read", {}, events.Kprobe("vfs_read", ret=True)),
    ("kprobe", {"function": "vfs_open", "offset": 4}, events.Kprobe("vfs_open", 4)),
    ("ksyscall/execve", {}, events.Kprobe("sys_execve")),
    ("kretsyscall/fstat", {"cookie": 1}, events.Kprobe("sys_newfstat", ret=True, cookie=1)),
    ("kprobe.multi/tcp_*", {}, events.KprobeMulti(("tcp_*",))),
    ("kretprobe.multi", {"functions": ["a", "b"]}, events.KprobeMulti(("a", "b"), ret=True)),
    ("kprobe.session/x", {}, events.KprobeMulti(("x",), session=True)),
    ("uprobe/libc.so.6:malloc", {}, events.Uprobe(LIBC, OPEN, symbol="malloc")),
    ("uprobe.s/libc.so.6:malloc+4", {"pid": 5}, events.Uprobe(LIBC, OPEN + 4, pid=5, symbol="malloc")),
    (f"uretprobe/{LIBC}:malloc@GLIBC_2.2.5", {}, events.Uprobe(LIBC, OPEN, True, symbol="malloc@GLIBC_2.2.5")),
    (f"uprobe/{LIBC}:0x1234", {}, events.Uprobe(LIBC, 0x1234)),
    ("uprobe", {"path": LIBC, "offset": 64, "ref_ctr_offset": 2}, events.Uprobe(LIBC, 64, ref_ctr_offset=2)),
    ("uprobe.multi/libc.so.6:malloc", {}, events.UprobeMulti(LIBC, (OPEN,), pattern="malloc")),
    (
        "uprobe.session",
        {"path": "libc.so.6", "symbols": ["malloc"], "cookies": [9]},
        events.UprobeMulti(LIBC, (OPEN,), session=True, cookies=(9,), pattern="malloc"),
    ),
    ("usdt/libc.so.6:libc:setjmp", {"cookie": 2}, events.Usdt(LIBC, "libc", "setjmp", cookie=2)),
    ("tp/sched/sched_process_exec", {}, events.Tracepoint("sched", "sched_process_exec")),
    ("tracepoint", {"category": "a", "name": "b", "cookie": 4}, events.Tracepoint("a", "b", 4)),
    ("raw_tp/sys_enter", {}, events.RawTracepoint("sys_enter")),
    ("raw_tracepoint.w/nbd_send_request", {}, events.RawTracepoint("nbd_send_request")),
    ("tp_btf/sys_enter", {}, events.Tracing()),
    ("fentry/vfs_read", {"cookie": 5}, events.Tracing(5)),
    ("fmod_ret.s/x", {}, events.Tracing()),
    ("lsm/file_open", {}, events.Tracing()),
    ("fsession/x", {}, events.Tracing()),
    ("fexit.multi/tcp_*", {}, events.TracingMulti(("tcp_*",))),
    ("fsession.multi.s", {"functions": "f", "cookies": [1]}, events.TracingMulti(("f",), (1,))),
    ("freplace/f", {}, events.Freplace()),
    ("freplace", {"program": Numbered(), "function": "f"}, events.Freplace(7, "f")),
    ("iter/task", {"pid": 12}, events.Iter(pid=12)),
    ("iter.s/bpf_map_elem", {"map": Numbered()}, events.Iter(map=7)),
    ("iter/cgroup", {"cgroup": Path("/x"), "order": "self_only"}, events.Iter(cgroup="/x", order="self_only")),
    ("perf_event", {"sample_freq": 9}, events.PerfEvent(1, 0, sample_freq=9)),
    ("xdp", {"interface": "eth0", "flags": 2}, events.Xdp("eth0", 2)),
    ("xdp.frags", {"interface": "lo"}, events.Xdp("lo")),
    ("xdp", {"interface": "lo", "mode": "generic"}, events.Xdp("lo", 2)),
    ("tc", {"interface": "lo", "direction": "egress"}, events.Tc("lo", egress=True)),
    ("tc/ingress", {"interface": 1}, events.Tc("lo")),
    ("tcx/egress", {"interface": "lo"}, events.Tc("lo", egress=True)),
    ("netkit/peer", {"interface": "nk"}, events.Netkit("nk", peer=True)),
    ("netkit/primary", {"interface": "nk"}, events.Netkit("nk")),
    (
        "netfilter",
        {"family": "ipv6", "hook": "local_out", "priority": -3, "defragment": True},
        events.Netfilter(10, 3, -3, 1),
    ),
    ("cgroup_skb/egress", {"cgroup": "/c"}, events.Cgroup("/c", A.CGROUP_INET_EGRESS)),
    ("cgroup/skb", {"cgroup": "/c", "direction": "ingress"}, events.Cgroup("/c", A.CGROUP_INET_INGRESS)),
    ("cgroup/connect_unix", {"cgroup": "/c"}, events.Cgroup("/c", A.CGROUP_UNIX_CONNECT)),
    ("cgroup/dev", {"cgroup": "/c"}, events.Cgroup("/c", A.CGROUP_DEVICE)),
    ("sockops", {"cgroup": "/c"}, events.Cgroup("/c", A.CGROUP_SOCK_OPS)),
    ("lsm_cgroup/socket_bind", {"cgroup": "/c"}, events.Cgroup("/c", A.LSM_CGROUP)),
    ("sk_lookup", {"netns": ""}, events.Netns(A.SK_LOOKUP)),
    ("flow_dissector", {"netns": "blue"}, events.Netns(A.FLOW_DISSECTOR, "/run/netns/blue")),
    ("sk_msg", {"map": 5}, events.Sockmap(5, A.SK_MSG_VERDICT)),
    ("sk_skb/stream_parser", {"map": Numbered()}, events.Sockmap(7, A.SK_SKB_STREAM_PARSER)),
    ("sk_skb", {"map": 5, "attach_type": A.SK_SKB_VERDICT}, events.Sockmap(5, A.SK_SKB_VERDICT)),
    ("socket", {"interface": ""}, events.SocketFilter()),
    ("socket", {"interface": "lo"}, events.SocketFilter("lo")),
    ("socket", {"socket": Numbered()}, events.SocketFilter(socket=8)),
    ("sk_reuseport/migrate", {"socket": 4}, events.Reuseport(4)),
    ("lirc_mode2", {"device": "/dev/lirc0"}, events.Lirc("/dev/lirc0")),
]


@pytest.mark.parametrize(("section", "where", "event"), CASES, ids=lambda v: v if isinstance(v, str) else "")
def test_event(section: str, where: dict[str, Any], event: Event) -> None:
    assert event_of(spec(section), **where) == event
    assert str(event)


MISSING = [
    ("kprobe", {}, "function="),
    ("ksyscall", {}, "syscall="),
    ("kprobe.multi", {}, "pattern="),
    ("fentry.multi", {}, "pattern="),
    ("uprobe", {}, "path="),
    ("uprobe/libc.so.6", {}, "path="),
    ("uprobe", {"path": LIBC}, "symbol= or offset="),
    ("uprobe.multi", {"path": LIBC}, "pattern="),
    ("usdt", {}, "path=, provider= and name="),
    ("tp", {}, "category= and name="),
    ("tp/sched", {}, "category= and name="),
    ("raw_tp", {}, "name="),
    ("fentry", {}, "the kernel function or tracepoint is missing"),
    ("lsm", {}, "the hook is missing"),
    ("iter/bpf_map_elem", {}, "map="),
    ("iter/cgroup", {}, "cgroup="),
    ("perf_event", {}, "sample_freq="),
    ("xdp", {}, "interface="),
    ("tc", {"interface": "lo"}, "direction="),
    ("netfilter", {}, "family="),
    ("netfilter", {"family": "ipv4"}, "hook="),
    ("cgroup/bind4", {}, "cgroup="),
    ("cgroup/skb", {"cgroup": "/c"}, "direction="),
    ("sk_lookup", {}, "netns="),
    ("flow_dissector", {}, "netns="),
    ("socket", {}, "socket= or interface="),
    ("sk_msg", {}, "map="),
    ("sk_skb", {"map": 3}, "attach_type="),
    ("sk_reuseport", {}, "socket="),
    ("lirc_mode2", {}, "device="),
]


@pytest.mark.parametrize(("section", "where", "what"), MISSING)
def test_what_is_missing(section: str, where: dict[str, Any], what: str) -> None:
    with pytest.raises(AttachError) as e:
        event_of(spec(section), **where)
    assert what in str(e.value)
    assert repr(section) in str(e.value)


@pytest.mark.parametrize(
    ("section", "why"),
    [
        ("syscall", r"run\(ctx="),
        ("struct_ops/init", "attach the map"),
        ("action", "tc actions add"),
        ("lwt_xmit", "ip route add"),
        ("xdp/devmap", "entries of a DEVMAP"),
        ("xdp.frags/cpumap", "entries of a CPUMAP"),
        ("kretprobe/f+4", "a return has no offset"),
        ("kprobe/f+x", "'x' is not an offset"),
        ("a_name_of_mine", "known are: .*kprobe"),
    ],
)
def test_what_cannot_be(section: str, why: str) -> None:
    with pytest.raises(AttachError, match=why):
        event_of(spec(section))


def test_a_section_of_ones_own_goes_by_its_type() -> None:
    mine = ProgramSpec("prog", "xdp_drop_all", ProgramType.XDP, b"")
    assert event_of(mine, interface="lo") == events.Xdp("lo")
    mine = ProgramSpec("prog", "my_filter", ProgramType.SOCKET_FILTER, b"")
    assert event_of(mine, interface="") == events.SocketFilter()


def test_arguments_that_do_not_belong_there() -> None:
    with pytest.raises(TypeError, match=r"attached with function=, offset=, cookie=; not with interface="):
        event_of(spec("kprobe/f"), interface="lo")


def test_user_functions_and_system_calls_that_are_not_there() -> None:
    with pytest.raises(UnknownNameError, match=r"nearest: .*\bmalloc\b"):
        event_of(spec("uprobe/libc.so.6:mallocc"))
    with pytest.raises(UnknownNameError, match="no library or program"):
        event_of(spec("uprobe/no-such-program-here:f"))
    with pytest.raises(UnknownNameError, match=r"nearest: .*\bopenat\b"):
        event_of(spec("ksyscall/openatt"))
    with pytest.raises(AttachError, match=r"no function in .* matches"):
        event_of(spec("uprobe.multi/libc.so.6:nothing_like_it_*"))


def test_functions_by_pattern() -> None:
    event = event_of(spec("uretprobe.multi/libc.so.6:mall*"))
    assert isinstance(event, events.UprobeMulti)
    assert OPEN in event.offsets
    assert len(set(event.offsets)) == len(event.offsets) >= 2
    assert event.ret


def test_a_program_below_another_root_is_taken_as_it_is() -> None:
    path = f"/proc/{os.getpid()}/root{LIBC}"
    assert event_of(spec(f"uprobe/{path}:malloc")) == events.Uprobe(path, OPEN, symbol="malloc")

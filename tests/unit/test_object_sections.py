"""What sections' names say of programs: compared with libbpf where it is installed."""

from __future__ import annotations

import ctypes

import pytest

from stingless._gen.uapi import AttachType, ProgramType
from stingless.obj.sections import BPF_F_SLEEPABLE, BPF_F_XDP_HAS_FRAGS, SectionKind, section_kind
from tests.libbpf_oracle import libbpf

# fmt: off
NAMES = [
    "socket", "sk_reuseport/migrate", "sk_reuseport", "kprobe/", "uprobe/", "uprobe.s/", "kretprobe/", "uretprobe/",
    "uretprobe.s/", "kprobe.multi/", "kretprobe.multi/", "ksyscall/", "kretsyscall/", "usdt/", "tc", "classifier",
    "action", "tracepoint/", "tp/", "raw_tracepoint/", "raw_tp/", "raw_tracepoint.w/", "raw_tp.w/", "tp_btf/",
    "fentry/", "fmod_ret/", "fexit/", "fentry.s/", "fmod_ret.s/", "fexit.s/", "freplace/", "lsm/", "lsm.s/",
    "lsm_cgroup/", "iter/", "iter.s/", "syscall", "xdp.frags/devmap", "xdp/devmap", "xdp.frags/cpumap", "xdp/cpumap",
    "xdp.frags", "xdp", "perf_event", "lwt_in", "lwt_out", "lwt_xmit", "lwt_seg6local", "sockops",
    "sk_skb/stream_parser", "sk_skb/stream_verdict", "sk_skb", "sk_msg", "lirc_mode2", "flow_dissector",
    "cgroup_skb/ingress", "cgroup_skb/egress", "cgroup/skb", "cgroup/sock_create", "cgroup/sock_release",
    "cgroup/sock", "cgroup/post_bind4", "cgroup/post_bind6", "cgroup/bind4", "cgroup/bind6", "cgroup/connect4",
    "cgroup/connect6", "cgroup/sendmsg4", "cgroup/sendmsg6", "cgroup/recvmsg4", "cgroup/recvmsg6",
    "cgroup/getpeername4", "cgroup/getpeername6", "cgroup/getsockname4", "cgroup/getsockname6", "cgroup/sysctl",
    "cgroup/getsockopt", "cgroup/setsockopt", "cgroup/dev", "struct_ops/", "sk_lookup",
]
# fmt: on


def _of_libbpf(name: str) -> tuple[int, int]:
    library = libbpf()
    assert library is not None
    type, attach = ctypes.c_int(), ctypes.c_int()
    if library.libbpf_prog_type_by_name(name.encode(), ctypes.byref(type), ctypes.byref(attach)):
        return 0, 0
    return type.value, attach.value


@pytest.mark.skipif(libbpf() is None, reason="libbpf.so.1 is not installed")
@pytest.mark.parametrize("name", NAMES)
def test_names_are_read_as_libbpf_reads_them(name: str) -> None:
    assert _of_libbpf(name) != (0, 0)
    for variant in (name, name.rstrip("/"), name + "x", name + "/x", name + "x/y", "x" + name):
        kind = section_kind(variant)
        assert (int(kind.type), int(kind.attach or 0)) == _of_libbpf(variant), variant


T, A = ProgramType, AttachType


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("tc/ingress", (T.SCHED_CLS, A.TCX_INGRESS)),
        ("tcx/egress", (T.SCHED_CLS, A.TCX_EGRESS)),
        ("netkit/peer", (T.SCHED_CLS, A.NETKIT_PEER)),
        ("netfilter", (T.NETFILTER, A.NETFILTER)),
        ("kprobe.session/f", (T.KPROBE, A.TRACE_KPROBE_SESSION, 0, True, "f")),
        ("uprobe.multi.s/a:b", (T.KPROBE, A.TRACE_UPROBE_MULTI, BPF_F_SLEEPABLE, True, "a:b")),
        ("uretprobe.multi/a:b", (T.KPROBE, A.TRACE_UPROBE_MULTI, 0, True, "a:b")),
        ("uprobe.session.s/a:b", (T.KPROBE, A.TRACE_UPROBE_SESSION, BPF_F_SLEEPABLE, True, "a:b")),
        ("usdt.s/p:a:b", (T.KPROBE, None, BPF_F_SLEEPABLE, True, "p:a:b")),
        ("tp.s/a/b", (T.TRACEPOINT, None, BPF_F_SLEEPABLE, True, "a/b")),
        ("fsession/f", (T.TRACING, A.TRACE_FSESSION, 0, True, "f", "f")),
        ("fentry.multi.s/f*", (T.TRACING, A.TRACE_FENTRY_MULTI, BPF_F_SLEEPABLE, True, "f*")),
        ("cgroup/connect_unix", (T.CGROUP_SOCK_ADDR, A.CGROUP_UNIX_CONNECT)),
        ("sk_skb/verdict", (T.SK_SKB, A.SK_SKB_VERDICT)),
        ("struct_ops.s/x", (T.STRUCT_OPS, None, BPF_F_SLEEPABLE, True, "x")),
        ("syscall", (T.SYSCALL, None, BPF_F_SLEEPABLE)),
        ("xdp.frags/cpumap", (T.XDP, A.XDP_CPUMAP, BPF_F_XDP_HAS_FRAGS)),
        ("xdp.frags", (T.XDP, A.XDP, BPF_F_XDP_HAS_FRAGS)),
        ("?kprobe/f", (T.KPROBE, None, 0, False, "f")),
        ("uprobe//bin/sh:main+4", (T.KPROBE, None, 0, True, "/bin/sh:main+4")),
        ("lsm.s/file_open", (T.LSM, A.LSM_MAC, BPF_F_SLEEPABLE, True, "file_open", "bpf_lsm_file_open")),
        ("tp_btf/sched_switch", (T.TRACING, A.TRACE_RAW_TP, 0, True, "sched_switch", "btf_trace_sched_switch")),
        ("iter/task", (T.TRACING, A.TRACE_ITER, 0, True, "task", "bpf_iter_task")),
        ("tp_btf/nfs:read", (T.TRACING, A.TRACE_RAW_TP, 0, True, "nfs:read", "nfs:btf_trace_read")),
        ("fentry", (T.TRACING, A.TRACE_FENTRY)),
        ("freplace/main", (T.EXT, None, 0, True, "main", "main")),
        ("my_function", (T.UNSPEC,)),
        ("xdp/mine", (T.UNSPEC,)),
        ("?other", (T.UNSPEC, None, 0, False)),
        ("kprobe+", (T.UNSPEC,)),
        ("", (T.UNSPEC,)),
    ],
)
def test_names(name: str, kind: tuple[object, ...]) -> None:
    assert section_kind(name) == SectionKind(*kind)  # type: ignore[arg-type]


def test_every_program_and_attach_type_that_a_section_can_name_is_named() -> None:
    from stingless.obj.sections import _TABLE

    types = {type for type, _ in _TABLE}
    assert set(ProgramType) - types == {T.UNSPEC}
    # These are asked for when attaching, by links of their own.
    others = {A.PERF_EVENT, A.STRUCT_OPS}
    assert set(AttachType) - {attach for _, attach in _TABLE} == others

"""What this kernel can do here, each found by trying it in a way that harms nobody: programs that only return are
attached for a moment, to rare events, to this process, or in a network namespace of our own."""

from __future__ import annotations

import errno
import os
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from stingless._gen.uapi import AttachType, MapType, ProgramType
from stingless._sys import bpf_btf, bpf_map, namespace
from stingless._sys.mount import mount_points
from stingless.asm.instruction import encode, exit_, mov_imm
from stingless.errors import NotSupportedError, PrivilegeError, StinglessError
from stingless.events import (
    Event,
    Kprobe,
    PerfEvent,
    RawTracepoint,
    SocketFilter,
    Tracepoint,
    Tracing,
    Uprobe,
    Xdp,
)
from stingless.kernel import Probe
from stingless.linux import host, maps_create, perf_link, scope, tracing
from stingless.linux.program_refusals import PROGRAM_SINCE
from stingless.linux.refusals import MAP_SINCE, map_refused
from stingless.obj.spec import MapSpec, ProgramSpec

if TYPE_CHECKING:
    from stingless.linux.kernel import LinuxKernel

_ROOT = "run as root, or use the embedded kernel: `stingless run --kernel embedded`"
_QUIET_FUNCTION = "vfs_getattr"
_SKB_MODE = 2
_MAPS = {  # key size, value size, max_entries, flags
    MapType.HASH: (4, 4, 1, 0),
    MapType.ARRAY: (4, 4, 1, 0),
    MapType.PROG_ARRAY: (4, 4, 1, 0),
    MapType.PERF_EVENT_ARRAY: (4, 4, 1, 0),
    MapType.PERCPU_HASH: (4, 4, 1, 0),
    MapType.PERCPU_ARRAY: (4, 4, 1, 0),
    MapType.STACK_TRACE: (4, 80, 1, 0),
    MapType.CGROUP_ARRAY: (4, 4, 1, 0),
    MapType.LRU_HASH: (4, 4, 1, 0),
    MapType.LRU_PERCPU_HASH: (4, 4, 1, 0),
    MapType.LPM_TRIE: (8, 4, 1, 1),
    MapType.ARRAY_OF_MAPS: (4, 4, 1, 0),
    MapType.HASH_OF_MAPS: (4, 4, 1, 0),
    MapType.DEVMAP: (4, 4, 1, 0),
    MapType.SOCKMAP: (4, 4, 1, 0),
    MapType.CPUMAP: (4, 4, 1, 0),
    MapType.XSKMAP: (4, 4, 1, 0),
    MapType.SOCKHASH: (4, 4, 1, 0),
    MapType.QUEUE: (0, 4, 1, 0),
    MapType.STACK: (0, 4, 1, 0),
    MapType.SK_STORAGE: (4, 4, 0, 1),
    MapType.DEVMAP_HASH: (4, 4, 1, 0),
    MapType.RINGBUF: (0, 0, 65536, 0),
    MapType.INODE_STORAGE: (4, 4, 0, 1),
    MapType.TASK_STORAGE: (4, 4, 0, 1),
    MapType.BLOOM_FILTER: (0, 4, 1, 0),
    MapType.USER_RINGBUF: (0, 0, 65536, 0),
    MapType.CGRP_STORAGE: (4, 4, 0, 1),
}
_TYPED = {MapType.SK_STORAGE, MapType.INODE_STORAGE, MapType.TASK_STORAGE, MapType.CGRP_STORAGE}
_PROGRAMS = (
    ProgramType.SOCKET_FILTER,
    ProgramType.KPROBE,
    ProgramType.TRACEPOINT,
    ProgramType.RAW_TRACEPOINT,
    ProgramType.PERF_EVENT,
    ProgramType.XDP,
    ProgramType.SCHED_CLS,
    ProgramType.CGROUP_SKB,
    ProgramType.CGROUP_SOCK,
    ProgramType.SOCK_OPS,
    ProgramType.SK_MSG,
    ProgramType.SYSCALL,
)


def _tried(name: str, attempt: Callable[[], object], fix: str = "") -> Probe:
    """Yes when `attempt` does not raise; no when the kernel answered; can't tell for what is no answer (no memory, no
    descriptors left)."""
    try:
        attempt()
    except PermissionError as e:
        remedy = _ROOT if host.missing(*host.CAPABILITIES) or not fix else fix
        return Probe(name, False, e.message if isinstance(e, PrivilegeError) else str(e), remedy)
    except StinglessError as e:
        return Probe(name, False, str(e), fix)
    except OSError as e:
        lacking = e.errno not in (errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.EINTR)
        return Probe(name, False if lacking else None, str(e), fix)
    return Probe(name, True)


def all_probes(kernel: LinuxKernel) -> list[Probe]:
    return [
        *_privileges(),
        *_settings(),
        *_places(kernel),
        *(_tried(f"map {t.name}", lambda t=t: _create(t), _since(MAP_SINCE.get(t))) for t in _MAPS),  # type: ignore[misc]
        *(_tried(f"program {t.name}", lambda t=t: _load(kernel, t), _since(PROGRAM_SINCE.get(t))) for t in _PROGRAMS),  # type: ignore[misc]
        *_hooks(kernel),
    ]


def _since(version: str | None) -> str:
    return f"needs Linux {version} or newer" if version else ""


def _privileges() -> list[Probe]:
    found = []
    for name in host.CAPABILITIES:
        if host.missing(name):
            found.append(Probe(f"privilege {name}", False, f"this process lacks {name}", _ROOT))
        elif host.in_user_namespace():
            why = "it is held in a user namespace only, where bpf(2) does not count it"
            found.append(Probe(f"privilege {name}", False, why, _ROOT))
        else:
            found.append(Probe(f"privilege {name}", True))
    disabled = host.sysctl("kernel.unprivileged_bpf_disabled")
    if disabled is None:
        found.append(Probe("unprivileged bpf", None, "kernel.unprivileged_bpf_disabled cannot be read"))
    elif disabled == "0":
        found.append(Probe("unprivileged bpf", True))
    else:
        fix = "not needed as root; " + (
            "boot with it 0" if disabled == "1" else "`sysctl kernel.unprivileged_bpf_disabled=0`"
        )
        found.append(Probe("unprivileged bpf", False, f"kernel.unprivileged_bpf_disabled is {disabled}", fix))
    return found


def _settings() -> list[Probe]:
    jit = host.sysctl("net.core.bpf_jit_enable")
    if jit is None:
        answer = Probe("JIT", None, "net.core.bpf_jit_enable cannot be read", "read it as root")
    elif jit == "0":
        answer = Probe("JIT", False, "net.core.bpf_jit_enable is 0", "`sysctl net.core.bpf_jit_enable=1`")
    else:
        answer = Probe("JIT", True)
    btf = Path("/sys/kernel/btf/vmlinux")
    if btf.exists():
        return [answer, Probe("kernel BTF", True)]
    return [answer, Probe("kernel BTF", False, f"{btf} does not exist", "a kernel with CONFIG_DEBUG_INFO_BTF (5.4)")]


def _places(kernel: LinuxKernel) -> list[Probe]:
    found = [_tried("tracefs", kernel.tracefs)]
    if mount_points("bpf"):
        found.append(Probe("bpffs mount", True))
    else:
        found.append(Probe("bpffs mount", False, "no bpf file system is mounted", "`mount -t bpf bpf /sys/fs/bpf`"))
    parent = scope.own_cgroup()
    if parent is None:
        why, fix = "no cgroup v2 hierarchy is mounted", "`mount -t cgroup2 none /sys/fs/cgroup/unified`"
        found.append(Probe("scope of a command (cgroup v2)", False, why, fix))
    elif not os.access(parent, os.W_OK):
        found.append(Probe("scope of a command (cgroup v2)", False, f"{parent} is not writable", _ROOT))
    else:
        found.append(Probe("scope of a command (cgroup v2)", True))
    return found


def _int_btf() -> bytes:
    """BTF with one type, id 1: int."""
    strings = b"\0int\0"
    types = struct.pack("<IIII", 1, 1 << 24, 4, 1 << 24 | 32)
    return struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(strings)) + types + strings


def _create(kind: MapType) -> None:
    key, value, entries, flags = _MAPS[kind]
    spec = MapSpec("probe", kind, key, value, entries, flags)
    try:
        if kind in _TYPED:
            btf = bpf_btf.btf_load(_int_btf())
            try:
                bpf_map.map_create(kind, key, value, entries, flags, "probe", btf.fileno(), 1, 1).close()
            finally:
                btf.close()
        elif kind in (MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS):
            inner = bpf_map.map_create(MapType.ARRAY, 4, 4, 1)
            try:
                bpf_map.map_create(kind, key, value, entries, flags, "probe", inner_map_fd=inner.fileno()).close()
            finally:
                inner.close()
        else:
            maps_create.create(spec).close()
    except StinglessError:
        raise
    except OSError as e:
        raise map_refused(spec, e.errno or 0) from None


def _spec(kind: ProgramType, attach_type: AttachType | None = None, target: str = "") -> ProgramSpec:
    value = 1 if kind in (ProgramType.CGROUP_SKB, ProgramType.CGROUP_SOCK, ProgramType.SK_MSG) else 0
    section = "syscall.s" if kind is ProgramType.SYSCALL else "probe"
    code = encode([mov_imm(0, value), exit_()])
    return ProgramSpec("probe", section, kind, code, attach_type=attach_type, attach_target=target)


def _load(kernel: LinuxKernel, kind: ProgramType) -> None:
    kernel.load_program(_spec(kind), {}).close()


def _attach(kernel: LinuxKernel, spec: ProgramSpec, event: Event) -> None:
    program = kernel.load_program(spec, {})
    try:
        kernel.attach(program, event).close()
    finally:
        program.close()


def _hooks(kernel: LinuxKernel) -> list[Probe]:
    def hook(name: str, kind: ProgramType, event: Event, fix: str = "") -> Probe:
        return _tried(name, lambda: _attach(kernel, _spec(kind), event), fix)

    def in_own_netns(kind: ProgramType, event: Event) -> Callable[[], None]:
        def inside() -> None:
            namespace.unshare(namespace.CLONE_NEWNET)
            _attach(kernel, _spec(kind), event)

        return lambda: namespace.in_thread(inside)

    def fentry() -> None:
        spec = _spec(ProgramType.TRACING, AttachType.TRACE_FENTRY, _QUIET_FUNCTION)
        _attach(kernel, spec, Tracing())

    def lsm() -> None:
        kernel.load_program(_spec(ProgramType.LSM, AttachType.LSM_MAC, "file_open"), {}).close()
        if not tracing.lsm_active():
            raise NotSupportedError("BPF LSM", "5.7", '"bpf" is not in /sys/kernel/security/lsm')

    no_kprobes = "a kernel with CONFIG_KPROBES; the embedded kernel and the guest have them for what they trace"
    tracing_fix = "a kernel with CONFIG_DEBUG_INFO_BTF and CONFIG_DYNAMIC_FTRACE whose host allows it"
    found = []
    if perf_link.pmu_type("kprobe") is None:
        found.append(Probe("hook kprobe", False, "this kernel is built without kprobes (CONFIG_KPROBES)", no_kprobes))
    else:
        found.append(hook("hook kprobe", ProgramType.KPROBE, Kprobe(_QUIET_FUNCTION), no_kprobes))
        found.append(hook("hook kretprobe", ProgramType.KPROBE, Kprobe(_QUIET_FUNCTION, ret=True), no_kprobes))
    found.append(hook("hook kprobe on a system call", ProgramType.KPROBE, Kprobe("sys_acct"), no_kprobes))
    with tempfile.NamedTemporaryFile() as file:
        # Mapped by nobody: the probe is registered and never hit.
        file.write(bytes(4096))
        file.flush()
        for ret in (False, True):
            name, event = f"hook u{'ret' if ret else ''}probe", Uprobe(file.name, 0, ret, os.getpid())
            found.append(hook(name, ProgramType.KPROBE, event, "a kernel with CONFIG_UPROBES"))
    clock = PerfEvent(1, 0, sample_freq=1, pid=os.getpid())
    cycles = PerfEvent(0, 0, sample_period=1 << 40, pid=os.getpid())
    return [
        *found,
        hook("hook tracepoint", ProgramType.TRACEPOINT, Tracepoint("sched", "sched_process_exec")),
        hook("hook raw tracepoint", ProgramType.RAW_TRACEPOINT, RawTracepoint("sched_process_exec")),
        hook("hook perf event (software clock)", ProgramType.PERF_EVENT, clock),
        hook("hook perf event (CPU cycles)", ProgramType.PERF_EVENT, cycles, "a machine with hardware counters"),
        _tried("hook XDP (generic)", in_own_netns(ProgramType.XDP, Xdp("lo", _SKB_MODE))),
        _tried("hook socket filter", in_own_netns(ProgramType.SOCKET_FILTER, SocketFilter("lo"))),
        _tried("hook fentry", fentry, tracing_fix),
        _tried("hook LSM", lsm, "boot with `lsm=` naming bpf, on a kernel with CONFIG_BPF_LSM whose host allows it"),
    ]

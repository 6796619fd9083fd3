"""Why the kernel would not load a program, where the verifier has not said it."""

from __future__ import annotations

import errno

from stingless._gen.uapi import AttachType, ProgramType
from stingless.errors import LoadError, NotSupportedError, StinglessError
from stingless.linux.link_refusals import attach_type_known
from stingless.linux.refusals import ENOTSUPP, needed_capabilities, privilege
from stingless.obj.sections import BPF_F_SLEEPABLE, BPF_F_XDP_HAS_FRAGS, untyped
from stingless.obj.spec import ProgramSpec

# First kernel with a program type, where it is newer than 4.10.
PROGRAM_SINCE = {
    ProgramType.CGROUP_DEVICE: "4.15",
    ProgramType.SK_MSG: "4.17",
    ProgramType.RAW_TRACEPOINT: "4.17",
    ProgramType.CGROUP_SOCK_ADDR: "4.17",
    ProgramType.LWT_SEG6LOCAL: "4.18",
    ProgramType.LIRC_MODE2: "4.18",
    ProgramType.SK_REUSEPORT: "4.19",
    ProgramType.FLOW_DISSECTOR: "4.20",
    ProgramType.CGROUP_SYSCTL: "5.2",
    ProgramType.RAW_TRACEPOINT_WRITABLE: "5.2",
    ProgramType.CGROUP_SOCKOPT: "5.3",
    ProgramType.TRACING: "5.5",
    ProgramType.STRUCT_OPS: "5.6",
    ProgramType.EXT: "5.6",
    ProgramType.LSM: "5.7",
    ProgramType.SK_LOOKUP: "5.9",
    ProgramType.SYSCALL: "5.14",
    ProgramType.NETFILTER: "6.4",
}
_SETTING = {
    ProgramType.LIRC_MODE2: "CONFIG_BPF_LIRC_MODE2",
    ProgramType.LSM: "CONFIG_BPF_LSM",
    ProgramType.NETFILTER: "CONFIG_NETFILTER_BPF_LINK",
}
_BY_BTF = frozenset({ProgramType.TRACING, ProgramType.LSM, ProgramType.EXT, ProgramType.STRUCT_OPS})
_A = AttachType
# First kernel with an attach type that is newer than its program type, in the order of kernels.
_ATTACH_SINCE: tuple[tuple[str, tuple[AttachType, ...]], ...] = (
    ("5.8", (_A.XDP_DEVMAP, _A.TRACE_ITER, _A.CGROUP_INET4_GETPEERNAME, _A.CGROUP_INET4_GETSOCKNAME)),
    ("5.9", (_A.XDP_CPUMAP, _A.CGROUP_INET_SOCK_RELEASE)),
    ("5.13", (_A.SK_SKB_VERDICT,)),
    ("5.14", (_A.SK_REUSEPORT_SELECT_OR_MIGRATE,)),
    ("5.18", (_A.TRACE_KPROBE_MULTI,)),
    ("6.0", (_A.LSM_CGROUP,)),
    ("6.6", (_A.TRACE_UPROBE_MULTI, _A.TCX_INGRESS, _A.TCX_EGRESS)),
    ("6.7", (_A.NETKIT_PRIMARY, _A.NETKIT_PEER, _A.CGROUP_UNIX_CONNECT, _A.CGROUP_UNIX_SENDMSG)),
    ("6.7", (_A.CGROUP_UNIX_RECVMSG, _A.CGROUP_UNIX_GETPEERNAME, _A.CGROUP_UNIX_GETSOCKNAME)),
    ("6.10", (_A.TRACE_KPROBE_SESSION,)),
    ("6.13", (_A.TRACE_UPROBE_SESSION,)),
    ("7.0", (_A.TRACE_FSESSION,)),
)


def program_refused(spec: ProgramSpec, code: int) -> StinglessError:
    """For a PROG_LOAD that failed without a verdict of the verifier's."""
    what = f"program {spec.name!r} ({spec.type.name})"
    if code == errno.EPERM:
        return privilege(f"loading {what}", needed_capabilities(spec.type))
    if code == errno.E2BIG:
        if spec.kfunc_modules:
            return NotSupportedError(f"functions of modules ({', '.join(spec.kfunc_modules)})", "5.16", what, code)
        return LoadError(f"{what} has {len(spec.code) // 8} instructions, more than this kernel takes", code)
    if spec.type is ProgramType.STRUCT_OPS and spec.attach_member < 0:
        return LoadError(f'{what} is in no struct: name it in one of SEC(".struct_ops")', code)
    if code in (errno.ENOTSUP, ENOTSUPP):
        return NotSupportedError(f"program type {spec.type.name}", PROGRAM_SINCE.get(spec.type, ""))
    if code == errno.ENOMEM:
        return LoadError(f"{what}: the kernel has no memory for it", code)
    if code == errno.EINVAL and (found := _invalid(spec, what)) is not None:
        return found
    return LoadError(f"{what} was refused before the verifier looked at it", code)


def _invalid(spec: ProgramSpec, what: str) -> StinglessError | None:
    code = errno.EINVAL
    if spec.type is ProgramType.UNSPEC:
        return LoadError(untyped(f"program {spec.name!r}", spec.section), code)
    if not spec.code:
        return LoadError(f"{what} has no instructions", code)
    if not _type_known(spec):
        setting = f"the kernel needs {_SETTING[spec.type]}" if spec.type in _SETTING else ""
        return NotSupportedError(f"program type {spec.type.name}", PROGRAM_SINCE.get(spec.type, ""), setting, code)
    if spec.attach_type is not None and attach_type_known(f"BPF_{spec.attach_type.name}") is False:
        since = next((version for version, types in _ATTACH_SINCE if spec.attach_type in types), "")
        return NotSupportedError(f"attach type {spec.attach_type.name}", since, f"{what} asks for it", code)
    if spec.flags & BPF_F_XDP_HAS_FRAGS:
        return NotSupportedError("XDP in fragments (BPF_F_XDP_HAS_FRAGS)", "5.18", f"{what} asks for it", code)
    if spec.flags & BPF_F_SLEEPABLE:
        return LoadError(f"{what} was refused: programs of its type may not sleep on this kernel", code)
    return None


def _type_known(spec: ProgramSpec) -> bool:
    """Whether the kernel knows the program type: of an unknown one the verifier sees nothing, and says nothing."""
    from stingless._sys import bpf_prog
    from stingless.asm.instruction import encode, exit_, mov_imm

    log = bpf_prog.log_buffer(1 << 12)
    code = encode([mov_imm(0, 0), exit_()])
    try:
        attach = spec.attach_type or 0
        bpf_prog.prog_load(spec.type, code, "GPL", expected_attach_type=attach, log=log, log_level=1).close()
    except OSError as e:
        return e.errno != errno.EINVAL or spec.type in _BY_BTF or bool(bpf_prog.log_text(log))
    return True

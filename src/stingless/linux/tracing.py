"""fentry, fexit, fmod_ret, fsession, typed raw tracepoints and BPF LSM: the program was made for its target when it was
loaded.

Minimum kernel: 5.5 (5.7 for LSM, 7.0 for fsession), BTF, and on arm64 6.0.  Privileges: CAP_BPF and CAP_PERFMON.
Example: a program with attach_type TRACE_FENTRY and attach_target "vfs_read"; `kernel.attach(program, Tracing())`.
Source: kernel/bpf/syscall.c, `bpf_tracing_prog_attach()`.
"""

from __future__ import annotations

import errno
from pathlib import Path

from stingless._gen.uapi import AttachType, ProgramType
from stingless._sys import bpf_link
from stingless._sys.syscall import Fd
from stingless.errors import AttachError, NotSupportedError
from stingless.events import Tracing
from stingless.linux.links import BpfLink, require_type
from stingless.linux.programs import LinuxProgram
from stingless.linux.refusals import ENOTSUPP, privilege

_LSM_LIST = Path("/sys/kernel/security/lsm")


def attach(program: LinuxProgram, event: Tracing) -> BpfLink:
    require_type(program, event, ProgramType.TRACING, ProgramType.LSM)
    if program.spec.type is ProgramType.LSM and not lsm_active():
        # The kernel would take the program and never call it.
        advice = f"it is not among the active security modules ({_LSM_LIST}); boot with `lsm=` naming bpf as well"
        raise NotSupportedError("BPF LSM", "5.7 and CONFIG_BPF_LSM", advice)
    try:
        return BpfLink(event, _open(program, event))
    except OSError as e:
        code = e.errno or 0
        what = f"program {program.spec.name!r} cannot be attached to {program.spec.attach_target}"
        if code == errno.EPERM:
            raise privilege(f"attaching program {program.spec.name!r}", ("CAP_BPF", "CAP_PERFMON")) from None
        if code in (ENOTSUPP, errno.EOPNOTSUPP):
            advice = "this kernel or machine has no BPF trampolines (they need ftrace direct calls)"
            raise NotSupportedError("attaching fentry, fexit and LSM programs", "5.5", advice, code) from None
        if code == errno.EBUSY:
            raise AttachError(
                f"{what}: the function is taken (live patching, or a modify-return program)", code
            ) from None
        if code == errno.E2BIG:
            raise AttachError(f"{what}: as many programs as a function takes are there already", code) from None
        if code == errno.EINVAL and event.cookie:
            since = "6.10" if program.spec.attach_type is AttachType.TRACE_RAW_TP else "6.0"
            raise NotSupportedError(f"a cookie for {program.spec.attach_target}", since, errno=code) from None
        raise AttachError(what, code) from None


def _open(program: LinuxProgram, event: Tracing) -> Fd:
    kind = program.spec.attach_type
    if kind is AttachType.TRACE_FSESSION or (event.cookie and kind is not AttachType.TRACE_RAW_TP):
        return bpf_link.create_tracing(program.fd, kind or 0, cookie=event.cookie)
    return bpf_link.raw_tracepoint_open(program.fd, None, event.cookie)


def lsm_active() -> bool:
    """False when the list of active security modules can be read and lacks "bpf"."""
    try:
        return "bpf" in _LSM_LIST.read_text().strip().split(",")
    except OSError:
        return True

"""fentry.multi, fexit.multi and fsession.multi: many kernel functions in one link, by BPF trampolines.

Minimum kernel: 7.2.  Privileges: CAP_BPF and CAP_PERFMON.
Example: `kernel.attach(program, TracingMulti(("vfs_unlink", "vfs_rm*")))`.
Source: kernel/trace/bpf_trace.c, `bpf_tracing_multi_attach()`.
"""

from __future__ import annotations

import errno

from stingless._gen.uapi import AttachType, ProgramType
from stingless._sys import bpf_link
from stingless.btf.kernel import kernel_btf
from stingless.btf.types import Kind
from stingless.errors import AttachError
from stingless.events import TracingMulti
from stingless.linux.kprobe_multi import matching
from stingless.linux.link_refusals import refused
from stingless.linux.links import BpfLink, require_type
from stingless.linux.programs import LinuxProgram


def attach(program: LinuxProgram, event: TracingMulti) -> BpfLink:
    require_type(program, event, ProgramType.TRACING)
    kind = program.spec.attach_type
    if kind not in (AttachType.TRACE_FENTRY_MULTI, AttachType.TRACE_FEXIT_MULTI, AttachType.TRACE_FSESSION_MULTI):
        raise AttachError(
            f"program {program.spec.name!r} cannot be attached to {event}: it was loaded for one function", errno.EINVAL
        )
    functions = matching(program, event)
    if event.cookies and len(event.cookies) != len(functions):
        raise AttachError(
            f"{event}: there are {len(event.cookies)} cookies for {len(functions)} functions", errno.EINVAL
        )
    cookies = dict(zip(functions, event.cookies, strict=False))
    btf = kernel_btf()
    ids: dict[str, int] = {}
    for name in functions:
        if name in event.functions:
            ids[name] = btf.func_id(name)
        elif found := btf.find(name, Kind.FUNC):  # a pattern's other functions are of modules
            ids[name] = found.id
    order = sorted(ids, key=ids.__getitem__)
    try:
        numbers = [cookies[name] for name in order] if cookies else []
        return BpfLink(event, bpf_link.create_tracing_multi(program.fd, kind, [ids[n] for n in order], numbers))
    except OSError as e:
        raise refused(program, event, e, kind, "CAP_PERFMON") from None

"""kprobe.multi, kretprobe.multi and kprobe.session: many kernel functions in one link.

Minimum kernel: 5.18 (sessions: 6.10), CONFIG_FPROBE.  Privileges: CAP_BPF and CAP_PERFMON.
Example: `kernel.attach(program, KprobeMulti(("vfs_read", "tcp_*")))`.
Source: kernel/trace/bpf_trace.c, `bpf_kprobe_multi_link_attach()`.
"""

from __future__ import annotations

import errno
import re
from fnmatch import translate

from stingless._gen.uapi import AttachType, ProgramType
from stingless._sys import bpf_link
from stingless.errors import AttachError, StinglessError, UnknownNameError
from stingless.events import KprobeMulti, TracingMulti
from stingless.frozen import replace
from stingless.linux import host
from stingless.linux.link_refusals import refused
from stingless.linux.links import BpfLink, require_type
from stingless.linux.programs import LinuxProgram


def attach(program: LinuxProgram, event: KprobeMulti) -> BpfLink:
    require_type(program, event, ProgramType.KPROBE)
    kind = AttachType.TRACE_KPROBE_SESSION if event.session else AttachType.TRACE_KPROBE_MULTI
    functions = matching(program, event)
    if event.cookies and len(event.cookies) != len(functions):
        raise AttachError(
            f"{event}: there are {len(event.cookies)} cookies for {len(functions)} functions", errno.EINVAL
        )
    try:
        # The kernel wants each name once, and sorts the cookies along.
        fd = bpf_link.create_kprobe_multi(program.fd, kind, functions, event.cookies, event.ret)
    except OSError as e:
        if e.errno in (errno.ESRCH, errno.ENOENT):
            listed = traceable_functions(program)
            there = frozenset(listed if event.traceable else ())
            known = [name for name in functions if name in there]
            if known and len(known) < len(functions):
                return attach(program, replace(event, functions=tuple(known)))
            traceable = listed or host.kernel_functions()
            absent = [name for name in functions if name not in traceable]
            if absent:
                raise UnknownNameError("traceable kernel function", absent[0], traceable) from None
        why = {}
        if program.spec.attach_type is not kind:
            why[errno.EINVAL] = f"it was loaded without the attach type {kind.name}, which a section of that name gives"
        raise refused(program, event, e, kind, "CAP_PERFMON", why) from None
    return BpfLink(event, fd)


def matching(program: LinuxProgram, event: KprobeMulti | TracingMulti) -> list[str]:
    """The functions' names, patterns resolved.  Raises `UnknownNameError` when a pattern has none."""
    if not any(set(name) & set("*?") for name in event.functions):
        return list(dict.fromkeys(event.functions))
    traceable = traceable_functions(program) or sorted(host.kernel_functions())
    found: dict[str, None] = {}
    for name in event.functions:
        if not set(name) & set("*?"):
            found[name] = None
            continue
        matches = re.compile(translate(name)).match
        hits = [each for each in traceable if matches(each)]
        if not hits:
            raise UnknownNameError("traceable kernel function matching the pattern", name, traceable)
        found.update(dict.fromkeys(hits))
    return list(found)


def traceable_functions(program: LinuxProgram) -> list[str]:
    """Those that ftrace can trace, each name that is there once only; empty where tracefs does not tell."""
    try:
        text = program.kernel.tracefs().read("available_filter_functions")
    except (OSError, StinglessError):
        return []
    seen: dict[str, int] = {}
    for line in text.splitlines():
        name = line.split(" ", 1)[0]  # "name [module]"
        seen[name] = seen.get(name, 0) + 1
    return [name for name, count in seen.items() if count == 1 and not name.startswith("__ftrace_invalid")]

"""freplace: a program in the place of a global function of another loaded program.

Minimum kernel: 5.6; another target than the one it was loaded for from 5.10 on.  Privileges: CAP_BPF.
Example: `kernel.attach(program, Freplace(target.fd, "filter"))`.
Source: kernel/bpf/syscall.c, `bpf_tracing_prog_attach()`.
"""

from __future__ import annotations

import errno

from stingless._gen.uapi import ProgramType
from stingless._sys import bpf_link
from stingless.errors import AttachError
from stingless.events import Freplace
from stingless.linux import btf_objects
from stingless.linux.link_refusals import refused
from stingless.linux.links import BpfLink, require_type
from stingless.linux.programs import LinuxProgram


def attach(program: LinuxProgram, event: Freplace) -> BpfLink:
    require_type(program, event, ProgramType.EXT)
    if not event.program:
        try:
            return BpfLink(event, bpf_link.raw_tracepoint_open(program.fd, None))
        except OSError as e:
            raise refused(program, event, e, None, "CAP_BPF", _WHY) from None
    function = event.function or program.spec.attach_target or program.spec.attach_to
    if not function:
        raise AttachError(f"{event}: which function of the other program is to be replaced? give function=", 22)
    number = btf_objects.function_id(event.program, function, f"program {program.spec.name!r}")
    try:
        # The attach type is 0: an EXT program has none.
        return BpfLink(event, bpf_link.create_tracing(program.fd, 0, event.program, number))
    except OSError as e:
        raise refused(program, event, e, None, "CAP_BPF", _WHY) from None


_WHY = {
    errno.EINVAL: "the target is not a global function of that program with the same arguments and result",
    errno.EBUSY: "the function is replaced already",
}

"""Infrared receivers: a program decodes the pulses of a remote control.

Minimum kernel: 4.18, CONFIG_BPF_LIRC_MODE2.  Privileges: CAP_BPF and CAP_NET_ADMIN.
Example: `kernel.attach(program, Lirc("/dev/lirc0"))`.  Source: drivers/media/rc/bpf-lirc.c, `lirc_prog_attach()`.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from stingless._gen.uapi import AttachType, ProgramType
from stingless._sys.syscall import Fd
from stingless.errors import AttachError, NotSupportedError
from stingless.events import Lirc
from stingless.linux.link_refusals import refused
from stingless.linux.links import require_type
from stingless.linux.programs import LinuxProgram
from stingless.linux.sockmap import TargetLink


def attach(program: LinuxProgram, event: Lirc) -> TargetLink:
    require_type(program, event, ProgramType.LIRC_MODE2)
    devices = sorted(str(path) for path in Path("/dev").glob("lirc*"))
    if not devices:
        advice = "there is no device /dev/lirc*; the module rc-loopback makes one for tests"
        raise NotSupportedError(f"{event}: an infrared receiver", "4.18 and CONFIG_BPF_LIRC_MODE2", advice)
    fds: list[Fd] = []
    try:
        fds.append(Fd(os.open(event.device, os.O_RDONLY | os.O_CLOEXEC), event.device))
        fds.append(Fd(os.dup(program.fd), "program"))
        return TargetLink(event, fds[0], fds[1], AttachType.LIRC_MODE2)
    except FileNotFoundError as e:
        raise AttachError(
            f"program {program.spec.name!r} cannot be attached to {event}: there is no such device; there are: "
            f"{', '.join(devices)}",
            e.errno or errno.ENOENT,
        ) from None
    except OSError as e:
        for fd in fds:
            fd.close()
        why = {errno.EINVAL: "the device gives no raw pulses, or the kernel lacks CONFIG_BPF_LIRC_MODE2"}
        raise refused(program, event, e, None, why=why) from None

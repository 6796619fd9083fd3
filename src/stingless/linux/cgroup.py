"""Cgroups: programs that watch, change or deny what the sockets and tasks of a cgroup do.

Minimum kernel: 5.7 for the links (6.0 for LSM programs of a cgroup); cgroup v2.  Privileges: CAP_BPF and CAP_NET_ADMIN.
Example: `kernel.attach(program, Cgroup("/sys/fs/cgroup/mine", AttachType.CGROUP_INET_EGRESS))`.
Source: kernel/bpf/cgroup.c, `cgroup_bpf_link_attach()`.
"""

from __future__ import annotations

import errno
import os

from stingless._gen.uapi import AttachType, ProgramType
from stingless._sys import bpf_link
from stingless.errors import AttachError
from stingless.events import Cgroup
from stingless.linux.link_refusals import refused
from stingless.linux.links import BpfLink, require_type
from stingless.linux.programs import LinuxProgram

_TYPES = (
    ProgramType.CGROUP_SKB,
    ProgramType.CGROUP_SOCK,
    ProgramType.CGROUP_SOCK_ADDR,
    ProgramType.CGROUP_SOCKOPT,
    ProgramType.CGROUP_SYSCTL,
    ProgramType.CGROUP_DEVICE,
    ProgramType.SOCK_OPS,
    ProgramType.LSM,
)


def attach(program: LinuxProgram, event: Cgroup) -> BpfLink:
    require_type(program, event, *_TYPES)
    try:
        directory = os.open(event.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as e:
        raise AttachError(
            f"program {program.spec.name!r} cannot be attached to {event}: {event.path}: {e.strerror}",
            e.errno or errno.ENOENT,
        ) from None
    try:
        return BpfLink(event, bpf_link.create(program.fd, directory, event.attach_type))
    except OSError as e:
        why = {errno.EBADF: f"{event.path} is not a directory of a cgroup v2 file system"}
        loaded = program.spec.attach_type
        if loaded is not None and loaded is not event.attach_type:
            why[errno.EINVAL] = f"it was loaded for {loaded.name}"
        if event.attach_type is not AttachType.LSM_CGROUP:
            why[errno.EPERM] = (
                "CAP_NET_ADMIN is missing, or a program that was attached above it without a link allows no others"
            )
        raise refused(program, event, e, event.attach_type, why=why) from None
    finally:
        os.close(directory)

"""Programs for packets and sockets: XDP, raw sockets, and what takes a program by bpf(2) BPF_PROG_ATTACH."""

from __future__ import annotations

import errno
import weakref
from typing import Any

from stingless._gen.uapi import AttachType, ProgramType
from stingless.bcc.attaching import Attaching
from stingless.bcc.module import Function
from stingless.bcc.names import Name, text_of
from stingless.errors import AttachError
from stingless.events import Cgroup, Event, Lirc, Netns, SocketFilter, Sockmap, Xdp

_NOEXIST = 1 << 0  # XDP_FLAGS_UPDATE_IF_NOEXIST
_with_xdp: weakref.WeakSet[Sockets] = weakref.WeakSet()
_SOCKMAP = (
    AttachType.SK_SKB_STREAM_PARSER,
    AttachType.SK_SKB_STREAM_VERDICT,
    AttachType.SK_SKB_VERDICT,
    AttachType.SK_MSG_VERDICT,
)


class Sockets(Attaching):
    @staticmethod
    def attach_xdp(dev: Name, fn: Function, flags: int = 0) -> None:
        """Run a function on each packet that arrives at an interface, in place of what ran there before (unless `flags`
        has XDP_FLAGS_UPDATE_IF_NOEXIST), until `remove_xdp()` or the end of the process.

        Raises `UnknownNameError`, `AttachError`, `PrivilegeError`."""
        owner, device = _owner(fn), text_of(dev)
        if not flags & _NOEXIST and _holders(device):
            Sockets.remove_xdp(device)
        owner._attach(Xdp(device, flags), fn.name, ProgramType.XDP, "xdp", device)
        _with_xdp.add(owner)

    @staticmethod
    def remove_xdp(dev: Name, flags: int = 0) -> None:
        """Take away what `attach_xdp()` of this process put there; nothing when there is none.  Raises
        `UnknownNameError`."""
        device = text_of(dev)
        holders = _holders(device)
        if not holders:
            from stingless.linux.xdp import interface_index

            interface_index(device)
        for owner in holders:
            owner._detach("xdp", device)

    @staticmethod
    def attach_raw_socket(fn: Function, dev: Name) -> None:
        """Open a raw packet socket on an interface ("" is all) that delivers what the function lets through; `fn.sock`
        is its file descriptor (non-blocking)."""
        device = text_of(dev)
        link = _owner(fn)._attach(SocketFilter(device), fn.name, ProgramType.SOCKET_FILTER, "socket", device)
        fn.sock = link.socket

    @staticmethod
    def attach_func(fn: Function, attachable_fd: int, attach_type: int, flags: int = 0) -> None:
        """Attach a loaded function to what a file descriptor is of: a cgroup's directory, a sock map, a network
        namespace, an infrared receiver, as `attach_type` (BPFAttachType) wants.  Others there stay, and run too.

        Raises `AttachError`, `PrivilegeError`, `NotSupportedError`."""
        owner, kind = _owner(fn), AttachType(attach_type)
        link = owner._link(fn.program, _event(kind, attachable_fd), fn.name.decode())
        from stingless.bcc.attaching import Attachment

        owner._keep(Attachment("func", _place(kind, attachable_fd), fn.name.decode(), link))

    @staticmethod
    def detach_func(fn: Function, attachable_fd: int, attach_type: int) -> None:
        """Raises `UnknownNameError` when it is not attached there."""
        _owner(fn)._detach("func", _place(AttachType(attach_type), attachable_fd), fn.name)


def _owner(fn: Any) -> Sockets:
    if not isinstance(fn, Function):
        raise TypeError(f"arg 1 must be of type BPF.Function, as load_func() gives it, not {fn!r}")
    owner: Sockets = fn.bpf
    return owner


def _holders(device: str) -> list[Sockets]:
    return [owner for owner in _with_xdp if ("xdp", device) in owner._attached]


def _event(kind: AttachType, fd: int) -> Event:
    path = f"/proc/self/fd/{fd}"
    if kind in _SOCKMAP:
        return Sockmap(fd, kind)
    if kind.name.startswith("CGROUP_") or kind is AttachType.LSM_CGROUP:
        return Cgroup(path, kind)
    if kind in (AttachType.FLOW_DISSECTOR, AttachType.SK_LOOKUP):
        return Netns(kind, path)
    if kind is AttachType.LIRC_MODE2:
        return Lirc(path)
    raise AttachError(
        f"attach_func() attaches nothing as {kind.name}; there is a verb of its own for that", errno.EINVAL
    )


def _place(kind: AttachType, fd: int) -> str:
    """A descriptor of the same object may be another one later."""
    import os

    there = os.fstat(fd)
    return f"{kind.name}@{fd if kind in _SOCKMAP else f'{there.st_dev}:{there.st_ino}'}"

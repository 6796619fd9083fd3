"""A network device whose other end is a file descriptor.  linux/if_tun.h."""

from __future__ import annotations

import fcntl
import os
import struct

_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000


def open_tap(name: str) -> int:
    """A descriptor for the Ethernet frames of the device `name`, one a read or write; the device is made where there is
    none, and goes with the descriptor.  Raises `OSError` (EPERM without CAP_NET_ADMIN, EBUSY, ENOENT)."""
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
    except BaseException:
        os.close(fd)
        raise
    return fd

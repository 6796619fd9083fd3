"""The kernel in the form that QEMU starts fastest.

A bzImage decompresses itself in the guest, which takes 4 to 5 s under emulation. The ELF file inside has a PVH entry
point, so it is unpacked once on the host and QEMU enters it directly.
"""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

from .cache import cache_dir, store
from .compression import decompress


def payload(bzimage: bytes) -> bytes:
    """The compressed kernel in a bzImage, by the fields of its setup header (Documentation/arch/x86/boot.rst)."""
    if bzimage[0x202:0x206] != b"HdrS":
        raise ValueError("not a bzImage")
    setup_sectors = bzimage[0x1F1] or 4
    offset, length = struct.unpack_from("<II", bzimage, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    return bzimage[start : start + length]


def bootable_image(bzimage: Path) -> Path:
    """The unpacked kernel, from the cache if it was unpacked before; `bzimage` itself if it cannot be unpacked."""
    data = bzimage.read_bytes()
    unpacked = cache_dir() / "boot" / f"vmlinux-{hashlib.sha256(data).hexdigest()[:16]}"
    if unpacked.exists():
        return unpacked
    try:
        elf = decompress(payload(data))
    except (ValueError, OSError):
        return bzimage
    return store(unpacked, elf) if elf.startswith(b"\x7fELF") else bzimage

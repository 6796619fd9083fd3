"""A writer of cpio archives in the `newc` form, which is what the kernel unpacks as an initramfs."""

from __future__ import annotations

import io
import stat


class CpioWriter:
    def __init__(self) -> None:
        self._out = io.BytesIO()
        self._inode = 0

    def directory(self, name: str) -> None:
        self._entry(name, b"", stat.S_IFDIR | 0o755)

    def file(self, name: str, data: bytes, *, executable: bool = False) -> None:
        self._entry(name, data, stat.S_IFREG | (0o755 if executable else 0o644))

    def character_device(self, name: str, major: int, minor: int) -> None:
        self._entry(name, b"", stat.S_IFCHR | 0o600, (major, minor))

    def finish(self) -> bytes:
        """The archive. The kernel accepts several, one after the other, as one initramfs."""
        self._entry("TRAILER!!!", b"", 0)
        return self._out.getvalue()

    def _entry(self, name: str, data: bytes, mode: int, device: tuple[int, int] = (0, 0)) -> None:
        self._inode += 1
        encoded = name.encode() + b"\0"
        # inode, mode, uid, gid, links, mtime, size, device of the file, device that it is, length of the name, checksum
        fields = (self._inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(encoded), 0)
        self._out.write(b"070701" + b"".join(b"%08X" % field for field in fields))
        for part in (encoded, data):
            self._out.write(part)
            self._out.write(b"\0" * (-self._out.tell() % 4))

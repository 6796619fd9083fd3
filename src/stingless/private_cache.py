"""Files kept between runs in a directory of the user's own.

A room is `$STINGLESS_CACHE` (for compiled objects; a directory in it for the rest), else `stingless/<room>` in
`$XDG_CACHE_HOME` or in `.cache` of the user's home (as the password file has it: under sudo, $HOME may be another's).
An empty `$STINGLESS_CACHE` turns all off.  Nothing is read from a directory or file that another user owns or could
have written: programs loaded as root come from here.
"""

from __future__ import annotations

import contextlib
import os
import stat
import zlib
from pathlib import Path
from typing import Self

OBJECTS = "objects"


def cache_directory(room: str = OBJECTS) -> Path | None:
    """Where the room is; None when caching is turned off."""
    chosen = os.environ.get("STINGLESS_CACHE")
    if chosen is not None:
        return (Path(chosen) / room if room != OBJECTS else Path(chosen)) if chosen else None
    base = os.environ.get("XDG_CACHE_HOME")
    if base:
        return Path(base) / "stingless" / room
    import pwd

    try:
        return Path(pwd.getpwuid(os.geteuid()).pw_dir) / ".cache/stingless" / room
    except KeyError:
        return None


class PrivateCache:
    """An open room.  Reading and writing never raise: a cache that cannot be used is no cache."""

    entries = 256  # the oldest go when there are more

    def __init__(self, room: str = OBJECTS, directory: Path | None = None) -> None:
        path = directory or cache_directory(room)
        self._fd = -1
        if path is None:
            return
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                path.mkdir(mode=0o700)
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            if _private(os.fstat(fd)):
                self._fd = fd
            else:
                os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(self, key: str) -> bytes | None:
        """What is kept under `key`, or None."""
        if self._fd < 0:
            return None
        try:
            fd = os.open(key, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._fd)
        except OSError:
            return None
        with contextlib.suppress(OSError), os.fdopen(fd, "rb", buffering=0) as file:
            status = os.fstat(fd)
            if not _private(status) or not stat.S_ISREG(status.st_mode):
                return None
            checksum, content = file.read(4), file.read()
            return content if checksum == _checksum(content) else None
        return None

    def mapped(self, key: str) -> memoryview | None:
        """As `get`, for what is large and read here and there only: mapped, and its checksum is not looked at."""
        if self._fd < 0:
            return None
        from stingless.mapped_file import file_bytes

        try:
            fd = os.open(key, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._fd)
        except OSError:
            return None
        try:
            status = os.fstat(fd)
            if not _private(status) or not stat.S_ISREG(status.st_mode):
                return None
            return memoryview(file_bytes(f"/proc/self/fd/{fd}"))[4:]
        except OSError:
            return None
        finally:
            os.close(fd)

    def put(self, key: str, content: bytes) -> None:
        """Keep it; it appears in one step."""
        if self._fd < 0:
            return
        temporary = f"{key}.{os.getpid()}"
        with contextlib.suppress(OSError):
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=self._fd)
            try:
                with os.fdopen(fd, "wb") as file:
                    file.write(_checksum(content))
                    file.write(content)
                os.rename(temporary, key, src_dir_fd=self._fd, dst_dir_fd=self._fd)
            except BaseException:
                os.unlink(temporary, dir_fd=self._fd)
                raise
            self._evict()

    def _evict(self) -> None:
        with os.scandir(self._fd) as found:
            ages = sorted(
                (entry.stat(follow_symlinks=False).st_mtime, entry.name)
                for entry in found
                if not entry.is_dir(follow_symlinks=False)
            )
        for _, name in ages[: max(0, len(ages) - self.entries)]:
            os.unlink(name, dir_fd=self._fd)

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def _private(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid() and not status.st_mode & 0o022


def _checksum(content: bytes) -> bytes:
    """So that a torn file is seen; against other users there are the directory's and the file's owner and mode."""
    return zlib.crc32(content).to_bytes(4, "little")

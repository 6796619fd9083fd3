"""Compiled objects kept between runs, by the hash of all that made them.

The directory is `$STINGLESS_CACHE`, else `stingless/objects` in `$XDG_CACHE_HOME` or in `.cache` of the user's home (as
the password file has it: under sudo, $HOME may be another's).  An empty `$STINGLESS_CACHE` turns it off.  Nothing is
read from a directory or file that another user owns or could have written: programs loaded as root come from here.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path

# #include "file", or a macro that makes a name; headers in angle brackets are ours or the compiler's.
_TAKES_IN = re.compile(r"#\s*(include|import|embed)\w*\s*(?!<|\s)")
_DIGEST = 32  # bytes of the content's own hash before it, so that a torn file is seen
_ENTRIES = 256  # the oldest go when there are more


def cache_directory() -> Path | None:
    """Where the cache is; None when it is turned off."""
    chosen = os.environ.get("STINGLESS_CACHE")
    if chosen is not None:
        return Path(chosen) if chosen else None
    base = os.environ.get("XDG_CACHE_HOME")
    if base:
        return Path(base) / "stingless/objects"
    import pwd

    try:
        return Path(pwd.getpwuid(os.geteuid()).pw_dir) / ".cache/stingless/objects"
    except KeyError:
        return None


class ObjectCache:
    """The open cache directory.  Reading and writing never raise: a cache that cannot be used is no cache."""

    def __init__(self, directory: Path | None = None) -> None:
        path = directory or cache_directory()
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

    def get(self, key: str) -> bytes | None:
        """The object kept under `key`, or None."""
        if self._fd < 0:
            return None
        try:
            fd = os.open(key, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._fd)
        except OSError:
            return None
        with os.fdopen(fd, "rb") as file:
            status = os.fstat(fd)
            if not _private(status) or not stat.S_ISREG(status.st_mode):
                return None
            data = file.read()
        content = data[_DIGEST:]
        return content if data[:_DIGEST] == _sha256([content]) else None

    def put(self, key: str, content: bytes) -> None:
        """Keep an object; it appears in one step."""
        if self._fd < 0:
            return
        temporary = f"{key}.{os.getpid()}"
        with contextlib.suppress(OSError):
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=self._fd)
            try:
                with os.fdopen(fd, "wb") as file:
                    file.write(_sha256([content]) + content)
                os.rename(temporary, key, src_dir_fd=self._fd, dst_dir_fd=self._fd)
            except BaseException:
                os.unlink(temporary, dir_fd=self._fd)
                raise
            self._evict()

    def _evict(self) -> None:
        with os.scandir(self._fd) as entries:
            ages = sorted((entry.stat().st_mtime, entry.name) for entry in entries)
        for _, name in ages[: max(0, len(ages) - _ENTRIES)]:
            os.unlink(name, dir_fd=self._fd)

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def _private(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid() and not status.st_mode & 0o022


def _sha256(parts: Iterable[bytes]) -> bytes:
    from hashlib import sha256

    state = sha256()
    for part in parts:
        state.update(len(part).to_bytes(8, "little") + part)
    return state.digest()


def object_key(text: str, name: str, cflags: Iterable[str]) -> str | None:
    """The key of a program text: a hash of it, its flags, the compiler, our headers and the running kernel (whose
    tracepoints the dialect knows).  None for a text that takes in files we do not see: it is compiled each time."""
    from stingless import __version__
    from stingless.compile.toolchain import HEADERS, find_compiler

    flags = list(cflags)
    if _TAKES_IN.search(text) or os.environ.get("CPATH") or os.environ.get("C_INCLUDE_PATH"):
        return None
    if any(flag.startswith(("-I", "-i", "@", "-Xclang", "--include", "--embed")) for flag in flags):
        return None
    compiler = find_compiler()
    ours = sorted(path for path in HEADERS.rglob("*.h"))
    stamps = [f"{path}:{(s := path.stat()).st_mtime_ns}:{s.st_size}" for path in (Path(compiler.argv[0]), *ours)]
    parts = [__version__, text, name, *flags, *compiler.argv, *map(str, compiler.includes), *os.uname(), *stamps]
    return _sha256(part.encode() for part in parts).hex()

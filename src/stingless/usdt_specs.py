"""Descriptions of a static probe's arguments in the maps of libbpf's <bpf/usdt.bpf.h>: the programs read them there."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from stingless.errors import AttachError, ObjectError, StinglessError
from stingless.symbols.usdt import Argument

SPECS, BY_IP = "__bpf_usdt_specs", "__bpf_usdt_ip_to_spec_id"
_MAX_ARGUMENTS = 12
_ARGUMENT = struct.Struct("=QIhBB")
_SPEC = struct.Struct(f"={_MAX_ARGUMENTS * _ARGUMENT.size}sQh6x")
SPEC_SIZE = _SPEC.size


@contextmanager
def refusals(what: str, path: str) -> Iterator[None]:
    """What finding and describing a probe of the file `path` raises, as `AttachError`s that begin with `what`."""
    try:
        yield
    except IndexError:
        raise AttachError(
            f"{what}: its map {SPECS} is full; define BPF_USDT_MAX_SPEC_CNT before the include of usdt.bpf.h",
            errno.E2BIG,
        ) from None
    except ObjectError as e:
        raise AttachError(f"{what}: {e}", errno.EINVAL) from None
    except OSError as e:
        if isinstance(e, StinglessError):
            raise
        raise AttachError(f"{what}: {path}: {e.strerror}", e.errno or errno.ENOENT) from None


def check_values(what: str, size: int) -> None:
    """Are the values of a program's map of that size?  Raises `AttachError`."""
    if size != SPEC_SIZE:
        raise AttachError(f"{what}: values of its map {SPECS} have not {SPEC_SIZE} bytes", errno.EINVAL)


class Room:
    """What the maps of an object hold: descriptions by index, and on old kernels indexes by address, each with how many
    attached places it serves."""

    def __init__(self, size: int) -> None:
        self._ids: dict[bytes, int] = {}
        self._users: dict[int | bytes, int] = {}
        self._by_address: dict[bytes, int] = {}
        self._free = list(range(size - 1, -1, -1))

    def take(self, spec: bytes) -> int:
        """Raises `IndexError` when it is full."""
        number = self._ids.get(spec)
        if number is None:
            number = self._ids[spec] = self._free.pop()
        self._users[number] = self._users.get(number, 0) + 1
        return number

    def give_back(self, number: int) -> None:
        if not self._left(number):
            self._ids = {spec: each for spec, each in self._ids.items() if each != number}
            self._free.append(number)

    def take_address(self, key: bytes, number: int) -> bool:
        """Whether the address is free, or has the same description."""
        if self._by_address.setdefault(key, number) != number:
            return False
        self._users[key] = self._users.get(key, 0) + 1
        return True

    def give_address_back(self, key: bytes) -> bool:
        """Whether that was its last user."""
        if self._left(key):
            return False
        del self._by_address[key]
        return True

    def _left(self, what: int | bytes) -> int:
        self._users[what] -= 1
        return self._users[what] or self._users.pop(what)


def packed(found: Sequence[Argument], cookie: int) -> bytes:
    """`struct __bpf_usdt_spec`.  Raises `ObjectError`."""
    if len(found) > _MAX_ARGUMENTS:
        raise ObjectError(f"the static probe has {len(found)} arguments; programs take {_MAX_ARGUMENTS}")
    parts = (
        _ARGUMENT.pack(
            a.value & (1 << 64) - 1, a.kind | a.index << 8 | a.scale << 20, a.register, a.signed, 64 - 8 * a.size
        )
        for a in found
    )
    return _SPEC.pack(b"".join(parts), cookie, len(found))

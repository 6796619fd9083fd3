"""Maps whose values stand for something: programs, maps, cgroups, interfaces, CPUs, sockets.

User space sets a descriptor or an index and gets an id; programs find the thing itself, or a verdict.  Interfaces, CPUs
and sockets are names here: nothing is sent to them, and what a program redirects to is told by its verdict.

Source: `bpf_fd_array_map_update_elem()` and `bpf_fd_htab_map_update_elem()`, kernel/bpf/devmap.c, cpumap.c,
net/xdp/xskmap.c, net/core/sock_map.c.
"""

from __future__ import annotations

import contextlib
import errno
import struct
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from stingless._gen.uapi import MapType
from stingless._sys.runtime_maps import Socket
from stingless.cpus import possible_cpus
from stingless.embedded import descriptors, map_rules
from stingless.embedded.maps import EmbeddedMap
from stingless.errors import MapError
from stingless.kernel import BPF_ANY, BPF_EXIST, BPF_NOEXIST, Entries
from stingless.obj.spec import MapSpec

if TYPE_CHECKING:
    from stingless.embedded.programs import EmbeddedProgram

T = MapType
_BY_INDEX = frozenset({T.PROG_ARRAY, T.CGROUP_ARRAY, T.ARRAY_OF_MAPS, T.DEVMAP, T.CPUMAP, T.XSKMAP, T.SOCKMAP})
_NOT_READ = frozenset({T.CGROUP_ARRAY, T.XSKMAP})
_LONGEST_QUEUE = 16384


class _Entry(NamedTuple):
    """What programs find (`word`, kept alive by `owner`) and what user space reads."""

    word: int
    owner: object
    shown: bytes


class EmbeddedTable(EmbeddedMap):
    """A map of things.  See `stingless.kernel.Map`."""

    def __init__(
        self,
        spec: MapSpec,
        program_of: Callable[[int], EmbeddedProgram | None],
        map_of: Callable[[int], EmbeddedMap | None],
    ) -> None:
        super().__init__(spec, program_of)
        self._map_of = map_of
        self._lock = threading.Lock()
        self._entries: dict[bytes, _Entry] = {}
        self._template = map_rules.checked(spec.inner) if spec.inner is not None else None

    # One entry

    def lookup(self, key: bytes, flags: int = 0) -> bytes | None:
        doing = "looking up"
        key = self._key(doing, key, map_rules.WRONLY)
        if flags:
            raise self._failed(doing, errno.EINVAL, key)
        if self._spec.type in _NOT_READ:
            raise self._failed(doing, errno.EOPNOTSUPP, key)
        if self._spec.type in map_rules.SOCKETS:
            self._check_cookies(doing)
        found = self._entries.get(key)
        return None if found is None else found.shown

    def _check_cookies(self, doing: str) -> None:
        if self._spec.value_size != 8:
            raise MapError(f"{doing} map {self._spec.name!r}: a cookie needs values of 8 bytes", errno.ENOSPC)

    def update(self, key: bytes, value: bytes, flags: int = BPF_ANY) -> None:
        doing = "updating"
        self._check_lock(doing, flags)
        key = self._key(doing, key, map_rules.RDONLY)
        self._check_value(value)
        with self._lock:
            try:
                entry = self._entry(key, value, flags)
                if entry is None:
                    self._forget(key)
                    return
                self.handle.hold(key, entry.word, entry.owner)
                self._entries[key] = entry
            except MapError:
                raise
            except OSError as error:
                raise self._failed(doing, error.errno, key) from None

    def delete(self, key: bytes) -> None:
        doing = "deleting from"
        key = self._key(doing, key, map_rules.RDONLY)
        kind = self._spec.type
        with self._lock:
            if kind in _BY_INDEX and self._index(key) >= self._spec.max_entries:
                raise self._failed(doing, errno.E2BIG if kind in map_rules.HANDLES else errno.EINVAL, key)
            if key not in self._entries:
                if kind in (T.DEVMAP, T.CPUMAP, T.XSKMAP):
                    return
                if kind is T.SOCKMAP:
                    raise self._failed(doing, errno.EINVAL, key)
                raise KeyError(key)
            self._forget(key)

    def _forget(self, key: bytes) -> None:
        if self._entries.pop(key, None) is not None:
            self.handle.drop(key)

    # Many

    def entries(self) -> Entries:
        self._check("reading", map_rules.WRONLY)
        if self._spec.type in _NOT_READ:
            raise self._failed("reading", errno.EOPNOTSUPP)
        if self._spec.type is T.SOCKMAP or (self._spec.type is T.SOCKHASH and self._entries):
            self._check_cookies("reading")
        with self._lock:
            held = sorted(self._entries.items()) if self._spec.type in _BY_INDEX else list(self._entries.items())
        return Entries(b"".join([key for key, _ in held]), b"".join([each.shown for _, each in held]), len(held))

    def update_many(self, entries: Entries, flags: int = BPF_ANY) -> None:
        self._check_many(entries)
        k, v = self._spec.key_size, self._value_bytes
        for at in range(entries.count):
            try:
                self.update(entries.keys[at * k : at * k + k], entries.values[at * v : at * v + v], flags)
            except MapError as error:
                raise self._stopped(error, at, entries.count) from None

    def delete_many(self, keys: bytes) -> int:
        k = self._whole_keys(keys)
        gone = 0
        for key in (keys[at : at + k] for at in range(0, len(keys), k)):
            with contextlib.suppress(KeyError):
                self.delete(key)
                gone += 1
        return gone

    # What an entry is

    def _index(self, key: bytes) -> int:
        return int.from_bytes(key, "little")

    def _entry(self, key: bytes, value: bytes, flags: int) -> _Entry | None:
        """None: the update removes what is there.  Raises `OSError`, `MapError`."""
        kind = self._spec.type
        if kind in map_rules.HANDLES:
            if flags != BPF_ANY:
                raise OSError(errno.EINVAL, "no flags")
            self._check_room(key, errno.E2BIG)
        number = int.from_bytes(value[:4], "little", signed=True)
        if kind is T.PROG_ARRAY:
            return self._program(number)
        if kind is T.CGROUP_ARRAY:
            return _Entry(descriptors.cgroup(number), None, value)
        if kind in map_rules.OF_MAPS:
            entry = self._inner(number)
            self._check_flags(key, flags)
            return entry
        if kind in map_rules.SOCKETS:
            return self._socket(key, value, flags)
        if kind is T.XSKMAP:
            if flags > BPF_EXIST:
                raise OSError(errno.EINVAL, "no such flags")
            self._check_room(key, errno.E2BIG)
            held = (
                descriptors.cookie(number) or 1
            )  # any socket stands for an AF_XDP one, which takes privileges to open
            self._check_flags(key, flags)
            return _Entry(held, None, value)
        return self._target(key, value, flags)

    def _check_room(self, key: bytes, code: int) -> None:
        if self._spec.type in _BY_INDEX:
            if self._index(key) >= self._spec.max_entries:
                raise OSError(code, "the index is too high")
        elif key not in self._entries and len(self._entries) >= self._spec.max_entries:
            raise OSError(code, "full")

    def _check_flags(self, key: bytes, flags: int) -> None:
        if flags > BPF_EXIST:
            raise OSError(errno.EINVAL, "no such flags")
        if self._spec.type in _BY_INDEX:
            self._check_room(key, errno.E2BIG)
        if key in self._entries and flags == BPF_NOEXIST:
            raise OSError(errno.EEXIST, "it is there")
        if key not in self._entries and flags == BPF_EXIST:
            raise OSError(errno.ENOENT, "it is not there")
        self._check_room(key, errno.E2BIG)

    def _program(self, fd: int) -> _Entry:
        program = self._program_of(fd)
        if program is None:
            raise MapError(
                f"map {self._spec.name!r}: its values are the .fd of programs of this kernel object, not {fd}",
                descriptors.not_ours(fd),
            )
        for other in self._entries.values():
            held = self._program_of(int.from_bytes(other.shown, "little"))
            if held is not None and held.spec.type is not program.spec.type:
                raise MapError(
                    f"map {self._spec.name!r}: program {program.spec.name!r} is a {program.spec.type.name}, unlike the"
                    " programs that are in it",
                    errno.EINVAL,
                )
        return _Entry(program.handle.address, program.handle, fd.to_bytes(4, "little"))

    def _inner(self, fd: int) -> _Entry:
        inner = self._map_of(fd)
        if inner is None:
            raise MapError(
                f"map {self._spec.name!r}: its values are the .fd of maps of this kernel object, not {fd}",
                descriptors.not_ours(fd),
            )
        assert self._template is not None
        alike = map_rules.like_template(self._template, inner.spec)
        if not alike or self._special_fields(self._template) != inner.fields:
            raise MapError(
                f"map {self._spec.name!r}: map {inner.spec.name!r} is unlike the template of its inner maps, "
                f"{self._template}",
                errno.EINVAL,
            )
        return _Entry(inner.handle.address, inner.another(), inner.info.id.to_bytes(4, "little"))

    def _socket(self, key: bytes, value: bytes, flags: int) -> _Entry:
        fd = int.from_bytes(value, "little")
        if fd >= 1 << 31:
            raise OSError(errno.EINVAL, "no descriptor")
        number = descriptors.cookie(fd)
        if not descriptors.may_join_sockmap(fd):
            raise OSError(errno.EOPNOTSUPP, "not such a socket")
        self._check_flags(key, flags)
        held = Socket(descriptors.visible_socket(fd), number)
        return _Entry(held.address, held, number.to_bytes(8, "little"))

    def _target(self, key: bytes, value: bytes, flags: int) -> _Entry | None:
        """An interface, or the queue of a CPU; with the program to run there."""
        kind = self._spec.type
        target, fd = struct.unpack("<Ii", value.ljust(8, b"\0"))
        if flags > BPF_EXIST:
            raise OSError(errno.EINVAL, "no such flags")
        if kind in (T.DEVMAP, T.CPUMAP):
            self._check_room(key, errno.E2BIG)
            if flags == BPF_NOEXIST:
                raise OSError(errno.EEXIST, "there is always something")
        if kind is T.CPUMAP and target > _LONGEST_QUEUE:
            raise OSError(errno.EOVERFLOW, f"a queue has at most {_LONGEST_QUEUE} packets")
        if kind is T.CPUMAP and self._index(key) >= possible_cpus():
            raise OSError(errno.ENODEV, "there is no such CPU")
        if not target:
            if kind is T.DEVMAP_HASH or (kind is T.DEVMAP and fd > 0):
                raise OSError(errno.EINVAL, "no interface")
            return None
        if kind is T.DEVMAP_HASH and flags == BPF_NOEXIST and key in self._entries:
            raise OSError(errno.EEXIST, "it is there")
        program = self._program_of(fd) if len(value) == 8 and fd > 0 else None
        if len(value) == 8 and fd > 0 and program is None:
            raise OSError(errno.ENOMEM if kind is T.CPUMAP else errno.EINVAL, "no program")
        self._check_room(key, errno.E2BIG)
        shown = struct.pack("<II", target, program.fd if program is not None else 0)[: len(value)]
        return _Entry(int.from_bytes(shown, "little"), program.handle if program is not None else None, shown)

    # Inner maps

    def inner(self, id: int) -> EmbeddedMap:
        for each in list(self._entries.values()):
            if isinstance(each.owner, EmbeddedMap) and each.owner.info.id == id:
                return self._beside(each.owner.another())
        found = self._map_of(id)
        if self._spec.type not in map_rules.OF_MAPS or found is None:
            raise FileNotFoundError(errno.ENOENT, f"map {self._spec.name!r} holds no map {id}")
        return self._beside(found.another())

    def new_inner(self) -> EmbeddedMap:
        if self._template is None:
            raise MapError(f"map {self._spec.name!r}: what its inner maps are like is not known", errno.EINVAL)
        from stingless.embedded.map_types import create

        return self._beside(create(self._template, self._program_of, self._map_of))

    def _beside(self, made: EmbeddedMap) -> EmbeddedMap:
        """Closed with what closes this one, if not before."""
        if self._home is not None:
            self._home[id(made)] = made
            made._home = self._home
        return made

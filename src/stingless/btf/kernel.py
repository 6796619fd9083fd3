"""The running kernel's own BTF, /sys/kernel/btf/vmlinux (Linux 5.4, CONFIG_DEBUG_INFO_BTF), and that of its modules
(5.11, CONFIG_DEBUG_INFO_BTF_MODULES)."""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path

from stingless.btf.index import Index, dump, fingerprint, restore
from stingless.btf.types import Btf, Kind
from stingless.errors import NotSupportedError, UnknownNameError
from stingless.mapped_file import file_bytes
from stingless.private_cache import PrivateCache

DIRECTORY = Path("/sys/kernel/btf")
VMLINUX = DIRECTORY / "vmlinux"
NOTES = Path("/sys/kernel/notes")
ROOM = "btf"  # of the cache
_NT_GNU_BUILD_ID = 3


class KernelBtf(Btf):
    """The kernel's types.  The index of a running kernel is kept between processes, by its build id."""

    def __init__(self, data: bytes, build_id: str = "") -> None:
        self.build_id = build_id  # "" when the blob is not known to be the running kernel's: nothing is kept then
        self._modules: dict[str, Btf] = {}
        super().__init__(data)

    def _open_index(self) -> Index:
        if not self.build_id:
            return super()._open_index()
        blob, key = fingerprint(self.data), f"index-{self.build_id}"
        with PrivateCache(ROOM) as cache_room:
            kept = restore(cache_room.get(key), blob)
            if kept is not None:
                return kept
            self._index = super()._open_index()
            cache_room.put(key, dump(self._named_index(), blob))
        return self._index

    def func_id(self, name: str) -> int:
        """BTF id of a kernel function.  Raises `UnknownNameError` naming the nearest."""
        found = self.find(name, Kind.FUNC)
        if found is None:
            from stingless.btf.near import near

            raise UnknownNameError("kernel function (in the kernel's BTF)", name, near(self, name, Kind.FUNC))
        return found.id

    def modules(self) -> list[str]:
        """Names of the loaded modules that have BTF."""
        try:
            return sorted(path.name for path in DIRECTORY.iterdir() if path != VMLINUX)
        except FileNotFoundError:
            return []

    def module_btf(self, name: str) -> Btf:
        """A loaded module's types, on top of the kernel's.  Raises `UnknownNameError`."""
        if name not in self._modules:
            if name not in self.modules():
                raise UnknownNameError("loaded module with BTF", name, self.modules())
            self._modules[name] = Btf((DIRECTORY / name).read_bytes(), base=self)
        return self._modules[name]


@cache
def kernel_btf() -> KernelBtf:
    """Opened once a process.  Raises `NotSupportedError` on a kernel without BTF."""
    try:
        data = file_bytes(VMLINUX)
    except FileNotFoundError:
        raise NotSupportedError(
            "the kernel's BTF", "5.4 and CONFIG_DEBUG_INFO_BTF", f"{VMLINUX} does not exist"
        ) from None
    return KernelBtf(data, build_id() or _hash(data))


def build_id(notes: Path = NOTES) -> str:
    """The running kernel's build id in hexadecimal; "" where it is not told."""
    try:
        data = notes.read_bytes()
    except OSError:
        return ""
    at = 0
    while at + 12 <= len(data):
        name, content, kind = struct.unpack_from("=III", data, at)
        start = at + 12 + (name + 3 & ~3)
        if kind == _NT_GNU_BUILD_ID and data[at + 12 : at + 12 + name] == b"GNU\0":
            return data[start : start + content].hex()
        at = start + (content + 3 & ~3)
    return ""


def _hash(data: bytes) -> str:
    from hashlib import sha256

    return sha256(data).hexdigest()

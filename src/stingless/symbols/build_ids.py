"""Symbols by build id and offset in the file, as the stacks of BPF_F_STACK_BUILD_ID have them."""

from __future__ import annotations

import os

from stingless.errors import ObjectError
from stingless.symbols.binary import Binary, binary
from stingless.symbols.process import Found

SIZE = 20  # BPF_BUILD_ID_SIZE


class BuildIds:
    """The files that were added, by their build ids."""

    def __init__(self) -> None:
        self._files: dict[bytes, tuple[bytes, Binary]] = {}

    def add(self, path: bytes | str) -> bool:
        """False for a file without a build id, or that cannot be read."""
        try:
            file = binary(os.fsdecode(path))
        except (OSError, ObjectError):
            return False
        if not file.build_id:
            return False
        self._files[file.build_id.ljust(SIZE, b"\0")[:SIZE]] = os.fsencode(path), file
        return True

    def find(self, build_id: bytes, offset: int) -> Found:
        """`offset` in the file."""
        if build_id not in self._files:
            return Found(None, offset, None)
        path, file = self._files[build_id]
        address = file.address_of(offset)
        symbol = None if address is None else file.functions.find(address)
        if symbol is None or address is None:
            return Found(None, offset, path)
        return Found(symbol.name, address - symbol.start, path)

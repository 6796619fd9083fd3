"""Specs: what an object file holds, before any kernel is asked.

Frozen dataclasses that compare, copy (`dataclasses.replace`) and print; nothing here needs a kernel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stingless._gen.uapi import AttachType, MapType, ProgramType

if TYPE_CHECKING:
    from stingless.btf.types import Btf


@dataclass(frozen=True)
class MapSpec:
    """A map to create.  Sizes are bytes.  `key_type` and `value_type` are BTF ids in the object's BTF (0: none).
    `initial` is the content of a data section's map; `frozen` makes it read-only for user space after that."""

    name: str
    type: MapType
    key_size: int
    value_size: int
    max_entries: int
    flags: int = 0
    key_type: int = 0
    value_type: int = 0
    initial: bytes | None = None
    frozen: bool = False
    btf: Btf | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class MapRef:
    """Instruction `insn` (an index of 8-byte slots) loads the address of map `map`, or, when `offset` is not None, the
    address `offset` bytes into the value of that one-entry array."""

    insn: int
    map: str
    offset: int | None = None


@dataclass(frozen=True)
class LineInfo:
    """Instruction `insn` comes from this line.  The offsets are into the object's BTF strings."""

    insn: int
    file_off: int
    line_off: int
    line_col: int  # line << 10 | column

    @property
    def line(self) -> int:
        return self.line_col >> 10

    @property
    def column(self) -> int:
        return self.line_col & 0x3FF


@dataclass(frozen=True)
class FuncInfo:
    """The (sub-)program that starts at instruction `insn` has BTF function type `type_id`."""

    insn: int
    type_id: int


@dataclass(frozen=True)
class ProgramSpec:
    """A program to load.  `code` is its instructions (8 bytes each, little endian), sub-programs appended; `map_refs`
    say which of them load a map.  `type` is UNSPEC until the section's name or an attach call tells it.
    `attach_target` names the kernel function of fentry, fexit and LSM programs."""

    name: str
    section: str
    type: ProgramType
    code: bytes = field(repr=False)
    license: str = "GPL"
    attach_type: AttachType | None = None
    attach_target: str = ""
    map_refs: tuple[MapRef, ...] = ()
    line_info: tuple[LineInfo, ...] = field(default=(), repr=False)
    func_info: tuple[FuncInfo, ...] = field(default=(), repr=False)
    btf: Btf | None = field(default=None, repr=False, compare=False)

    def source_at(self, insn: int) -> tuple[str, int, str] | None:
        """(file, line, text) of the C line that instruction `insn` comes from, if the object tells."""
        best = None
        for info in self.line_info:
            if info.insn > insn:
                break
            best = info
        if best is None or self.btf is None:
            return None
        return self.btf.string(best.file_off), best.line, self.btf.string(best.line_off)


@dataclass(frozen=True)
class ObjectSpec:
    """What one object file holds."""

    maps: Mapping[str, MapSpec]
    programs: Mapping[str, ProgramSpec]
    license: str = "GPL"
    btf: Btf | None = field(default=None, repr=False, compare=False)

"""Specs: what an object file holds, before any kernel is asked.

Frozen dataclasses that compare, copy (`dataclasses.replace`, `ObjectSpec.copy`) and print; nothing here needs a kernel.
What a program needs of the kernel that it is loaded on (CO-RE relocations, externs) stays symbolic until
`stingless.obj.resolve`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, IntEnum
from typing import TYPE_CHECKING

from stingless._gen.uapi import AttachType, MapType, ProgramType
from stingless.frozen import field, fields, frozen, replace

if TYPE_CHECKING:
    from stingless.btf.types import Btf
    from stingless.obj.variables import Variables


class _Shown:
    """Shows what differs from the defaults."""

    def __repr__(self) -> str:
        parts = []
        for name, each in fields(self).items():
            value = getattr(self, name)
            if each.repr and (each.required or value != each.value()):
                parts.append(f"{name}={value.name if isinstance(value, Enum) else repr(value)}")
        return f"{type(self).__name__}({', '.join(parts)})"


class Pinning(IntEnum):
    """`__uint(pinning, ...)`: LIBBPF_PIN_NONE and LIBBPF_PIN_BY_NAME."""

    NONE = 0
    BY_NAME = 1


@frozen
class StructOpsSpec(_Shown):
    """What a STRUCT_OPS map implements: the kernel's struct `type_name`, with `functions` as (member, program) and
    everything else in the map's `initial`.  `link` when the section asks for a link (`.struct_ops.link`)."""

    type_name: str
    functions: tuple[tuple[str, str], ...] = ()
    link: bool = False


@frozen
class MapSpec(_Shown):
    """A map to create.  Sizes are bytes.  `key_type` and `value_type` are BTF ids in the object's BTF (0: none).
    `initial` is the content of a data section's map; `frozen` makes it read-only for user space after that.
    `inner` is the template of a map of maps; `contents` its first entries, or a program array's, as (slot, name of the
    map or program)."""

    name: str
    type: MapType
    key_size: int
    value_size: int
    max_entries: int
    flags: int = 0
    key_type: int = 0
    value_type: int = 0
    initial: bytes | None = field(default=None, repr=False)
    frozen: bool = False
    extra: int = 0  # map_extra: hash functions of a bloom filter, user address of an arena
    numa_node: int | None = None
    pinning: Pinning = Pinning.NONE
    inner: MapSpec | None = None
    autocreate: bool = True  # a struct_ops section whose name begins with "?" says no
    contents: tuple[tuple[int, str], ...] = ()
    struct_ops: StructOpsSpec | None = None
    btf: Btf | None = field(default=None, repr=False, compare=False)


@frozen
class VariableSpec(_Shown):
    """A global variable: `size` bytes at `offset` of the map `map`; `type` its BTF type (0: none)."""

    name: str
    map: str
    offset: int
    size: int
    type: int = 0
    constant: bool = False  # in .rodata: it can be set before the load only
    btf: Btf | None = field(default=None, repr=False, compare=False)


@frozen
class ExternSpec(_Shown):
    """Something that the kernel is to provide.  In ".kconfig": `size` bytes at `offset` of the map of that name.  In
    ".ksyms": a function (kfunc) or variable of the kernel; `type` is its BTF type in the object (0: untyped, `void`),
    a FUNC's prototype for functions.  A weak one may be missing, and is 0 then."""

    name: str
    section: str
    type: int = 0
    weak: bool = False
    function: bool = False
    offset: int = 0
    size: int = 0


@frozen(slots=True)
class ExternRef:
    """Instruction `insn` loads the address of a ".ksyms" extern, or calls it."""

    insn: int
    extern: ExternSpec


@frozen(slots=True)
class CoreRelocation:
    """Instruction `insn` is to be adapted to the kernel's types: `type` is the local root type's BTF id, `access` the
    access string ("0:1:2"), `kind` one of `enum bpf_core_relo_kind`."""

    insn: int
    type: int
    access: str
    kind: int


@frozen(slots=True)
class Poison:
    """Instruction `insn` could not be resolved and makes the verifier refuse the program if it is reached; `message`
    says what was asked and what was looked at."""

    insn: int
    message: str


@frozen(slots=True)
class MapRef:
    """Instruction `insn` (an index of 8-byte slots) loads the address of map `map`, or, when `offset` is not None, the
    address `offset` bytes into the value of that one-entry array."""

    insn: int
    map: str
    offset: int | None = None


@frozen(slots=True)
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


@frozen(slots=True)
class FuncInfo:
    """The (sub-)program that starts at instruction `insn` has BTF function type `type_id`."""

    insn: int
    type_id: int


@frozen
class ProgramSpec(_Shown):
    """A program to load.  `code` is its instructions (8 bytes each, little endian), sub-programs appended; the
    references say which of them need something from outside.  `type` is UNSPEC until the section's name or an attach
    call tells it.  `attach_to` is what the section's name says after the slash; `attach_target` the kernel function or
    type whose BTF id fentry, fexit, LSM, iterator and struct_ops programs are loaded with."""

    name: str
    section: str
    type: ProgramType
    code: bytes = field(repr=False)
    license: str = "GPL"
    attach_type: AttachType | None = None
    attach_target: str = ""
    map_refs: tuple[MapRef, ...] = field(default=(), repr=False)
    line_info: tuple[LineInfo, ...] = field(default=(), repr=False)
    func_info: tuple[FuncInfo, ...] = field(default=(), repr=False)
    attach_to: str = ""
    flags: int = 0  # BPF_F_SLEEPABLE, BPF_F_XDP_HAS_FRAGS
    autoload: bool = True  # a section's name that begins with "?" says no
    extern_refs: tuple[ExternRef, ...] = field(default=(), repr=False)
    core_relocations: tuple[CoreRelocation, ...] = field(default=(), repr=False)
    # Filled in by `resolve`:
    poisons: tuple[Poison, ...] = ()
    attach_btf_id: int = 0
    attach_member: int = -1  # of a STRUCT_OPS program: the index of the member of the struct that it implements
    attach_module: str = ""  # the module whose BTF has `attach_btf_id`; "": the kernel itself
    kfunc_modules: tuple[str, ...] = ()  # module of each index of fd_array, from 1 on
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


@frozen
class ObjectSpec(_Shown):
    """What one object file holds.  `variables["name"].value = x` edits the initial content of a data section's map."""

    maps: Mapping[str, MapSpec]
    programs: Mapping[str, ProgramSpec]
    license: str = "GPL"
    variable_specs: Mapping[str, VariableSpec] = field(default_factory=dict)
    externs: Mapping[str, ExternSpec] = field(default_factory=dict)
    byteorder: str = "little"  # of the machine that it was compiled for; programs' code is little endian here
    btf: Btf | None = field(default=None, repr=False, compare=False)

    def __repr__(self) -> str:
        """A line for each thing in it."""
        parts = (self.maps, self.programs, self.variable_specs, self.externs)
        lines = [f"  {each!r}," for part in parts for each in part.values()]
        return "\n".join(["ObjectSpec(", *lines, f"  license={self.license!r}, byteorder={self.byteorder!r})"])

    @property
    def variables(self) -> Variables:
        """The global variables by name; their `.value` can be read and set."""
        from stingless.obj.variables import Variables

        return Variables(self)

    def copy(self) -> ObjectSpec:
        """One whose maps, programs and variables can be changed without changing this one's."""
        return replace(
            self,
            maps=dict(self.maps),
            programs=dict(self.programs),
            variable_specs=dict(self.variable_specs),
            externs=dict(self.externs),
        )

"""Tracepoint records of bcc's dialect, adapted to a kernel: its BTF has no type of them, its tracefs has their format.

A program reads the record through `struct tracepoint__CATEGORY__EVENT`, made from the format that it was compiled for;
its CO-RE relocations are applied against the format of the kernel that it is loaded on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from stingless.btf.types import Btf, Kind, Member, Members, Type
from stingless.btf.writer import BtfBuilder
from stingless.frozen import replace
from stingless.obj.spec import ObjectSpec, ProgramSpec

if TYPE_CHECKING:
    from stingless.btf.core import Relocator
    from stingless.compile.dialect.tracepoints import Field

_RECORD = re.compile(r"tracepoint__(?P<category>[a-z0-9_]+?)__(?P<event>\w+)$")
FormatOf = Callable[[str, str], "Sequence[Field]"]
"""(category, event) -> the fields of the record.  Raises `UnknownNameError`."""


def with_records(spec: ObjectSpec, format_of: FormatOf) -> ObjectSpec:
    """The object with the relocations of its tracepoint records applied, and those of the kernel's types left.

    Raises `UnknownNameError` for a tracepoint that the kernel lacks.
    """
    if spec.btf is None:
        return spec
    names = {spec.btf.type(r.type).name for p in spec.programs.values() for r in p.core_relocations}
    records = {name: match for name in names if (match := _RECORD.match(name))}
    if not records:
        return spec
    from stingless.btf.core import Relocator

    builder = BtfBuilder()
    for name, match in records.items():
        _add(builder, name, format_of(match["category"], match["event"]))
    relocator = Relocator(spec.btf, Btf(builder.to_bytes()))
    programs = {name: _relocated(program, spec.btf, relocator) for name, program in spec.programs.items()}
    return replace(spec, programs=programs)


def _relocated(program: ProgramSpec, btf: Btf, relocator: Relocator) -> ProgramSpec:
    """Only the relocations of records: the others stay for the kernel's types."""
    of_records = tuple(r for r in program.core_relocations if _RECORD.match(btf.type(r.type).name))
    rest = tuple(r for r in program.core_relocations if r not in of_records)
    return replace(relocator.relocate(replace(program, core_relocations=of_records)), core_relocations=rest)


def _add(builder: BtfBuilder, name: str, fields: Sequence[Field]) -> None:
    from stingless.compile.dialect.tracepoints import record_members

    index = builder.add(Type(0, Kind.INT, "unsigned int", size=4))
    pointer = builder.add(Type(0, Kind.PTR, ""))
    members = []
    for member in record_members(fields):
        element = pointer if member.pointee else builder.add(_integer(member.width, member.signed))
        if member.length:
            element = builder.add(Type(0, Kind.ARRAY, "", type=element, index_type=index, length=member.length))
        members.append(Member(member.name, element, member.offset * 8))
    size = max(member.offset + member.size for member in record_members(fields)) if fields else 8
    builder.add(Type(0, Kind.STRUCT, name, size=size, members=Members(members)))


def _integer(width: int, signed: bool) -> Type:
    return Type(0, Kind.INT, f"{'s' if signed else 'u'}{width * 8}", size=width, signed=signed)

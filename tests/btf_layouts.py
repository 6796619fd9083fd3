"""Whether declarations made from BTF give the same layout: clang compiles them, and its own BTF is compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from stingless.btf.cdecl import Header
from stingless.btf.cdecl_asserts import asserts
from stingless.btf.kinds import RECORDS
from stingless.btf.types import Btf, Kind, Type
from tests.btf_blobs import compiled


def differences(btf: Btf, names: Iterable[str] | None, records: Iterable[Type]) -> list[str]:
    """What lies elsewhere in the BTF of the compiled header than in `btf`, of the given named records; also raises
    `CompileError` when an assert does not hold."""
    header = Header(btf, names)
    text = header.text()
    wanted = list(records)
    uses = "".join(f"{header.writer.names.tag(found)} *use_{i};\n" for i, found in enumerate(wanted))
    made = compiled(f"{text}{asserts(header)}{uses}", "-Wno-missing-declarations", "-Werror")
    found = []
    for i, record in enumerate(wanted):
        variable = made.find(f"use_{i}", Kind.VAR)
        assert variable is not None
        other = made.resolve(made.resolve(variable.type).type)
        ours, theirs = list(layout(btf, record)), list(layout(made, other))
        if ours != theirs:
            found.append(f"{record.name}: {set(ours) ^ set(theirs)}")
    return found


def layout(btf: Btf, record: Type, path: str = "", base: int = 0) -> Iterator[tuple[str, int, int]]:
    """Path, bit offset and bit size (of a bit-field) of each member, and of those of anonymous records in it."""
    for member in record.members.flat():
        if member.name.startswith("__gap_"):
            continue
        spot = f"{path}.{member.name}"
        yield spot, base + member.bit_offset, member.bit_size
        inner = btf.type(member.type)
        while inner.kind in (Kind.ARRAY, Kind.CONST, Kind.VOLATILE):
            inner = btf.type(inner.type)
        if inner.kind in RECORDS and not inner.name:
            yield from layout(btf, inner, spot, base + member.bit_offset)

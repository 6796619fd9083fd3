"""An object's bytes to an `ObjectSpec`: functions linked with the sub-programs they call, maps, lines."""

from __future__ import annotations

from dataclasses import dataclass, field

from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction, decode, encode
from stingless.btf.types import Btf
from stingless.errors import ObjectError
from stingless.obj.btf_ext import complete_sections, read_infos
from stingless.obj.elf import SHF_EXECINSTR, STB_LOCAL, STT_FUNC, STT_SECTION, Elf, Relocation, Section, parse_elf
from stingless.obj.maps import data_maps, declared_maps
from stingless.obj.sections import program_kind
from stingless.obj.spec import FuncInfo, LineInfo, MapRef, MapSpec, ObjectSpec, ProgramSpec

R_BPF_64_64, R_BPF_64_32 = 1, 10


@dataclass(frozen=True)
class _Function:
    """A function of the object: slots `start` to `end` of its section."""

    name: str
    section: Section
    start: int
    end: int
    is_global: bool


@dataclass
class _Link:
    """A program under construction."""

    code: list[Instruction] = field(default_factory=list)
    maps: list[MapRef] = field(default_factory=list)
    lines: list[LineInfo] = field(default_factory=list)
    funcs: list[FuncInfo] = field(default_factory=list)
    at: dict[_Function, int] = field(default_factory=dict)
    calls: list[tuple[int, _Function]] = field(default_factory=list)


def read_object(data: bytes) -> ObjectSpec:
    """Parse an ELF object made by clang -target bpf.  Raises `ObjectError`."""
    return _Reader(parse_elf(data)).read()


def _slots(section: Section) -> list[Instruction]:
    try:
        return decode(section.data)
    except ValueError as error:
        raise ObjectError(f"section {section.name!r}: {error}") from None


class _Reader:
    def __init__(self, elf: Elf) -> None:
        self.elf = elf
        section = elf.section(".BTF")
        self.btf: Btf | None = None
        self.funcs: dict[str, list[FuncInfo]] = {}
        self.lines: dict[str, list[LineInfo]] = {}
        if section is not None:
            self.btf = complete_sections(Btf(section.data), elf)
            ext = elf.section(".BTF.ext")
            if ext is not None:
                self.funcs, self.lines = read_infos(self.btf, ext.data)
        self.maps: dict[str, MapSpec] = data_maps(elf)
        if self.btf is not None:
            self.maps |= declared_maps(self.btf)
        elif elf.section(".maps") is not None:
            raise ObjectError("the object declares maps in .maps but has no BTF: compile it with -g")
        self.functions = self._functions()
        self.slots = {s.index: _slots(s) for s in elf.sections if s.flags & SHF_EXECINSTR and s.size}
        self.relocations = {index: {r.offset // 8: r for r in elf.relocations.get(index, ())} for index in self.slots}

    def _functions(self) -> dict[tuple[int, int], _Function]:
        found = {}
        for symbol in self.elf.symbols:
            if symbol.type != STT_FUNC or not 0 < symbol.section < len(self.elf.sections):
                continue
            section = self.elf.sections[symbol.section]
            start, end = symbol.value // 8, (symbol.value + symbol.size) // 8
            if not section.flags & SHF_EXECINSTR:
                raise ObjectError(f"function {symbol.name!r} is in section {section.name!r}, which is not code")
            if end * 8 > len(section.data):
                raise ObjectError(f"function {symbol.name!r} reaches past the end of section {section.name!r}")
            found[section.index, start] = _Function(symbol.name, section, start, end, symbol.bind != STB_LOCAL)
        return found

    def read(self) -> ObjectSpec:
        license_section = self.elf.section("license")
        text = license_section.data.split(b"\0")[0].decode("utf-8", "replace") if license_section else "GPL"
        programs = {
            f.name: self._program(f, text) for f in self.functions.values() if f.is_global and f.section.name != ".text"
        }
        used = {ref.map for p in programs.values() for ref in p.map_refs}
        maps = {name: m for name, m in self.maps.items() if m.initial is None or name in used}
        return ObjectSpec(maps, programs, text, btf=self.btf)

    def _program(self, function: _Function, license_text: str) -> ProgramSpec:
        link = _Link()
        todo = [function]
        while todo:
            following = todo.pop(0)
            if following not in link.at:
                self._append(link, following)
                todo += [callee for _, callee in link.calls if callee not in link.at]
        for at, callee in link.calls:
            link.code[at] = link.code[at]._replace(imm=link.at[callee] - at - 1)
        kind, attach, target = program_kind(function.section.name)
        return ProgramSpec(
            function.name,
            function.section.name,
            kind,
            encode(link.code),
            license_text,
            attach,
            target,
            tuple(link.maps),
            tuple(link.lines),
            tuple(link.funcs),
            btf=self.btf,
        )

    def _append(self, link: _Link, function: _Function) -> None:
        base = len(link.code)
        link.at[function] = base
        shift = base - function.start
        section = function.section.index
        for at in range(function.start, function.end):
            insn = self.slots[section][at]
            relocation = self.relocations[section].get(at)
            if relocation is not None:
                insn = self._relocate(link, function, at + shift, insn, relocation)
            elif insn.opcode == op.JMP | op.CALL and insn.src == op.PSEUDO_CALL:
                link.calls.append((at + shift, self._callee(function, section, at + insn.imm + 1)))
            link.code.append(insn)
        inside = range(function.start, function.end)
        name = function.section.name
        link.lines += [
            LineInfo(i.insn + shift, i.file_off, i.line_off, i.line_col)
            for i in self.lines.get(name, ())
            if i.insn in inside
        ]
        link.funcs += [FuncInfo(i.insn + shift, i.type_id) for i in self.funcs.get(name, ()) if i.insn in inside]

    def _callee(self, caller: _Function, section: int, slot: int) -> _Function:
        found = self.functions.get((section, slot))
        if found is None:
            raise ObjectError(f"function {caller.name!r} calls slot {slot} of section {section}: no function there")
        return found

    def _relocate(
        self, link: _Link, function: _Function, at: int, insn: Instruction, relocation: Relocation
    ) -> Instruction:
        symbol = relocation.symbol
        target = self.elf.sections[symbol.section] if 0 < symbol.section < len(self.elf.sections) else None
        if target is None:
            raise ObjectError(f"function {function.name!r} uses {symbol.name!r}, which the object does not define")
        if insn.opcode == op.JMP | op.CALL:
            # Through a section symbol the callee is at imm + 1 slots into it; through a function's own, at its start.
            slot = symbol.value // 8 + (insn.imm + 1 if symbol.type == STT_SECTION else 0)
            link.calls.append((at, self._callee(function, target.index, slot)))
            return insn._replace(src=op.PSEUDO_CALL)
        if insn.opcode != op.LD_IMM64:
            raise ObjectError(f"function {function.name!r}: the relocation at slot {at} is on no call or 64-bit load")
        if target.flags & SHF_EXECINSTR:
            link.calls.append((at, self._callee(function, target.index, (symbol.value + insn.imm) // 8)))
            return insn._replace(src=op.PSEUDO_FUNC)
        if target.name == ".maps":
            link.maps.append(MapRef(at, symbol.name))
            return insn._replace(src=op.PSEUDO_MAP_FD, imm=0)
        if self.elf.relocations.get(target.index):
            raise ObjectError(f"section {target.name!r} holds addresses, which are not read yet: use an index")
        if target.name not in self.maps:
            raise ObjectError(f"function {function.name!r} uses {symbol.name!r} in section {target.name!r}, not a map")
        link.maps.append(MapRef(at, target.name, symbol.value + insn.imm))
        return insn._replace(src=op.PSEUDO_MAP_VALUE, imm=0)

"""Programs out of functions: what a function's instructions refer to, and the sub-programs it calls behind it."""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections import deque
from collections.abc import Mapping

from stingless.asm import opcodes as op
from stingless.errors import ObjectError
from stingless.frozen import frozen
from stingless.obj.btf_ext import Records, Row, within
from stingless.obj.elf import STT_SECTION, Elf, Relocation
from stingless.obj.functions import Function, Functions
from stingless.obj.references import DataReferences
from stingless.obj.spec import CoreRelocation, ExternRef, ExternSpec, FuncInfo, LineInfo, MapRef

_CALL = op.JMP | op.CALL
# Slots: the most that the kernel verifies of a program, and what all programs of an object may have together.
_LARGEST_PROGRAM, _LARGEST_OBJECT = 1_000_000, 2_000_000
_IMM = struct.Struct("<i")


class _Piece:
    """A function with its references; places are counted from its start (slot `first` of its section)."""

    def __init__(self, code: bytearray, first: int) -> None:
        self.code = code
        self.first = first
        self.calls: list[tuple[int, Function]] = []
        self.maps: list[MapRef] = []
        self.externs: list[ExternRef] = []
        self.core: list[CoreRelocation] = []
        self.type = 0
        self.lines: list[Row] = []  # as in `Records`


@frozen
class Linked:
    """A program's code and what speaks of its instructions."""

    code: bytes
    map_refs: tuple[MapRef, ...]
    extern_refs: tuple[ExternRef, ...]
    func_info: tuple[FuncInfo, ...]
    line_info: tuple[LineInfo, ...]
    core_relocations: tuple[CoreRelocation, ...]


class Linker:
    """Raises `ObjectError` for references that lead nowhere."""

    def __init__(
        self,
        elf: Elf,
        functions: Functions,
        records: Records,
        data: DataReferences,
        externs: Mapping[str, ExternSpec],
        callbacks: Mapping[str, str],
    ) -> None:
        """`callbacks`: programs that name a function for exceptions, which nothing calls."""
        self._elf = elf
        self._functions = functions
        self._records = records
        self._data = data
        self._externs = externs
        self._callbacks = callbacks
        self._pieces: dict[Function, _Piece] = {}
        self._left = _LARGEST_OBJECT
        self._relocations = {
            index: sorted(rows, key=lambda r: r.offset)
            for index, rows in elf.relocations.items()
            if elf.sections[index].is_code
        }

    def program(self, function: Function) -> Linked:
        """The function, and behind it all that it calls or takes the address of."""
        start: dict[Function, int] = {}
        size = 0
        waiting = deque([function])
        if function.name in self._callbacks:
            waiting.append(self._callback(function))
        while waiting:
            following = waiting.popleft()
            if following in start:
                continue
            start[following] = size
            size += following.end - following.start
            if size > _LARGEST_PROGRAM:
                raise ObjectError(f"program {function.name!r} has more than {_LARGEST_PROGRAM} instructions")
            waiting.extend(callee for _, callee in self._piece(following).calls if callee not in start)
        self._left -= size
        if self._left < 0:
            raise ObjectError(f"the programs have more than {_LARGEST_OBJECT} instructions together")
        return _joined([(self._pieces[f], at) for f, at in start.items()], start)

    def _callback(self, function: Function) -> Function:
        name = self._callbacks[function.name]
        found = self._functions.named.get(name)
        if found is None:
            raise ObjectError(f"program {function.name!r}: its exception callback {name!r} is not in the object")
        return found

    def _piece(self, function: Function) -> _Piece:
        if function not in self._pieces:
            self._pieces[function] = self._read(function)
        return self._pieces[function]

    def _read(self, function: Function) -> _Piece:
        first, end, name = function.start, function.end, function.section.name
        records, piece = self._records, _Piece(bytearray(self._functions.code(function)), first)
        piece.type = next((row[1] for row in within(records.funcs.get(name, []), first, first + 1)), 0)
        piece.lines = within(records.lines.get(name, []), first, end)
        if piece.lines and piece.lines[0][0] // 8 > first:
            piece.lines.insert(0, (8 * first, *piece.lines[0][1:]))
        piece.core = [
            CoreRelocation(at // 8 - first, type_id, records.access[text], kind)
            for at, type_id, text, kind in within(records.core.get(name, []), first, end)
        ]
        relocated = set()
        rows = self._relocations.get(function.section.index, [])
        for i in range(bisect_left(rows, 8 * first, key=_offset), bisect_left(rows, 8 * end, key=_offset)):
            at = rows[i].offset // 8 - first
            relocated.add(at)
            self._relocate(function, piece, at, rows[i])
        self._near_calls(function, piece, relocated)
        return piece

    def _near_calls(self, function: Function, piece: _Piece, relocated: set[int]) -> None:
        """Calls of static functions in the same section need no relocation."""
        opcodes = bytes(piece.code[::8])
        at = opcodes.find(_CALL)
        while at >= 0:
            if piece.code[8 * at + 1] >> 4 == op.PSEUDO_CALL and at not in relocated:
                (imm,) = _IMM.unpack_from(piece.code, 8 * at + 4)
                piece.calls.append((at, self._callee(function, function.section.index, function.start + at + imm + 1)))
            at = opcodes.find(_CALL, at + 1)

    def _callee(self, caller: Function, section: int, slot: int) -> Function:
        found = self._functions.at(section, slot)
        if found is None:
            name = self._elf.sections[section].name
            raise ObjectError(f"function {caller.name!r} calls slot {slot} of section {name!r}: no function there")
        return found

    def _relocate(self, function: Function, piece: _Piece, at: int, relocation: Relocation) -> None:
        symbol = relocation.symbol
        opcode, (imm,) = piece.code[8 * at], _IMM.unpack_from(piece.code, 8 * at + 4)
        wide = opcode == op.LD_IMM64 and 8 * at + 16 <= len(piece.code)
        if relocation.offset % 8 or not (wide or opcode == _CALL):
            raise ObjectError(f"function {function.name!r}: the relocation at slot {at} is on no call or 64-bit load")
        target = self._elf.section_of(symbol)
        if target is None:
            self._extern(function, piece, at, symbol.name)
        elif opcode == _CALL:
            # Through a section symbol the callee is at imm + 1 slots into it; through a function's own, at its start.
            slot = symbol.value // 8 + (imm + 1 if symbol.type == STT_SECTION else 0)
            piece.calls.append((at, self._callee(function, target.index, slot)))
            _source(piece, at, op.PSEUDO_CALL)
        elif target.is_code:
            piece.calls.append((at, self._callee(function, target.index, (symbol.value + imm) // 8)))
            _source(piece, at, op.PSEUDO_FUNC)
        else:
            ref = self._data.find(function.name, at, symbol, target, imm)
            piece.maps.append(ref)
            _source(piece, at, op.PSEUDO_MAP_FD if ref.offset is None else op.PSEUDO_MAP_VALUE, 0)

    def _extern(self, function: Function, piece: _Piece, at: int, name: str) -> None:
        extern = self._externs.get(name)
        call = piece.code[8 * at] == _CALL
        if extern is None:
            raise ObjectError(f"function {function.name!r} uses {name!r}, which the object does not define")
        if call and not extern.function:
            raise ObjectError(f"function {function.name!r} calls {name!r}, which is declared as no function")
        if extern.section == ".kconfig":
            piece.maps.append(MapRef(at, ".kconfig", extern.offset))
            _source(piece, at, op.PSEUDO_MAP_VALUE, 0)
        else:
            piece.externs.append(ExternRef(at, extern))
            _source(piece, at, op.PSEUDO_KFUNC_CALL if call else 0, 0)


def _joined(pieces: list[tuple[_Piece, int]], start: dict[Function, int]) -> Linked:
    code = bytearray()
    for piece, _ in pieces:
        code += piece.code
    for piece, at in pieces:
        for insn, callee in piece.calls:
            _IMM.pack_into(code, 8 * (at + insn) + 4, start[callee] - (at + insn) - 1)
    # The kernel wants all functions or none, and a line at the start of each.
    known = all(piece.type for piece, _ in pieces)
    lines = known and all(piece.lines for piece, _ in pieces)
    line_info = [
        LineInfo(place // 8 + shift, file, line, column)
        for piece, shift in [(piece, at - piece.first) for piece, at in pieces]
        for place, file, line, column in piece.lines
    ]
    return Linked(
        bytes(code),
        tuple(MapRef(r.insn + at, r.map, r.offset) for piece, at in pieces for r in piece.maps),
        tuple(ExternRef(r.insn + at, r.extern) for piece, at in pieces for r in piece.externs),
        tuple(FuncInfo(at, piece.type) for piece, at in pieces) if known else (),
        tuple(line_info) if lines else (),
        tuple(CoreRelocation(r.insn + at, r.type, r.access, r.kind) for piece, at in pieces for r in piece.core),
    )


def _offset(relocation: Relocation) -> int:
    return relocation.offset


def _source(piece: _Piece, at: int, source: int, imm: int | None = None) -> None:
    """Set the source field, and the immediate when one is given, of an instruction."""
    piece.code[8 * at + 1] = piece.code[8 * at + 1] & 15 | source << 4
    if imm is not None:
        _IMM.pack_into(piece.code, 8 * at + 4, imm)

"""What an instruction does, read from its disassembly: Linux's words, which `asm.disasm` and PREVAIL share."""

from __future__ import annotations

import re
from functools import lru_cache

from stingless.asm.opcodes import LD_IMM64
from stingless.frozen import frozen

_R = r"[rw](\d+)"
_MEM = r"\*\(([us]\d+) ?\*\)\(r(\d+) ?([+-] ?\d+)\)"
_LOAD = re.compile(rf"{_R} = {_MEM}$")
_STORE = re.compile(rf"(?:lock )?{_MEM} ([+|&^]?=) (?:{_R}|(-?(?:0x[0-9a-fA-F]+|\d+)))$")
_ATOMIC = re.compile(r"(?:r(\d+) = )?(\w+)\(\(([us]\d+) \*\)\(r(\d+) ?([+-]\d+)\)(?:, r(\d+))?(?:, r(\d+))?\)$")
_MOVE = re.compile(rf"{_R} = (?:\([us]\d+\) ?)?{_R}$")
_CONST = re.compile(rf"{_R} = (-?(?:0x[0-9a-fA-F]+|\d+))(?: ?ll)?$")
_ALU = re.compile(rf"{_R} (s?(?:[-+*/%&|^]|<<|>>))= (?:{_R}|(-?(?:0x[0-9a-fA-F]+|\d+)))$")
_UNARY = re.compile(rf"{_R} = (?:-|[bl]e\d+ |bswap\d+ |addr_space_cast\(|&\(void __percpu \*\)\(){_R}")
_JUMP = re.compile(
    rf"if {_R} (==|!=|s?>=|s?<=|s?>|s?<|&) (?:{_R}|(-?(?:0x[0-9a-fA-F]+|\d+))) goto (?:pc)?([+-]?\d+|<\w+>)"
)
_GOTO = re.compile(r"(?:goto|gotol|may_goto|goto_or_nop) (?:pc)?([+-]?\d+|<\w+>)")
_CALL = re.compile(r"call (?:pc(?P<pc>[+-]\d+)|(?P<name>[^\s#(]+)?(?:#(?P<number>-?\d+))?)")
_PACKET = re.compile(rf"r0 = \*\(([us]\d+) \*\)skb\[(?:{_R})?.*\]$")
_LD64 = re.compile(rf"{_R} = (.+)$")


@frozen(slots=True)
class Operation:
    """`kind`: "load", "store", "atomic", "move", "constant", "alu", "unary", "jump" (conditional), "goto", "call" (a
    helper or kfunc), "subcall" (a sub-program), "exit", "packet" (r0 = skb[...]), "address" (a 64-bit constant: a
    map or variable), or "" for what is not known.

    `dst` and `src` are numbers of registers (-1: none); of a load, `src` is the address, of a store `dst` is.  `size`
    is in bytes, negative for a sign-extending load."""

    kind: str
    dst: int = -1
    src: int = -1
    offset: int = 0
    size: int = 0
    name: str = ""  # operator, comparison, or called function
    constant: int | None = None
    target: int | None = None  # relative: of a jump or subcall, in instructions after the next
    wide: bool = True  # 64 bits of the registers

    @property
    def writes(self) -> tuple[int, ...]:
        """The registers that it sets or makes unusable."""
        if self.kind in ("load", "move", "constant", "alu", "unary", "address"):
            return (self.dst,)
        if self.kind in ("call", "packet", "subcall"):
            return (0, 1, 2, 3, 4, 5)
        if self.kind == "atomic":
            return (self.src,) if "fetch" in self.name or "xchg" in self.name else ()
        return ()

    @property
    def reads(self) -> tuple[int, ...]:
        """The registers that it takes a value from; a call's arguments are not told by its text."""
        if self.kind in ("load", "move", "unary", "packet"):
            found: tuple[int, ...] = (self.src,)
        elif self.kind in ("store", "atomic", "alu", "jump"):
            found = (self.dst, self.src)
        elif self.kind == "exit":
            found = (0,)
        else:
            found = ()
        return tuple(each for each in found if each >= 0)


NOTHING = Operation("")


@lru_cache(4096)
def operation(text: str, opcode: int = -1) -> Operation:
    """Never raises: an unknown instruction has the kind "".  The opcode tells an address from a number."""
    if opcode == LD_IMM64:
        found = _LD64.match(text)
        return Operation("address", int(found[1]), name=found[2]) if found else NOTHING
    first = text[:1]
    if first in "rw":
        return _assignment(text)
    if first in "*l" and (found := _STORE.match(text)):
        size, dst, off, operator, src, const = found.groups()
        kind = "store" if operator == "=" and not text.startswith("lock") else "atomic"
        return Operation(kind, int(dst), _register(src), _int(off), _bytes(size), operator, _number(const))
    if text.startswith("if ") and (found := _JUMP.match(text)):
        dst, compare, src, const, target = found.groups()
        return Operation(
            "jump", int(dst), _register(src), name=compare, constant=_number(const), target=_number(target),
            wide=text[3] == "r",
        )  # fmt: skip
    if text.startswith("call") and (found := _CALL.match(text)):
        if found["pc"]:
            return Operation("subcall", 0, target=int(found["pc"]))
        number = found["number"]
        return Operation("call", 0, name=found["name"] or "", constant=int(number) if number else None)
    if text.startswith("exit"):
        return Operation("exit")
    if found := _GOTO.match(text):
        return Operation("goto", target=_number(found[1]), name=text.partition(" ")[0])
    if found := _ATOMIC.match(text):
        return _atomic(found)
    if text.startswith("lock"):
        return operation(text[5:]) if text[5:6] not in ("", "l") else NOTHING
    return NOTHING


def _assignment(text: str) -> Operation:
    wide = text[0] == "r"
    if found := _LOAD.match(text):
        dst, size, src, off = found.groups()
        return Operation("load", int(dst), int(src), _int(off), _bytes(size))
    if found := _MOVE.match(text):
        return Operation("move", int(found[1]), int(found[2]), wide=wide)
    if found := _ALU.match(text):
        dst, name, src, const = found.groups()
        return Operation("alu", int(dst), _register(src), name=name, constant=_number(const), wide=wide)
    if found := _CONST.match(text):
        return Operation("constant", int(found[1]), constant=_number(found[2]), wide=wide)
    if found := _PACKET.match(text):
        return Operation("packet", 0, _register(found[2]), size=_bytes(found[1]))
    if found := _UNARY.match(text):
        return Operation("unary", int(found[1]), int(found[2]), name=text.partition(" = ")[2].split("r")[0].strip())
    if found := _ATOMIC.match(text):
        return _atomic(found)
    if found := _LD64.match(text):
        return Operation("address", int(found[1]), name=found[2])
    return NOTHING


def _atomic(found: re.Match[str]) -> Operation:
    result, name, size, address, off, first, second = found.groups()
    if name == "load_acquire":
        return Operation("load", _register(result), int(address), _int(off), _bytes(size))
    if name == "store_release":
        return Operation("store", int(address), _register(first), _int(off), _bytes(size), "=")
    changed = 0 if "cmpxchg" in name else _register(second or first)
    return Operation("atomic", int(address), changed, _int(off), _bytes(size), name)


def _register(text: str | None) -> int:
    return int(text) if text else -1


def _int(text: str) -> int:
    return int(text.replace(" ", ""))


def _number(text: str | None) -> int | None:
    try:
        return int(text, 0) if text else None
    except ValueError:
        return None


def _bytes(size: str) -> int:
    bits = int(size[1:]) // 8
    return -bits if size[0] == "s" else bits

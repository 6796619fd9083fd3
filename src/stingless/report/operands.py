"""What an instruction reads, sets and jumps to, from its text in a log: "r1 = *(u64 *)(r10 -8)" reads R10 and fp-8."""

from __future__ import annotations

import re

from stingless.frozen import frozen

_REGISTER = re.compile(r"\b[rw](10|\d)\b")
_SLOT = re.compile(r"\(r10 ?([+-]) ?(\d+)\)")
_TARGET = re.compile(r"\b(?:goto|gotol|gotox|may_goto|call|callx) (?:pc ?)?([+-]\d+)")
_STORE = re.compile(r"\*\([us]\d+ \*\)\(r\d+ ?[+-] ?\w+\) = ")
_ASSIGNED = re.compile(r"([rw](?:10|\d)) (?:[-+*/%&|^]|<<|>>|s>>|s/|s%)?= ")
_CALLED = ("R0", "R1", "R2", "R3", "R4", "R5")


@frozen(slots=True)
class Operands:
    """`target`: the instruction that it may jump to (-1: none)."""

    reads: tuple[str, ...]
    sets: tuple[str, ...]
    target: int = -1


def operands(index: int, text: str) -> Operands:
    """Of what is not understood, nothing is told."""
    found = _TARGET.search(text)
    target = index + 1 + int(found[1]) if found else -1
    words = text.strip()
    if words.startswith(("call", "callx")):
        return Operands(_CALLED[1:], _CALLED if target < 0 else (), target)
    if words == "exit":
        return Operands(("R0",), ())
    slots = tuple(f"fp{int(sign + number) // 8 * 8}" for sign, number in _SLOT.findall(words) if sign == "-")
    if store := _STORE.match(words):
        return Operands(_registers(words), slots if store.end() else ())
    if assigned := _ASSIGNED.match(words):
        own, rest = _registers(assigned[1]), words[assigned.end() :]
        simple = assigned[0].removeprefix(assigned[1]) == " = "
        return Operands((() if simple else own) + _registers(rest) + slots, own)
    return Operands(_registers(words) + slots, (), target)


def _registers(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f"R{number}" for number in _REGISTER.findall(text)))

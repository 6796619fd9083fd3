"""Where the arguments of static probes are: the operands that the notes have in the assembler's words.

An operand is "SIZE@PLACE"; a negative size is a signed number's, an "f" after the size means floating point.
Source: SystemTap's wiki, "UserSpaceProbeImplementation"; the assembler's operands of each architecture.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from stingless.errors import ObjectError
from stingless.frozen import frozen, replace


@frozen
class Operand:
    """A `constant`; or the register `base`; or, with an `offset`, what memory has at base + offset + index * scale, or
    at the symbol's address + offset when the base is the instruction pointer.  Registers are fields of the kernel's
    struct pt_regs ("di", "regs[3]"), but those of floating point ("xmm0"), which programs cannot read.  `size` in
    bytes."""

    size: int = 8
    signed: bool = False
    floating: bool = False
    constant: int | None = None
    base: str = ""
    offset: int | None = None
    symbol: str = ""
    index: str = ""
    scale: int = 1

    @property
    def c_type(self) -> str:
        return f"{'' if self.signed else 'u'}int{self.size * 8}_t"

    @property
    def readable(self) -> bool:
        """Whether a program can have it."""
        return not self.base.startswith(("xmm", "v"))


def split(text: str) -> tuple[str, ...]:
    """The operands of a place.  On arm64 there may be spaces in one: [x1, x2, lsl 3]."""
    return tuple(re.sub(r",\s+", ",", part) for part in _PART.findall(text))


def operand(text: str, machine: str) -> Operand:
    """Of "x86_64" or "aarch64".  Raises `ObjectError`."""
    parsers = {"x86_64": _x86, "aarch64": _arm64}
    if machine not in parsers:
        raise ObjectError(f"arguments of static probes are not known on {machine}")
    sized = _SIZED.fullmatch(text)
    place = sized[4] if sized else text
    found = parsers[machine](place)
    if found is None:
        raise ObjectError(f"the static probe's argument {text!r} has a form that is not known")
    if sized is None:
        return found
    return replace(found, size=int(sized[2]), signed=bool(sized[1]), floating=bool(sized[3]))


_PART = re.compile(r"(?:[^\s\[]|\[[^\]]*\]|\[)+")
_SIZED = re.compile(r"(-?)([1248])(f?)@(.+)")
_NUMBER = r"[-+]?(?:0x[0-9a-fA-F]+|0+|[1-9][0-9]*)"
_SYMBOL = r"[A-Za-z_.$][\w.$]*"


def _x86_registers() -> Mapping[str, tuple[str, int]]:
    """Each name of a register: its field of struct pt_regs and its bytes."""
    found = {"rip": ("ip", 8), "eip": ("ip", 4)}
    for name in ("ax", "bx", "cx", "dx", "si", "di", "bp", "sp"):
        low = name[0] + "l" if name.endswith("x") else name + "l"
        found |= {f"r{name}": (name, 8), f"e{name}": (name, 4), name: (name, 2), low: (name, 1)}
    for number in range(8, 16):
        name = f"r{number}"
        found |= {name: (name, 8), f"{name}d": (name, 4), f"{name}w": (name, 2), f"{name}b": (name, 1)}
    return found | {f"xmm{i}": (f"xmm{i}", 8) for i in range(32)}


_X86 = _x86_registers()
_X86_MEMORY = re.compile(
    rf"(?P<first>{_NUMBER})?(?:(?:(?<=\w)\+)?(?P<symbol>{_SYMBOL})(?P<second>[-+]\d+)?)?"
    r"\((?:%(?P<base>\w+))(?:,%(?P<index>\w+)(?:,(?P<scale>[1248]))?)?\)"
)


def _x86(text: str) -> Operand | None:
    if text.startswith("$"):
        return _constant(text[1:])
    if text.startswith("%"):
        field, width = _X86.get(text[1:], ("", 0))
        return Operand(width, base=field) if field else None
    memory = _X86_MEMORY.fullmatch(text)
    if memory is None or memory["base"] not in _X86 or (memory["index"] or "rax") not in _X86:
        return None
    base = _X86[memory["base"]][0]
    if bool(memory["symbol"]) != (base == "ip") or (memory["symbol"] and memory["index"]):
        return None  # a symbol's address is absolute otherwise, which no position-independent code has
    offset = int(memory["first"] or "0", 0) + int(memory["second"] or "0", 0)
    index = _X86[memory["index"]][0] if memory["index"] else ""
    scale = int(memory["scale"] or "1")
    return Operand(base=base, offset=offset, symbol=memory["symbol"] or "", index=index, scale=scale)


_ARM64 = {f"{kind}{i}": f"regs[{i}]" for kind in "xw" for i in range(31)} | {"sp": "sp", "x31": "sp", "pc": "pc"}
_ARM64_FLOAT = re.compile(r"[vqdsh]\d+")
_ARM64_MEMORY = re.compile(rf"\[(\w+)(?:,(?:#?({_NUMBER})|(\w+)(?:,(?:lsl|sxtw|uxtw) ?#?(\d))?))?\]")


def _arm64(text: str) -> Operand | None:
    if text in _ARM64:
        return Operand(base=_ARM64[text])
    if _ARM64_FLOAT.fullmatch(text):
        return Operand(base=f"v{text[1:]}")
    memory = _ARM64_MEMORY.fullmatch(text)
    if memory is None:
        return _constant(text.removeprefix("#"))
    base, number, index, shift = memory.groups()
    if base not in _ARM64 or (index or "sp") not in _ARM64:
        return None
    where = Operand(base=_ARM64[base], offset=int(number or "0", 0))
    return replace(where, index=_ARM64[index], scale=1 << int(shift or "0")) if index else where


def _constant(text: str) -> Operand | None:
    return Operand(constant=int(text, 0)) if re.fullmatch(_NUMBER, text) else None

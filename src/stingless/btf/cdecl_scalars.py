"""C's names for numbers, on the machine that eBPF is: LP64."""

from __future__ import annotations

from stingless.btf.kinds import Type
from stingless.errors import ObjectError

_BASES = {1: "char", 2: "short", 4: "int", 8: "long long", 16: "__int128"}
_WORDS = frozenset(("char", "short", "int", "long", "signed", "unsigned", "_Bool", "__int128"))
_FLOATS = {"float": 4, "double": 8, "_Float16": 2, "__bf16": 2, "_Complex float": 8, "_Complex double": 16}
_MODES = {1: "QI", 2: "HI", 4: "SI", 8: "DI"}


def integer_name(found: Type) -> str:
    """As BTF has it (DWARF's "long unsigned int") where that is C and of the size, else one of that size."""
    words = found.name.split()
    if words and _WORDS.issuperset(words) and _size(words) == found.size:
        return found.name
    if found.encoding & 4 and found.size == 1:
        return "_Bool"
    if found.size not in _BASES:
        return opaque(found)
    return f"{'signed' if found.signed else 'unsigned'} {_BASES[found.size]}"


def _size(words: list[str]) -> int:
    for word, size in (("char", 1), ("_Bool", 1), ("short", 2), ("__int128", 16), ("long", 8)):
        if word in words:
            return size
    return 4


def float_name(found: Type) -> str:
    """`long double` and other ones that eBPF has not, as bytes of that size."""
    return found.name if _FLOATS.get(found.name) == found.size else opaque(found)


def opaque(found: Type) -> str:
    """So many bytes that mean nothing."""
    if not 0 < found.size <= 1 << 16:
        raise ObjectError(f"BTF type {found.id} ({found.name}) is a number of {found.size} bytes")
    align = min(found.size & -found.size, 16)
    return f"struct {{ char bytes[{found.size}] __attribute__((aligned({align}))); }}"


def number(value: int) -> str:
    """An enumerator's value, of a type that holds it."""
    if -(1 << 31) <= value < 1 << 32:
        return str(value)
    if value == -(1 << 63):
        return f"{value + 1}LL - 1"
    return f"{value}{'ULL' if value >= 1 << 63 else 'LL'}"


def enum_attribute(found: Type) -> str:
    """What makes the enum have its size, where it would have another."""
    values = [value for _, value in found.values] or [0]
    low, high = min(values), max(values)
    size = next((s for s in (4, 8) if fits(low, high, s)), 8)
    if found.size == size:
        return ""
    if found.size == next((s for s in (1, 2, 4, 8) if fits(low, high, s)), 8):
        return " __attribute__((packed))"
    if found.size not in _MODES:
        raise ObjectError(f"BTF type {found.id} ({found.name}) is an enum of {found.size} bytes")
    return f" __attribute__((mode({_MODES[found.size]})))"


def fits(low: int, high: int, size: int) -> bool:
    """Whether an integer of that many bytes holds both."""
    bits = size * 8
    return (low >= 0 and high < 1 << bits) or (low >= -(1 << bits - 1) and high < 1 << bits - 1)

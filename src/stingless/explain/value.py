"""What a verifier knows of a register or of a stack slot, read from any of Linux's wordings."""

from __future__ import annotations

import re

from stingless.frozen import frozen

_NUMBER = re.compile(r"(?:inv|scalar|imm)?P?(-?(?:0x[0-9a-f]+|\d+))$")
_HEAD = re.compile(r"P?(?P<kind>[a-zA-Z_][\w.]*?)?(?:\((?P<facts>.*)\)?)?$", re.S)
_STACK = re.compile(r"fp(?:\[\d+\])?(?P<offset>-?\d+)?")
_LONG = {
    "umin_value": "umin", "umax_value": "umax", "smin_value": "smin", "smax_value": "smax",
    "u32_min_value": "umin32", "u32_max_value": "umax32", "s32_min_value": "smin32", "s32_max_value": "smax32",
}  # fmt: skip
_SLOTS = re.compile(r"[?0-9mrdif]{8}$")


@frozen(slots=True)
class Value:
    """`text` is the verifier's own words; the rest is read from them, when it is asked for."""

    text: str

    def __str__(self) -> str:
        return self.text

    @property
    def kind(self) -> str:
        """The type, in the newest kernel's word: "scalar", "fp" (stack), "ctx", "map_value", "map_value_or_null",
        "map_ptr", "pkt", "pkt_end", "sock", "ptr_task_struct", "trusted_ptr_or_null_sock" ...; "bytes" for stack whose
        8 bytes differ ("mmmm????")."""
        text = self.text
        if _NUMBER.match(text):
            return "scalar"
        if _SLOTS.match(text):
            return "bytes"
        if text.startswith("fp"):
            return "fp"
        found = _HEAD.match(text)
        kind = found["kind"] or "" if found else text
        if kind in ("inv", "unknown"):
            return "scalar"
        return kind

    @property
    def constant(self) -> int | None:
        """The number, when it is known."""
        found = _NUMBER.match(self.text)
        if found:
            return int(found[1], 0)
        if self.kind == "scalar":
            facts = self.facts
            low, high = facts.get("umin"), facts.get("umax")
            if low is not None and low == high:
                return _int(low)
        return None

    @property
    def nullable(self) -> bool:
        """Whether it may be NULL."""
        return "or_null" in self.text.partition("(")[0]

    @property
    def facts(self) -> dict[str, str]:
        """What stands in the parentheses, in the newest kernel's words: `{"map": "counts", "ks": "4", "off": "8"}`."""
        _, opening, rest = self.text.partition("(")
        found: dict[str, str] = {}
        if not opening:
            return found
        for part in _split(rest.removesuffix(")")):
            *names, value = part.split("=")
            for name in names:
                found[_LONG.get(name, name)] = value
        return found

    def fact(self, name: str) -> int | None:
        """One of the facts as a number."""
        return _int(self.facts.get(name, ""))

    @property
    def offset(self) -> int | None:
        """The fixed part of a pointer's offset; None for numbers, and when it is not shown."""
        if self.text.startswith("fp"):
            found = _STACK.match(self.text)
            return int(found["offset"] or 0) if found else None
        if self.kind in ("scalar", "bytes", ""):
            return None
        offset, constant = self.fact("off"), self.fact("imm")
        return (offset or 0) + (constant or 0)

    @property
    def range(self) -> tuple[int | None, int | None]:
        """(lowest, highest) of a number, or of the part of a pointer's offset that varies; None: no limit is known."""
        if (constant := self.constant) is not None:
            return constant, constant
        facts = self.facts
        low, high = _int(facts.get("smin", "")), _int(facts.get("smax", ""))
        if low is None or low < 0:
            unsigned = _int(facts.get("umin", ""))
            upper = _int(facts.get("umax", ""))
            if upper is not None and upper < 1 << 63:
                low, high = unsigned or 0, upper
            elif unsigned is not None and low is None:
                low = unsigned
        if high is None:
            high = _int(facts.get("umax", ""))
        if low is None and high is not None and "smin" not in facts and "umax" in facts and high < 1 << 63:
            low = 0
        return low, high


def _int(text: str) -> int | None:
    try:
        return int(text, 0)
    except ValueError:
        return None


def _split(text: str) -> list[str]:
    """At commas, but not within parentheses."""
    parts, depth, start = [], 0, 0
    for i, letter in enumerate(text):
        if letter == "(":
            depth += 1
        elif letter == ")":
            depth -= 1
        elif letter == "," and depth <= 0:
            parts.append(text[start:i])
            start = i + 1
    parts.append(text[start:])
    return [each.strip() for each in parts if each.strip()]

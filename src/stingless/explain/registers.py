"""A register's state in a verifier's log, in words."""

from __future__ import annotations

import re

_KINDS: tuple[tuple[str, str], ...] = (
    ("map_value_or_null", "the result of a lookup{map}: a pointer that may be NULL"),
    ("ringbuf_mem_or_null", "reserved ring-buffer memory that may be NULL"),
    ("alloc_mem_or_null", "reserved memory that may be NULL"),
    ("map_value", "a pointer into a value{map}"),
    ("map_ptr", "a map{map}"),
    ("pkt_end", "the end of the packet"),
    ("pkt_meta", "a pointer to the packet's metadata"),
    ("pkt", "a pointer into the packet, with {range} bytes checked against its end"),
    ("ctx", "the context"),
    ("fp", "a pointer into the program's stack"),
    ("scalar", "a number{bounds}"),
    ("inv", "a number{bounds}"),
)


def describe(register: str, state: str) -> str:
    """For example "R0 is the result of a lookup in map 'counts' (8-byte values): a pointer that may be NULL"."""
    if not state:
        return ""
    number = re.fullmatch(r"(?:scalar|inv|)(-?\d+|0x[0-9a-f]+)", state)
    if number:
        return f"{register} is the number {number[1]}"
    for kind, words in _KINDS:
        if state.startswith(kind):
            facts = dict(re.findall(r"(\w+)=([^,()]+)", state))
            return f"{register} is " + words.format(map=_map(facts), range=facts.get("r", "0"), bounds=_bounds(facts))
    return f"{register} is {state}"


def _map(facts: dict[str, str]) -> str:
    name = f" in map {facts['map']!r}" if facts.get("map") else " in a map"
    return name + (f" ({facts['vs']}-byte values)" if "vs" in facts else "")


def _bounds(facts: dict[str, str]) -> str:
    low = facts.get("smin", facts.get("umin"))
    high = facts.get("smax", facts.get("umax"))
    if low is None and high is None:
        return " that can be anything"
    return f" from {low or '?'} to {high or '?'}"

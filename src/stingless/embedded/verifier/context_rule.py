"""How the rules of contexts speak: a rule is asked about each access, and answers with what is there."""

from __future__ import annotations

from collections.abc import Callable

from stingless._gen.uapi import AttachType

# (offset, size, write, attach type) -> one of the roles below, "data", "data_end" or "data_meta" (32 bits wide, which
# become 64-bit loads of packet pointers), or None when refused.  Accesses are aligned when it is asked, offsets may be
# anything.
Rule = Callable[[int, int, bool, AttachType | None], str | None]

SCALAR_FIELD = "scalar"
HALF_FIELD = "half"  # a store of which 16 bits are kept
# 64-bit fields that hold pointers.
DATA, DATA_END = "data pointer", "data_end pointer"
FLOW_KEYS = "flow_keys"
SOCK, SOCK_OR_NULL, SOCK_COMMON_OR_NULL = "sock", "sock_or_null", "sock_common_or_null"
FLOW_KEYS_BYTES = 56


def part(off: int, size: int, start: int, field_bytes: int = 4) -> bool:
    """An access of up to 4 bytes within the field at `start`."""
    return size <= 4 and start <= off and off + size <= start + field_bytes


def wide(off: int, size: int, start: int) -> bool:
    """Eight aligned bytes of an IPv6 address at `start`."""
    return size == 8 and off % 8 == 0 and start <= off and off + size <= start + 16

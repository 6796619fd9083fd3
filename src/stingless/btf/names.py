"""Python names for what BTF names: BTF comes from outside, and C allows names that Python does not."""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Iterable

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_]")
_LONGEST = 128  # characters; the kernel's own limit is KSYM_NAME_LEN, 512


def identifiers(names: Iterable[str], reserved: Collection[str] = ()) -> list[str]:
    """An ASCII identifier for each name, all different: keywords, `__special__` and `reserved` ones get a "_" at the
    end, other characters become "_", and what is there already gets a number."""
    taken: set[str] = set()
    numbers: dict[str, int] = {}
    found = []
    for name in names:
        plain = _NOT_IN_NAMES.sub("_", name[:_LONGEST]) or "_"
        if plain[0].isdigit():
            plain = "_" + plain
        special = plain.startswith("__") and plain.endswith("__")
        if special or keyword.iskeyword(plain) or plain in reserved:
            plain += "_"
        unique = plain
        while unique in taken:
            numbers[plain] = numbers.get(plain, 1) + 1
            unique = f"{plain}_{numbers[plain]}"
        taken.add(unique)
        found.append(unique)
    return found

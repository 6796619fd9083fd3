"""Which type a program submits to an event table, so that `table.event(data)` can decode it.

Each submitting call leaves a static variable in the object that is a pointer to the record; only its BTF is read.
"""

from __future__ import annotations

import re

from stingless.btf.types import Btf, Kind

MARKER = "__st_event_"
_RECORDS = (Kind.STRUCT, Kind.UNION)


def event_type(btf: Btf, table: str) -> int:
    """BTF id of the type of the records that programs submit to a table; 0 when the text does not tell.

    Of several the last in the text counts, as in bcc; what is no struct counts only where nothing else is submitted.
    """
    name = re.compile(rf"(?:.*\.)?{MARKER}{re.escape(table)}(?:\.\d+)?")
    found = 0
    for type_id in btf.ids(Kind.VAR):
        variable = btf.type(type_id)
        if not name.fullmatch(variable.name):
            continue
        pointer = btf.resolve(variable.type)
        if pointer.kind is not Kind.PTR or btf.resolve(pointer.type).kind is Kind.VOID:
            continue
        if not found or btf.resolve(pointer.type).kind in _RECORDS or btf.resolve(found).kind not in _RECORDS:
            found = pointer.type
    return found

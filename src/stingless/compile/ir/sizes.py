"""Sizes given to helpers are made 64 bits wide.

A helper declared with a `__u32` takes the lower half of a register, so clang leaves the upper half as it is; the
verifier looks at the whole register, and finds a size that it knows no bounds of.
"""

from __future__ import annotations

import re

from stingless.compile.ir.model import Call, Function

# One that takes any number of arguments tells their types before its address; those are not sizes.
_CALLEE = re.compile(r"\bcall i64 inttoptr ?\(i64 \d+ to ptr\)\(")
_NARROW = re.compile(r"\bi32 (?:noundef )?(%[\w.$-]+)(?=[,)])")


def wide_sizes(function: Function) -> None:
    """Extend the 32-bit arguments of its calls of helpers."""
    made = 0
    for at, call in enumerate(function.body):
        if not isinstance(call, Call) or call.helper is None or (callee := _CALLEE.search(call.text)) is None:
            continue
        before, after = call.text[: callee.end()], call.text[callee.end() :]
        lines = []
        for value in dict.fromkeys(_NARROW.findall(after)):
            wide = f"%st.wide.{made}"
            made += 1
            lines.append(f"  {wide} = zext i32 {value} to i64{call.location()}")
            after = re.sub(rf"\bi32 (?:noundef )?{re.escape(value)}(?=[,)])", f"i64 {wide}", after)
        if lines:
            call.text = before + after
            function.body[at] = "\n".join([*lines, call.text])

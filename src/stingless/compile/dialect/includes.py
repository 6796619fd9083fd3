"""`#include`s: what the compiler can include stays, kernel-internal headers go."""

from __future__ import annotations

import re
from collections.abc import Callable

from stingless.compile.dialect.work import Work

_INCLUDE = re.compile(r"#\s*include\s*(?P<bracket>[<\"])(?P<path>[^>\"]+)[>\"]")


def includes(work: Work, has_header: Callable[[str], bool]) -> None:
    for token in work.tokens:
        match = _INCLUDE.match(token.text) if token.kind == "directive" else None
        if not match:
            continue
        path = match["path"].removeprefix("uapi/")
        if has_header(path):
            work.replace(token.start, token.end, f"#include <{path}>")
        elif match["bracket"] == "<":  # a header in quotes is the user's own
            work.dropped.append(match["path"])
            work.replace(token.start, token.end, "")

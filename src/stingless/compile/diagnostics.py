"""clang's messages as `Diagnostic`s on the user's own lines."""

from __future__ import annotations

import re

from stingless.errors import Diagnostic

_MESSAGE = re.compile(r"^(?P<file>[^:\n]+):(?P<line>\d+):(?P<column>\d+): (?P<severity>[a-z ]+): (?P<message>.*)$")
_LIMIT = 50


def parse_diagnostics(output: str, name: str, text: str) -> list[Diagnostic]:
    """Messages in the order clang printed them.  Those on `name` carry their source line from `text`."""
    lines = text.splitlines()
    found: list[Diagnostic] = []
    for row in output.splitlines():
        match = _MESSAGE.match(row)
        if not match or len(found) == _LIMIT:
            continue
        number = int(match["line"])
        source = lines[number - 1].strip() if match["file"] == name and 0 < number <= len(lines) else ""
        message = re.sub(r" \[-W[^\]]*\]$", "", match["message"])
        found.append(Diagnostic(match["file"], number, int(match["column"]), match["severity"], message, source))
    return found

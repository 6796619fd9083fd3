"""clang's messages as `CompilerMessage`s on the user's own lines."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from stingless.errors import CompileError, CompilerMessage
from stingless.obj.source import lines_of

_MESSAGE = re.compile(r"^(?P<file>[^:\n]+):(?P<line>\d+):(?P<column>\d+): (?P<severity>[a-z ]+): (?P<message>.*)$")
# Of the code generator, when it is given IR.
_OF_CODE = re.compile(
    r"^(?P<severity>[a-z ]+): (?P<file>[^:\n]+):(?P<line>\d+):(?P<column>\d+): in function (?P<message>.*)$"
)
_PROTOTYPE = re.compile(r"^(\S+) .*?\): ")  # the function's type behind its name
_BUILTIN = re.compile(r"A call to built-in function '(\w+)' is not supported\.?")
_LIMIT = 50


def parse_diagnostics(output: str, name: str, text: str) -> list[CompilerMessage]:
    """Messages in the order clang printed them.  Those on `name` carry their source line from `text`, those on other
    files from these."""
    lines: dict[str, list[str]] = {name: lines_of(text, name)}
    found: list[CompilerMessage] = []
    for row in output.splitlines():
        match = _MESSAGE.match(row) or _OF_CODE.match(row)
        if not match or len(found) == _LIMIT:
            continue
        number = int(match["line"])
        message = re.sub(r" \[-W[^\]]*\]$", "", match["message"])
        if match.re is _OF_CODE:
            message = _of_code(message)
        source = _line(lines, match["file"], number)
        found.append(CompilerMessage(match["file"], number, int(match["column"]), match["severity"], message, source))
    return found


def _of_code(message: str) -> str:
    message = _PROTOTYPE.sub(r"in \1(): ", message)
    builtin = _BUILTIN.search(message)
    if builtin is None:
        return message
    return (
        f"{message[: builtin.start()]}{builtin[1]}() of this size is no eBPF code: up to 128 words can be set or "
        "copied at once, and only a constant number; do it in a loop, or keep the data in a per-CPU array"
        if builtin[1] in ("memset", "memcpy", "memmove")
        else f"{message[: builtin.start()]}{builtin[1]}() is needed, and eBPF code has no such function to call"
    )


def _line(lines: dict[str, list[str]], file: str, number: int) -> str:
    if file not in lines:
        try:
            lines[file] = Path(file).read_text("utf-8", "replace").splitlines() if Path(file).is_file() else []
        except OSError:
            lines[file] = []
    return lines[file][number - 1].strip() if 0 < number <= len(lines[file]) else ""


def failure(name: str, diagnostics: list[CompilerMessage], output: str, status: int) -> CompileError:
    """The error of a run of clang that ended with `status`."""
    errors = [d for d in diagnostics if d.severity in ("error", "fatal error")] or diagnostics
    if not errors:
        return CompileError(f"{name}: clang failed with status {status}: {output.strip()}", (), output)
    # A text that lacks a brace has what we put after it within a function: that is not the user's to mend.
    errors = [d for d in errors if not d.message.startswith("'section' attribute only applies to")] or errors
    first = str(errors[0])
    after = diagnostics[diagnostics.index(errors[0]) + 1 :]
    if after and errors[0].message.startswith("expected '") and after[0].message.startswith("to match this"):
        first += f"\n{after[0]}"
    more = f"\n({len(errors) - 1} more)" if len(errors) > 1 else ""
    return CompileError(f"{first}{more}", diagnostics, output)


def renamed(output: str, names: Mapping[str, str]) -> str:
    """Messages that speak of files by names that only clang knows, with the user's names."""
    for name, known in names.items():
        output = re.sub(re.escape(name) + r"(?!\d)", known.replace("\\", r"\\"), output)
    return output

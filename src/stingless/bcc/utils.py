"""Small things that bcc's tools use."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, TextIO

from stingless.cpus import online_cpus as get_online_cpus
from stingless.cpus import possible_cpus

__all__ = [
    "FILESYSTEMENCODING",
    "ArgString",
    "StrcmpRewrite",
    "detect_language",
    "get_online_cpus",
    "get_possible_cpus",
    "printb",
]

FILESYSTEMENCODING = sys.getfilesystemencoding()


def get_possible_cpus() -> list[int]:
    """The CPUs that there can ever be."""
    return list(range(possible_cpus()))


def printb(s: bytes, file: TextIO | None = None, nl: bool | int = 1) -> None:
    """Write bytes as they are, to standard output or another text file, and flush it."""
    out: Any = sys.stdout if file is None else file
    if hasattr(out, "buffer"):
        out.flush()  # what print() left there comes first
    raw = getattr(out, "buffer", out)
    try:
        raw.write(s + b"\n" if nl else s)
    except TypeError:  # a file of text only, as io.StringIO
        raw.write(s.decode("utf-8", "replace") + ("\n" if nl else ""))
    out.flush()


class ArgString:
    """A word of the command line, as text and as the bytes that it was."""

    def __init__(self, arg: str) -> None:
        self.s = arg

    def __bytes__(self) -> bytes:
        return self.s.encode(FILESYSTEMENCODING, "surrogateescape")

    def __str__(self) -> str:
        return self.s


_LANGUAGES = ("java", "node", "perl", "php", "python", "ruby")


def detect_language(candidates: Collection[str], pid: int) -> str | None:
    """The language that a process is written in, if it is one of `candidates`: by the path of its program, then by the
    libraries that it has mapped; "c" when these are C's only."""
    found = language_of(pid)
    return found if found in candidates else None


def language_of(pid: int) -> str | None:
    import os

    try:
        program = os.path.realpath(f"/proc/{pid}/exe", strict=True)
    except OSError:
        program = ""
    for language in _LANGUAGES:
        if language in program:
            return language
    try:
        with Path(f"/proc/{pid}/maps").open() as lines:
            mapped = {fields[5].strip() for line in lines if len(fields := line.split(None, 5)) == 6}
    except OSError:
        return None
    for language in _LANGUAGES:
        if any(f"/lib{language}" in path for path in mapped):
            return language
    return "c" if any(re.search(r"libc[-.]", path) for path in mapped) else None


class StrcmpRewrite:
    """`STRCMP("text", expression)` in the filters of trace and argdist: each becomes the call of a function that
    compares what the expression points to with that text."""

    _CALL = re.compile(r'STRCMP\(("[^"]+"),(.+?)\)')

    @staticmethod
    def rewrite_expr(
        expr: str, bin_cmp: bool, is_user: bool, probe_user_list: Iterable[str], streq_functions: str, probeid: int
    ) -> dict[str, Any]:
        """`expr` with the calls, `streq_functions` with the functions, `probeid` the number of the next one.  With
        `bin_cmp` what is between the quotes is a C expression of its own (the name of an array)."""
        of_user = {name.strip() for name in probe_user_list}
        for call in StrcmpRewrite._CALL.finditer(expr):
            reader = "bpf_probe_read_user" if is_user or call[2].strip() in of_user else "bpf_probe_read_kernel"
            text = call[1][1:-1] if bin_cmp else call[1]
            streq_functions += (
                f"\nstatic inline bool streq_{probeid}(char const *ignored, uintptr_t str) {{\n"
                f"    char wanted[] = {text};\n"
                "    char found[sizeof(wanted)];\n"
                f"    {reader}(&found, sizeof(found), (void *)str);\n"
                "    for (int i = 0; i < sizeof(wanted) - 1; ++i)\n"
                "        if (wanted[i] != found[i])\n"
                "            return false;\n"
                "    return true;\n"
                "}\n"
            )
            expr = expr.replace("STRCMP", f"streq_{probeid}", 1)
            probeid += 1
        return {"expr": expr, "streq_functions": streq_functions, "probeid": probeid}

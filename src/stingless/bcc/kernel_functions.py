"""Functions of the kernel that can take a kprobe, by regular expression."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path

_KALLSYMS = Path("/proc/kallsyms")
_BLACKLIST = "kprobes/blacklist"  # of debugfs
# Code that is gone after the boot, and code that kprobes must not interrupt: what kallsyms, which is in the order of
# addresses, has between these.
_SECTIONS = {b"__init_begin": b"__init_end", b"__irqentry_text_start": b"__irqentry_text_end"}
# Parts that the compiler split off, targets of static calls, markers of the kernel's own blacklist, and perf, which
# kprobes are made with.
_FUNCTION = re.compile(rb" [tTwW] (?!_kbl_addr_|__perf|perf_|__SCT__)(\S+)")
_COLD = re.compile(rb" (\S+\.cold(?:\.\d+)?)\s")


def kprobe_functions(event_re: bytes) -> set[bytes]:
    """Names that match from their start.  Raises `re.error`."""
    matches = re.compile(event_re).match
    return {name for name in _candidates() if matches(name)}


@cache
def _candidates() -> set[bytes]:
    return functions(_KALLSYMS.read_bytes()) - _blacklist()


def functions(kallsyms: bytes) -> set[bytes]:
    """Of a text as /proc/kallsyms."""
    for start, end in _SECTIONS.items():
        begins, ends = kallsyms.find(b" " + start + b"\n"), kallsyms.find(b" " + end + b"\n")
        if begins >= 0 and not 0 <= ends < begins:
            rest = b"" if ends < 0 else kallsyms[kallsyms.index(b"\n", ends) + 1 :]
            kallsyms = kallsyms[: kallsyms.rindex(b"\n", 0, begins) + 1] + rest
    return set(_FUNCTION.findall(kallsyms)).difference(_COLD.findall(kallsyms))


def _blacklist() -> frozenset[bytes]:
    """What the kernel forbids; empty where it does not tell."""
    from stingless._sys.mount import directory

    try:
        root = directory("debugfs")
    except OSError:
        return frozenset()
    try:
        file = os.open(_BLACKLIST, os.O_RDONLY | os.O_CLOEXEC, dir_fd=root.fileno())
    except OSError:
        return frozenset()
    finally:
        root.close()
    with os.fdopen(file, "rb") as lines:
        return frozenset(line.split()[1] for line in lines)

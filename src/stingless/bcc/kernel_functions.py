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
_NEVER = re.compile(rb"_kbl_addr_|__perf|perf_|__SCT__|.*\.cold(\.\d+)?$")


def kprobe_functions(event_re: bytes) -> set[bytes]:
    """Names that match from their start.  Raises `re.error`."""
    matches = re.compile(event_re).match
    return {name for name in _candidates() if matches(name)}


@cache
def _candidates() -> tuple[bytes, ...]:
    blacklist = _blacklist()
    found: dict[bytes, None] = {}
    starts = dict(_SECTIONS)
    end = b""
    with _KALLSYMS.open("rb") as lines:
        for line in lines:
            _, kind, name, *_ = line.split(None, 3)
            if end:
                if name == end:
                    end = b""
            elif name in starts:
                end = starts.pop(name)
            elif name in _SECTIONS.values():
                # The end before its start: nothing lies between them.
                starts = {start: until for start, until in starts.items() if until != name}
            elif kind in b"tTwW" and not _NEVER.match(name):
                found[name] = None
    return tuple(name for name in found if name not in blacklist)


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

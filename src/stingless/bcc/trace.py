"""Lines of trace_pipe in their fields."""

from __future__ import annotations

import re
from typing import NamedTuple

_LINE = re.compile(
    rb"^\s*(?P<task>.*)-(?P<pid>\d+)\s+(?:\([^)]*\)\s+)?\[(?P<cpu>\d+)\]\s+(?P<flags>\S+)\s+(?P<ts>[\d.]+):\s+"
    rb"(?P<function>[^:]*):\s?(?P<msg>.*)$"
)


class TraceFields(NamedTuple):
    """What `BPF.trace_fields()` returns, in bcc's order."""

    task: bytes
    pid: int
    cpu: int
    flags: bytes
    ts: float
    msg: bytes


def parse_trace_line(line: bytes) -> TraceFields | None:
    """The fields of a line, or None for one of another form (as the kernel's notes of lost events)."""
    match = _LINE.match(line)
    if match is None:
        return None
    return TraceFields(
        match["task"].strip(), int(match["pid"]), int(match["cpu"]), match["flags"], float(match["ts"]), match["msg"]
    )

"""Lines of trace_pipe in their fields, as bcc has them: bytes."""

from __future__ import annotations

from typing import NamedTuple

from stingless.streams.trace import parse


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
    found = parse(line.decode(errors="surrogateescape"))
    if found is None:
        return None
    task, flags, message = (text.encode(errors="surrogateescape") for text in (found.task, found.flags, found.message))
    return TraceFields(task, found.pid, found.cpu, flags, found.timestamp, message)

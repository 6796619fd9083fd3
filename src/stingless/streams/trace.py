"""`TracePipe`: what bpf_trace_printk() writes, as events."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from operator import length_hint
from typing import TYPE_CHECKING, Any, NamedTuple

from stingless.streams.records import Lost
from stingless.streams.stream import Faces

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from stingless.kernel import Kernel, TraceReader

_LINE = re.compile(
    r"\s*(?P<task>.*)-(?P<pid>\d+)\s+(?:\([^)]*\)\s+)?\[(?P<cpu>\d+)\]\s+(?P<flags>\S+)\s+(?P<ts>[\d.]+):\s+"
    r"(?P<function>[^:]*):\s?(?P<message>.*)"
)
_LOST = re.compile(r"CPU:(\d+) \[LOST (\d+) EVENTS\]")
_BATCH = 4096


class TraceEvent(NamedTuple):
    """A line of trace_pipe: `timestamp` in seconds (of the trace clock), `flags` as the kernel writes them (interrupts
    off, need to reschedule, ...), `message` the program's text.  A line of another form is all `message`, with pid -1.
    """

    task: str
    pid: int
    cpu: int
    flags: str
    timestamp: float
    message: str


def parse(line: str) -> TraceEvent | None:
    """The fields of a line, or None for one of another form."""
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    task, pid, cpu, flags, when, _function, message = match.groups()
    return TraceEvent(task.strip(), int(pid), int(cpu), flags, float(when), message)


class _Lines:
    """A kernel's reader of lines as what `Faces` waits for."""

    held = False

    def __init__(self, reader: TraceReader) -> None:
        self._reader = reader
        self.fileno = reader.fileno
        self.close = reader.close

    def __iter__(self) -> Iterator[str]:
        while (line := self._reader.readline(0)) is not None:
            yield line


class TracePipe(Faces[Any]):
    """Lines of trace_pipe, parsed: of this kernel object's programs, and on Linux of all others too.  With `gaps`, what
    the kernel lost comes as `Lost` values.

    Raises `PrivilegeError`, `NotSupportedError`.
    """

    def __init__(self, kernel: Kernel, *, gaps: bool = False) -> None:
        self._closed = True
        self._gaps = gaps
        self.lost = 0  # lines, since it was opened
        self._lines = _Lines(kernel.open_trace())
        super().__init__(self._lines, "trace_pipe")

    def _events(self, limit: int) -> list[TraceEvent | Lost]:
        events: list[TraceEvent | Lost] = []
        for line in islice(self._lines, limit):
            if gap := _LOST.search(line):
                self.lost += int(gap[2])
                if self._gaps:
                    events.append(Lost(int(gap[2]), int(gap[1])))
            else:
                events.append(parse(line) or TraceEvent("", -1, -1, "", 0.0, line))
        return events

    def _take(self) -> Iterator[Any] | None:
        if not length_hint(self._items):
            self._items = iter(self._events(_BATCH))
        return self._items if length_hint(self._items) else None

    def drain(self, limit: int | None = None) -> NDArray[Any]:
        """All lines that are there (at most `limit`) as a structured array with the fields of `TraceEvent`."""
        import numpy as np

        with self._turn():
            events = [event for event in islice(self._items, limit) if isinstance(event, TraceEvent)]
            while limit is None or len(events) < limit:
                more = self._events(_BATCH if limit is None else limit - len(events))
                if not more:
                    break
                events += [event for event in more if isinstance(event, TraceEvent)]
        form: np.dtype[Any] = np.dtype(
            [("task", "U16"), ("pid", "i4"), ("cpu", "i4"), ("flags", "U8"), ("timestamp", "f8"), ("message", object)]
        )
        return np.array(events, form)

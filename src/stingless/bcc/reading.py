"""What programs tell: trace_pipe, perf buffers, ring buffers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from stingless._gen.uapi import MapType
from stingless.bcc.module import Module
from stingless.errors import MapError

if TYPE_CHECKING:
    from stingless.kernel import TraceReader

_SLICE_MS = 200  # a waiting reader comes back this often, so that signals are handled


class Reading(Module):
    _trace: TraceReader | None = None

    def trace_open(self, nonblocking: bool = False) -> TraceReader:
        """The reader of bpf_trace_printk() output."""
        self._check_open()
        if self._trace is None:
            self._trace = self.kernel.open_trace()
        return self._trace

    def trace_readline(self, nonblocking: bool = False) -> bytes:
        """The next line of the trace pipe; b"" when `nonblocking` and there is none."""
        reader = self.trace_open()
        self._session.waiting()
        while True:
            line = reader.readline(0 if nonblocking else _SLICE_MS)
            if line is not None:
                self._session.record_seen()
                if not line.strip():
                    continue  # a format that ends in a newline makes an empty line since Linux 5.9
                return line.encode("utf-8", "surrogateescape")
            if nonblocking:
                return b""

    def trace_fields(self, nonblocking: bool = False) -> Any:
        """(task, pid, cpu, flags, timestamp, message) of the next line; six times None when `nonblocking` and there is
        none."""
        from stingless.bcc.trace import parse_trace_line

        while True:
            line = self.trace_readline(nonblocking)
            if not line and nonblocking:
                return (None,) * 6
            if fields := parse_trace_line(line):
                return fields

    def trace_print(self, fmt: str | None = None) -> None:
        """Print lines as they come until Ctrl-C; `fmt` is a format of the six fields ("{0} {5}")."""
        while True:
            if fmt is None:
                print(self.trace_readline().decode("utf-8", "replace"), flush=True)
                continue
            fields = self.trace_fields()
            print(
                fmt.format(*(f.decode("utf-8", "replace") if isinstance(f, bytes) else f for f in fields)), flush=True
            )

    def perf_buffer_poll(self, timeout: int = -1) -> None:
        """Deliver the records of all open perf buffers; waits up to `timeout` ms for the first."""
        self._poll(timeout, MapType.PERF_EVENT_ARRAY)

    # An older name.
    kprobe_poll = perf_buffer_poll

    def perf_buffer_consume(self) -> None:
        """Deliver what there is, also what is not yet enough to wake the reader (`wakeup_events`)."""
        self._poll(0, MapType.PERF_EVENT_ARRAY)

    def ring_buffer_poll(self, timeout: int = -1) -> int:
        """Deliver the records of all open ring buffers; waits up to `timeout` ms for the first.  Raises `MapError` when
        none is open."""
        return self._poll(timeout, MapType.RINGBUF)

    def ring_buffer_consume(self) -> None:
        """Deliver what there is."""
        self._poll(0, MapType.RINGBUF)

    def _poll(self, timeout: int, kind: MapType) -> int:
        self._check_open()
        from stingless.bcc.tables.events import poll

        tables = [t for t in self.event_tables if t.reader is not None and t.map.spec.type == kind]
        if not tables and kind is MapType.RINGBUF:
            raise MapError("No ring buffers to poll: none of this object's was opened by open_ring_buffer()", 22)
        self._session.waiting()
        deadline = None if timeout < 0 else time.monotonic() + timeout / 1000
        while True:
            left = _SLICE_MS if deadline is None else min(_SLICE_MS, max(0, int((deadline - time.monotonic()) * 1000)))
            count = poll(tables, left)
            if count is not None:
                if count:
                    self._session.record_seen()
                return count
            if not tables:
                time.sleep(left / 1000)
            if deadline is not None and time.monotonic() >= deadline:
                return 0

    def _close_readers(self) -> None:
        for table in self.event_tables:
            table.close()
        if self._trace is not None:
            self._trace.close()

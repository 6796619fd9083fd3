"""Streams of events: ring buffers, perf buffers, the user ring buffer and trace_pipe, each with the same four faces.

    with RingBuffer(map, type="struct event") as ring:
        ring.poll(callback, timeout=0.1)       # as bcc: call back for what there is
        for event in ring: ...                 # blocks; ends when the stream is closed, also by another thread
        async for event in ring: ...           # asyncio, by the readiness of a file descriptor
        array = ring.drain()                   # all that is there as a NumPy structured array

`stream.py` has the faces, `records.py` what kernels hand over, `scan.py` the walk over a ring's headers.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stingless.streams.buffers import PerfBuffer, RingBuffer
    from stingless.streams.poller import Poller
    from stingless.streams.records import Lost
    from stingless.streams.statistics import Statistics
    from stingless.streams.stream import RecordSizeError, Stream
    from stingless.streams.trace import TraceEvent, TracePipe
    from stingless.streams.user import UserRingBuffer

__all__ = [
    "Lost",
    "PerfBuffer",
    "Poller",
    "RecordSizeError",
    "RingBuffer",
    "Statistics",
    "Stream",
    "TraceEvent",
    "TracePipe",
    "UserRingBuffer",
]
_HOME = {
    "Lost": "records",
    "PerfBuffer": "buffers",
    "Poller": "poller",
    "RecordSizeError": "stream",
    "RingBuffer": "buffers",
    "Statistics": "statistics",
    "Stream": "stream",
    "TraceEvent": "trace",
    "TracePipe": "trace",
    "UserRingBuffer": "user",
}


def __getattr__(name: str) -> Any:
    # Lazily: the kernels' readers import `records` and `scan` alone.
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)

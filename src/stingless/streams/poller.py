"""Several streams, polled together."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from stingless.streams.reader import wait
from stingless.streams.stream import Faces

T = TypeVar("T")


class Poller:
    """Callbacks for the events of several streams.  It does not own them: closed ones are left out."""

    def __init__(self) -> None:
        self._streams: list[tuple[Faces[Any], Callable[[Any], object]]] = []

    def add(self, stream: Faces[T], callback: Callable[[T], object]) -> None:
        self._streams.append((stream, callback))

    def remove(self, stream: Faces[Any]) -> None:
        self._streams = [each for each in self._streams if each[0] is not stream]

    def poll(self, timeout: float | None = None) -> int:
        """Call back for what there is; waits up to `timeout` seconds (None: for ever) while no stream has any, and ends
        when there is no open stream.  The number of calls."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            streams = [(stream, callback) for stream, callback in self._streams if not stream.closed]
            calls = sum(stream.poll(callback, timeout=0) for stream, callback in streams if not stream.closed)
            readers = [stream for stream, _ in streams if not stream.closed]
            if calls or not readers or not wait(readers, deadline, *(each.wake for each in readers)):
                return calls

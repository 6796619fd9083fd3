"""`RingBuffer` and `PerfBuffer`: the records that programs put in a map."""

from __future__ import annotations

import errno
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from stingless._gen.uapi import MapType
from stingless.errors import MapError
from stingless.kernel import EventOptions, Map
from stingless.streams.stream import Stream
from stingless.streams.types import Codec, codec_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stingless.btf.types import Btf
    from stingless.streams.losses import LossCounter
    from stingless.streams.records import Run


def _map(map: Any, kind: MapType) -> Map:
    """What a typed map is made of, or the map itself."""
    found: Map = getattr(map, "map", map)
    if found.spec.type is not kind:
        raise MapError(f"map {found.spec.name!r} is a {found.spec.type.name}, not a {kind.name}", errno.EINVAL)
    return found


def _ready(codec: Codec | None) -> Codec | None:
    """Load NumPy and make the codec's dtype now, and not when many records wait."""
    import stingless.streams.pack  # noqa: F401

    _ = codec and codec.dtype
    return codec


class RingBuffer(Stream[Any]):
    """Records of a BPF_MAP_TYPE_RINGBUF map, of all CPUs, in the order in which they were reserved.  Linux 5.8.

    `type`: a codec, the name of a C type ("struct event") or its id in the object's BTF, `bytes` for raw records; by
    default the struct that the map is declared with as value, else raw records.  `gaps`: see `Stream`.  `losses`: the
    counter that tells them (see `stingless.streams.losses`).

    Raises `MapError`, `PrivilegeError`, `UnknownNameError`.
    """

    def __init__(
        self,
        map: Any,
        *,
        type: Any = None,
        btf: Btf | None = None,
        gaps: bool = False,
        losses: LossCounter | None = None,
    ) -> None:
        self._closed = True
        found = _map(map, MapType.RINGBUF)
        codec = _ready(codec_of(found.spec, type, btf))
        reader = found.open_events(EventOptions())
        super().__init__(reader, f"the ring buffer {found.spec.name!r}", codec, gaps=gaps, losses=losses)

    @contextmanager
    def lease(self, limit: int | None = None) -> Generator[NDArray[Any]]:
        """The records that are there, at most `limit`, as `drain()` gives them, but without a copy: a read-only array
        in the ring's own memory, which is the programs' again at the end of the block.

            with ring.lease() as events:
                total += events["bytes"].sum()

        What is to be kept is copied in the block; nothing looks at the array after it.  An exception in the block
        leaves the records in the ring.  The array ends before the first record that was discarded, is still being
        written, or is of another size than the first: a second lease goes on after that.  It is empty when there is
        none; it does not wait, and has no gaps.  Until the block ends, nothing else reads the stream, and programs have
        only the rest of the ring.

        Raises `RecordSizeError` when the next record is not of its type's size.
        """
        with self._turn():
            if waiting := self._waiting():
                packed, kept = self._drained(waiting if limit is None else min(limit, waiting))
                kept.flags.writeable = False
                try:
                    yield kept
                except BaseException:
                    self._queue.appendleft(packed.run())
                    raise
                return
            with self._reader.lease(limit) as run:
                yield self._view(run)
                self._count_run(run)

    def _view(self, run: Run) -> NDArray[Any]:
        """A run of a lease as an array."""
        import numpy as np

        dtype, at = self._dtype(), run.offsets
        assert isinstance(at, range)
        assert isinstance(run.sizes, int)
        if len(run) and dtype is not None and run.sizes != dtype.itemsize:
            raise self._sizes_differ([run.sizes], range(dtype.itemsize, dtype.itemsize + 1))
        if dtype is not None:
            events: NDArray[Any] = np.ndarray((len(run),), dtype, run.data, at.start, (at.step,))
        else:
            events = np.ndarray((len(run), run.sizes), np.uint8, run.data, at.start, (at.step, 1))
        events.flags.writeable = False
        return events


class PerfBuffer(Stream[Any]):
    """Records of a BPF_MAP_TYPE_PERF_EVENT_ARRAY map: CPU by CPU, or, when `timed`, in the order of their times among
    those that are there together.  Linux 4.4.

    Each CPU of `cpus` (by default all that are online) has a ring of `pages`, a power of two.  The reader is woken
    after `wakeup_events` records or, when it is not 0, when `wakeup_bytes` are there.  `type`, `gaps`: as for
    `RingBuffer`.
    `cpu` and `time` tell of the event delivered last.
    Without a type, records may have up to 7 bytes more than the program wrote: Linux fills them up.

    Raises `MapError`, `PrivilegeError`, `LoadError` (ring too large), `UnknownNameError`, `ValueError`.
    """

    def __init__(
        self,
        map: Any,
        *,
        type: Any = None,
        btf: Btf | None = None,
        gaps: bool = False,
        pages: int = 8,
        wakeup_events: int = 1,
        wakeup_bytes: int = 0,
        cpus: Sequence[int] | None = None,
        timed: bool = False,
    ) -> None:
        self._closed = True
        found = _map(map, MapType.PERF_EVENT_ARRAY)
        codec = _ready(codec_of(found.spec, type, btf))
        chosen = tuple(cpus) if cpus is not None else None
        reader = found.open_events(EventOptions(pages, wakeup_events, wakeup_bytes, chosen, timed))
        what = f"the perf buffer {found.spec.name!r}"
        super().__init__(reader, what, codec, gaps=gaps, padded=True, timed=timed)

    @property
    def cpu(self) -> int:
        """The CPU of the event that `for`, `read()` or a callback was given last; -1 before the first and after a gap,
        which has its own.  Arrays: see `drain(columns=True)`."""
        last = self._last()
        return -1 if last is None else last[0].cpu_of(last[1])

    @property
    def time(self) -> int:
        """The same event's time (ns, CLOCK_MONOTONIC) when the buffer is `timed`, else 0."""
        last = self._last()
        return 0 if last is None or not last[0].timed else last[0].time_of(last[1])

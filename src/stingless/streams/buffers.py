"""`RingBuffer` and `PerfBuffer`: the records that programs put in a map."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from stingless._gen.uapi import MapType
from stingless.errors import MapError
from stingless.kernel import EventOptions, Map
from stingless.streams.stream import Stream
from stingless.streams.types import codec_of

if TYPE_CHECKING:
    from stingless.btf.types import Btf
    from stingless.streams.losses import LossCounter


def _map(map: Any, kind: MapType) -> Map:
    """What a typed map is made of, or the map itself."""
    found: Map = getattr(map, "map", map)
    if found.spec.type is not kind:
        raise MapError(f"map {found.spec.name!r} is a {found.spec.type.name}, not a {kind.name}", errno.EINVAL)
    return found


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
        import numpy as np  # noqa: F401  (so that its first use does not come when many records wait)

        self._closed = True
        found = _map(map, MapType.RINGBUF)
        codec = codec_of(found.spec, type, btf)
        reader = found.open_events(EventOptions())
        super().__init__(reader, f"the ring buffer {found.spec.name!r}", codec, gaps=gaps, losses=losses)


class PerfBuffer(Stream[Any]):
    """Records of a BPF_MAP_TYPE_PERF_EVENT_ARRAY map: CPU by CPU, or, when `timed`, in the order of their times among
    those that are there together.  Linux 4.4.

    Each CPU of `cpus` (by default all that are online) has a ring of `pages`, a power of two.  The reader is woken
    after `wakeup_events` records or, when it is not 0, when `wakeup_bytes` are there.  `type`, `gaps`: as for
    `RingBuffer`.
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
        import numpy as np  # noqa: F401  (as above)

        self._closed = True
        found = _map(map, MapType.PERF_EVENT_ARRAY)
        codec = codec_of(found.spec, type, btf)
        chosen = tuple(cpus) if cpus is not None else None
        reader = found.open_events(EventOptions(pages, wakeup_events, wakeup_bytes, chosen, timed))
        what = f"the perf buffer {found.spec.name!r}"
        super().__init__(reader, what, codec, gaps=gaps, padded=True, timed=timed)

"""What a stream has seen."""

from __future__ import annotations

from collections.abc import Mapping

from stingless.frozen import field, frozen


@frozen
class Statistics:
    """Since the stream was opened: `records` and their `bytes` taken from the ring; `lost` records that found no room,
    `lost_by_cpu` those of a known CPU, or None when nobody counts them (a ring buffer of Linux whose programs were not
    loaded with `count_losses`); `unassigned` failures of the same programs of which it is not known for which ring
    they were; `wakeups` after a wait; `uncounted` programs of the object whose failures nobody counts, since the
    instructions for it would have made a jump too long."""

    records: int
    bytes: int
    lost: int | None
    lost_by_cpu: Mapping[int, int] = field(default_factory=dict)
    unassigned: int = 0
    wakeups: int = 0
    uncounted: tuple[str, ...] = ()

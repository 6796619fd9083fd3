"""Failed reserves and outputs of ring buffers, as the programs counted them (see `stingless.obj.loss`)."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from stingless.errors import NotSupportedError
from stingless.kernel import Kernel, Map
from stingless.obj.loss import LOSS_MAP, SLOT, UNKNOWN, count_losses, rows
from stingless.obj.spec import ObjectSpec


class LossCounter:
    """The counters of one ring buffer: one for each CPU."""

    def __init__(self, map: Map, ring: str, names: tuple[str, ...], uncounted: tuple[str, ...] = ()) -> None:
        """`names`: of the rows of `map`.  `uncounted`: programs that do not count.  Raises `ValueError` when `ring` is
        not among the names."""
        self._map = map
        self.uncounted = uncounted
        self._row = names.index(ring)
        self._unknown = names.index(UNKNOWN)
        self._slots = map.spec.value_size // SLOT // len(names)
        self._words: memoryview | None = None

    def open(self) -> None:
        """Count from now on."""
        with contextlib.suppress(NotSupportedError):  # it is read by system calls then
            self._words = self._map.memory().cast("B").cast("Q")
        self._start = self._read(self._row), self._read(self._unknown)

    def _read(self, row: int) -> list[int]:
        words = self._words
        if words is None:
            words = memoryview(self._map.lookup(bytes(4)) or b"").cast("Q")
        step, width = SLOT // 8, self._slots * SLOT // 8
        return words[row * width : (row + 1) * width : step].tolist()

    def by_cpu(self) -> dict[int, int]:
        """Since `open()`: CPU -> lost records."""
        now = self._read(self._row)
        return {cpu: n - self._start[0][cpu] for cpu, n in enumerate(now) if n != self._start[0][cpu]}

    def unassigned(self) -> int:
        """Failures since `open()` that cannot be assigned to a ring buffer."""
        return sum(self._read(self._unknown)) - sum(self._start[1])

    def close(self) -> None:
        if self._words is not None:
            self._words.release()
            self._words = None


def counter(maps: Mapping[str, Map], ring: str, uncounted: tuple[str, ...] = ()) -> LossCounter | None:
    """The counter of the ring buffer `ring` of an object's maps, if its programs count; `uncounted`: those that do
    not (see `stingless.obj.loss.uncounted`)."""
    found = maps.get(LOSS_MAP)
    if found is None:
        return None
    names = rows({name: map.spec for name, map in maps.items()})
    return LossCounter(found, ring, names, uncounted) if ring in names else None


def counted(spec: ObjectSpec, kernel: Kernel) -> ObjectSpec:
    """The object with programs that count, as suits the kernel that is to load it."""
    from stingless.cpus import possible_cpus

    if kernel.name != "linux":
        return count_losses(spec, possible_cpus())
    from stingless.target.release import kernel_version

    return count_losses(spec, possible_cpus(), kernel_version())

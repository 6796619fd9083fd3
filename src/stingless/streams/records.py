"""What a kernel's reader hands over: runs of records, and gaps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from stingless.frozen import frozen, replace

Memory = memoryview | bytes


@frozen(slots=True)
class Lost:
    """A gap in a stream: `count` records that found no room on `cpu` (-1: not known)."""

    count: int
    cpu: int = -1


@frozen(slots=True)
class Run:
    """Records in `data`: the bytes from `offsets[i]` on, `sizes` of each or `sizes[i]`.

    `data` may be a ring's own memory, which is its writers' again after the step of the iteration that gave it.  A
    `range` of offsets tells that they are evenly spaced.  `cpu` is -1 when it is not known; with `tagged`, the u32
    before each record is its CPU.  With `timed`, the u64 that is 12 bytes before each is its time in ns.
    """

    data: Memory
    offsets: Sequence[int]
    sizes: int | list[int]
    cpu: int = -1
    tagged: bool = False
    timed: bool = False

    def __len__(self) -> int:
        return len(self.offsets)

    def after(self, count: int) -> Run:
        """The same without the first `count` records."""
        if not count:
            return self
        sizes = self.sizes if isinstance(self.sizes, int) else self.sizes[count:]
        return replace(self, offsets=self.offsets[count:], sizes=sizes)

    def first(self, count: int) -> Run:
        """The first `count` records."""
        if count >= len(self):
            return self
        sizes = self.sizes if isinstance(self.sizes, int) else self.sizes[:count]
        return replace(self, offsets=self.offsets[:count], sizes=sizes)

    def copied(self) -> Run:
        """The same in memory of its own."""
        if not self.offsets:
            return replace(self, data=b"")
        lead = 12 if self.timed else 4 if self.tagged else 0
        start = self.offsets[0] - lead
        end = self.offsets[-1] + (self.sizes if isinstance(self.sizes, int) else self.sizes[-1])
        at = self.offsets
        moved = range(at.start - start, at.stop - start, at.step) if isinstance(at, range) else [o - start for o in at]
        return replace(self, data=bytes(self.data[start:end]), offsets=moved)

    def pieces(self) -> list[bytes]:
        """Each record.  `data` must be bytes."""
        data = self.data
        if isinstance(self.sizes, int):
            size = self.sizes
            return [data[o : o + size] for o in self.offsets]  # type: ignore[misc]
        return [data[o : o + s] for o, s in zip(self.offsets, self.sizes, strict=True)]  # type: ignore[misc]

    def cpus(self) -> list[int]:
        """The CPU of each record."""
        return [self.cpu_of(i) for i in range(len(self))] if self.tagged else [self.cpu] * len(self)

    def cpu_of(self, index: int) -> int:
        at = self.offsets[index]
        return int.from_bytes(self.data[at - 4 : at], "little") if self.tagged else self.cpu

    def times(self) -> list[int]:
        """The time of each record (`timed`)."""
        return [self.time_of(i) for i in range(len(self))]

    def time_of(self, index: int) -> int:
        at = self.offsets[index]
        return int.from_bytes(self.data[at - 12 : at - 4], "little")


def joined(records: Iterable[tuple[int, int, bytes]]) -> Run:
    """One run of records of which (time, CPU, data) is given."""
    parts: list[bytes] = []
    offsets, sizes = [], []
    at = 0
    for time, cpu, data in records:
        parts += (time.to_bytes(8, "little"), cpu.to_bytes(4, "little"), data)
        offsets.append(at + 12)
        sizes.append(len(data))
        at += 12 + len(data)
    return Run(b"".join(parts), offsets, sizes, tagged=True, timed=True)

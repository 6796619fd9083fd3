"""Per-CPU maps: a value is one for each possible CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, cast

from stingless.btf.records import Record, UnionRecord
from stingless.btf.scalars import Array
from stingless.cpus import possible_cpus
from stingless.kernel import Entries
from stingless.maps.mapping import K, KeyedMap

if TYPE_CHECKING:
    import numpy as np


class PerCpu(list[Any]):
    """The values of one entry, by CPU number.

    `sum()`, `max()`, `min()` and `mean()` go over the CPUs: of records field by field, of arrays element by element.
    What is no number (text, unions) is that of CPU 0.  `numpy.asarray(values)` makes an array of numbers.
    """

    def sum(self) -> Any:
        return _combined(self, sum)

    def max(self) -> Any:
        return _combined(self, max)

    def min(self) -> Any:
        return _combined(self, min)

    def mean(self) -> Any:
        return _combined(self, lambda values: sum(values) / len(values))

    def __repr__(self) -> str:
        return f"PerCpu({super().__repr__()})"


def _combined(values: list[Any], how: Callable[[list[Any]], Any]) -> Any:
    first = values[0]
    if isinstance(first, int | float):
        return how(values)
    if isinstance(first, list):
        return [_combined(list(each), how) for each in zip(*values, strict=True)]
    if isinstance(first, Record) and not isinstance(first, UnionRecord):
        made: Any = first.__copy__()
        for field in made.__codec__.stored:
            setattr(made, field.name, _combined([getattr(each, field.name) for each in values], how))
        return made
    return first


class PerCpuMap(KeyedMap[K, PerCpu]):
    """PERCPU_HASH, LRU_PERCPU_HASH, PERCPU_ARRAY and PERCPU_CGROUP_STORAGE.

    A `PerCpu`, a list or a NumPy array with a value for each possible CPU sets all of them; any other value is set on
    every CPU.
    """

    @property
    def _step(self) -> int:
        return (self.value_codec.size + 7) // 8 * 8

    def _encode_value(self, value: Any) -> bytes:
        cpus = possible_cpus()
        step = self._step
        if not self._is_by_cpu(value):
            return self.value_codec.encode(value).ljust(step, b"\0") * cpus
        values = list(value)
        if len(values) != cpus:
            raise ValueError(f"value: there are {cpus} possible CPUs, not {len(values)}")
        encode = self.value_codec.encode
        return b"".join([encode(each, f"value[{cpu}]").ljust(step, b"\0") for cpu, each in enumerate(values)])

    def _is_by_cpu(self, value: Any) -> bool:
        if isinstance(value, PerCpu):
            return True
        many = isinstance(value, list) or (type(value).__module__ == "numpy" and getattr(value, "ndim", 0) > 0)
        if many and isinstance(self.value_codec, Array):
            return len(value) > 0 and hasattr(value[0], "__len__")
        return many

    def _decode_value(self, data: bytes) -> PerCpu:
        return cast(PerCpu, self._decode_values(data, 1)[0])

    def _decode_values(self, data: bytes, count: int) -> list[Any]:
        cpus, size, step = possible_cpus(), self.value_codec.size, self._step
        if step != size:
            data = b"".join([data[at : at + size] for at in range(0, len(data), step)])
        flat = self.value_codec.decode_many(data, count * cpus)
        return [PerCpu(flat[at : at + cpus]) for at in range(0, count * cpus, cpus)]

    def _encode_values(self, values: Iterable[Any]) -> bytes:
        return b"".join([self._encode_value(value) for value in values])

    def _values_array(self, found: Entries) -> np.ndarray[Any, Any]:
        """Of shape (entries, CPUs)."""
        from stingless.maps.bulk import per_cpu_array

        return per_cpu_array(found.values, self.value_codec, found.count, possible_cpus())

    def _packed_values(self, values: Any) -> tuple[bytes, int]:
        if type(values).__module__ != "numpy":
            many = list(values)
            return self._encode_values(many), len(many)
        import numpy as np

        from stingless.maps.bulk import packed, padded

        cpus = possible_cpus()
        if values.ndim < 2 or values.shape[1] != cpus:
            raise ValueError(f"values: an array of shape (entries, {cpus} CPUs) is needed, not {values.shape}")
        found = packed(values.reshape(-1, *values.shape[2:]), self.value_codec, "values")
        assert found is not None
        room = np.zeros(found[1], padded(self.value_codec))
        room["value"] = np.frombuffer(found[0], self.value_codec.dtype, found[1])
        return room.tobytes(), len(values)


class PerCpuArrayMap(PerCpuMap[int]):
    """PERCPU_ARRAY: keys are the indices, all of which are always there."""

    def __len__(self) -> int:
        return self.spec.max_entries

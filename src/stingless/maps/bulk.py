"""Entries as NumPy arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from stingless.btf.scalars import Codec


def array_of(data: bytes, codec: Codec, count: int) -> np.ndarray[Any, Any]:
    """Packed values as an array of its own."""
    import numpy as np

    return np.frombuffer(data, codec.dtype, count).copy()


def per_cpu_array(data: bytes, codec: Codec, count: int, cpus: int) -> np.ndarray[Any, Any]:
    """The values of per-CPU entries: entries by CPUs.  Each value is padded to 8 bytes."""
    import numpy as np

    return np.frombuffer(data, padded(codec), count * cpus)["value"].reshape(count, cpus, *codec.dtype.shape).copy()


def padded(codec: Codec) -> np.dtype[Any]:
    import numpy as np

    size = (codec.size + 7) // 8 * 8
    return np.dtype({"names": ["value"], "formats": [codec.dtype], "offsets": [0], "itemsize": size})


def packed(values: Any, codec: Codec, what: str) -> tuple[bytes, int] | None:
    """The bytes and number of an array's values; None when it is no array.  Numbers are converted to the type of the
    map, and must fit in it.  Raises `TypeError`, `ValueError`."""
    if type(values).__module__ != "numpy" or not hasattr(values, "dtype"):
        return None
    import numpy as np

    array = np.ascontiguousarray(values)
    wanted = codec.dtype
    shape = wanted.shape
    if array.shape[1:] != shape:
        raise ValueError(f"{what}: an array of shape {('n', *shape)} is needed, not {array.shape}")
    base = wanted.base
    if array.dtype != base:
        if base.kind not in "iufbS" or array.dtype.kind not in "iufbS":
            raise TypeError(f"{what}: an array of {base} is needed, not of {array.dtype}")
        converted = array.astype(base)
        if not np.array_equal(converted, array):
            raise ValueError(f"{what}: some of the {array.dtype} values do not fit in {base}")
        array = converted
    return array.tobytes(), len(array)

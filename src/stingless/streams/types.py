"""Which type a stream's records have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from stingless.errors import UnknownNameError

if TYPE_CHECKING:
    from stingless.btf.types import Btf
    from stingless.obj.spec import MapSpec


class Codec(Protocol):
    """Values of one type, `size` bytes each; `dtype` is NumPy's, or None where it has no such."""

    @property
    def size(self) -> int: ...

    @property
    def dtype(self) -> Any: ...

    def decode(self, data: bytes, /) -> Any: ...

    def decode_many(self, data: bytes, count: int, /) -> list[Any]: ...

    def encode(self, value: Any, /) -> bytes: ...


def codec_of(spec: MapSpec, type: Any, btf: Btf | None = None) -> Codec | None:
    """The codec that `type` asks for: a codec, a name ("struct event", "event", "u64"), a BTF id, `bytes` for raw
    records (None here); None: the struct that the map's declaration names as its value, if it does.

    Raises `UnknownNameError`, and `ValueError` when there is no BTF to look it up in.
    """
    if type is bytes or (type is None and not spec.value_type):
        return None
    if type is not None and not isinstance(type, str | int):
        return type  # type: ignore[no-any-return]
    types = btf or spec.btf
    if types is None:
        if type is None:
            return None
        raise ValueError(
            f"type {type!r} of map {spec.name!r}: the object has no BTF; give a codec, or read raw records"
        )
    from stingless.btf.types import Kind
    from stingless.btf.values import codec

    if isinstance(type, int):
        return codec(types, type)
    if isinstance(type, str):
        try:
            return codec(types, types[type].id)
        except UnknownNameError as error:
            advice = "clang leaves out what no variable has: declare one, as `const struct event *event_type;`"
            raise UnknownNameError("type in the object's BTF", type, error.near, advice) from None
    declared = types.resolve(spec.value_type)
    # A perf event array's value is, for user space, a file descriptor.
    return codec(types, declared.id) if declared.kind in (Kind.STRUCT, Kind.UNION) else None

"""`__kconfig` externs: values of the kernel's configuration, in the map ".kconfig" before it is created.

CONFIG_X are looked up in the target's configuration; LINUX_KERNEL_VERSION, LINUX_HAS_BPF_COOKIE and
LINUX_HAS_SYSCALL_WRAPPER are facts of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum, auto
from typing import Literal

from stingless.btf.types import Btf, Kind, Type
from stingless.errors import NotSupportedError, ObjectError, UnknownNameError
from stingless.frozen import replace
from stingless.obj.resolve import Target
from stingless.obj.spec import ExternSpec, MapSpec

_TRISTATE = {"n": 0, "y": 1, "m": 2}  # enum libbpf_tristate


class _Form(Enum):
    """What a C type can hold of a configuration."""

    BOOL = auto()
    TRISTATE = auto()
    CHAR = auto()
    INT = auto()
    TEXT = auto()


def kconfig_map(spec: MapSpec, externs: Iterable[ExternSpec], btf: Btf | None, target: Target) -> MapSpec:
    """The map with the externs' values in its initial content.  Raises `UnknownNameError` for a strong one that the
    kernel does not have, `ObjectError` for a value that does not fit its type."""
    content = bytearray(spec.initial or bytes(spec.value_size))
    for extern in externs:
        if btf is None:
            raise ObjectError(f"extern {extern.name!r} of .kconfig has no type: the object has no BTF; compile with -g")
        value = _value(extern, btf, target)
        if extern.offset + len(value) > len(content):
            raise ObjectError(f"extern {extern.name!r} does not fit the section .kconfig of {len(content)} bytes")
        content[extern.offset : extern.offset + len(value)] = value
    return replace(spec, initial=bytes(content))


def _value(extern: ExternSpec, btf: Btf, target: Target) -> bytes:
    type_ = btf.resolve(extern.type)
    form = _form(btf, type_)
    size = btf.size_of(extern.type)
    if form is None or size != extern.size:
        raise ObjectError(
            f"extern {extern.name!r} of .kconfig has a type that holds no configuration value: take bool, char, an "
            "integer, enum libbpf_tristate, or an array of char"
        )
    facts: dict[str, Callable[[], int]] = {
        "LINUX_KERNEL_VERSION": lambda: _version_code(target.release),
        "LINUX_HAS_BPF_COOKIE": lambda: int(target.has_bpf_cookie()),
        "LINUX_HAS_SYSCALL_WRAPPER": lambda: int(target.has_syscall_wrapper()),
    }
    if extern.name in facts:
        return _number(extern, facts[extern.name](), form, type_, btf)
    if not extern.name.startswith("CONFIG_") and not (extern.name.startswith("LINUX_") and extern.weak):
        raise UnknownNameError("__kconfig extern", extern.name, facts, "or any CONFIG_ name")
    text = _configured(extern, target)
    if text is None:
        return bytes(size)
    if text in _TRISTATE:
        return _tristate(extern, text, form, size, btf)
    if text.startswith('"'):
        if form is not _Form.TEXT:
            raise _misfit(extern, text, "it needs an array of char")
        # Strings longer than their array are cut, as by libbpf, and always end in a zero byte.
        return text[1:-1].encode()[: size - 1].ljust(size, b"\0")
    try:
        number = int(text, 0)
    except ValueError:
        raise _misfit(extern, text, "it is no number, text, y, n or m") from None
    return _number(extern, number, form, type_, btf)


def _version_code(release: tuple[int, int, int]) -> int:
    return release[0] << 16 | release[1] << 8 | min(release[2], 255)


def _configured(extern: ExternSpec, target: Target) -> str | None:
    try:
        config = target.config()
    except NotSupportedError:
        if extern.weak:
            return None
        raise
    if extern.name in config or extern.weak:
        return config.get(extern.name)
    raise UnknownNameError(
        "setting in the kernel's configuration",
        extern.name,
        config,
        "declare the extern __weak if the program can do without (it is 0 then)",
    )


def _form(btf: Btf, type_: Type) -> _Form | None:
    match type_.kind:
        case Kind.INT if type_.size == 1:
            return _Form.BOOL if type_.encoding & 4 else _Form.CHAR
        case Kind.INT if type_.size in (2, 4, 8):
            return _Form.INT
        case Kind.ENUM | Kind.ENUM64 if type_.name == "libbpf_tristate":
            return _Form.TRISTATE
        case Kind.ARRAY if type_.length and _form(btf, btf.resolve(type_.type)) is _Form.CHAR:
            return _Form.TEXT
    return None


def _tristate(extern: ExternSpec, text: str, form: _Form, size: int, btf: Btf) -> bytes:
    match form:
        case _Form.BOOL if text != "m":
            return bytes([text == "y"])
        case _Form.TRISTATE:
            return _TRISTATE[text].to_bytes(size, _order(btf))
        case _Form.CHAR:
            return text.encode()
    raise _misfit(extern, text, "it needs bool (but for m), char, or enum libbpf_tristate")


def _number(extern: ExternSpec, value: int, form: _Form, type_: Type, btf: Btf) -> bytes:
    if form not in (_Form.INT, _Form.CHAR, _Form.BOOL):
        raise _misfit(extern, str(value), "it needs an integer")
    if form is _Form.BOOL and value not in (0, 1):
        raise _misfit(extern, str(value), "a bool holds 0 or 1")
    bits = type_.size * 8
    # A value of 64 bits is taken as it is: the configuration does not tell whether it is signed.
    low, high = (-1 << bits - 1, 1 << bits - 1) if type_.signed and bits < 64 else (0, 1 << bits)
    if not low <= value < high and not (bits == 64 and -1 << 63 <= value < 0):
        raise _misfit(extern, str(value), f"its type holds {low} to {high - 1}")
    return (value % (1 << bits)).to_bytes(type_.size, _order(btf))


def _order(btf: Btf) -> Literal["little", "big"]:
    return "little" if btf.order == "<" else "big"


def _misfit(extern: ExternSpec, value: str, why: str) -> ObjectError:
    return ObjectError(f"extern {extern.name!r}: the kernel's configuration has {value}, which does not fit: {why}")

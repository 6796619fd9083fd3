"""stingless: eBPF for Python without the sting.

The public names; each is imported when it is first used, so that `import stingless` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from stingless.bpf import BPF as BPF
    from stingless.btf.kernel import kernel_btf as kernel_btf
    from stingless.errors import AttachError as AttachError
    from stingless.errors import ClosedError as ClosedError
    from stingless.errors import CompileError as CompileError
    from stingless.errors import LoadError as LoadError
    from stingless.errors import MapError as MapError
    from stingless.errors import NotSupportedError as NotSupportedError
    from stingless.errors import ObjectError as ObjectError
    from stingless.errors import PrivilegeError as PrivilegeError
    from stingless.errors import StinglessError as StinglessError
    from stingless.errors import UnknownNameError as UnknownNameError
    from stingless.errors import VerifierError as VerifierError
    from stingless.maps import open_id as open_id
    from stingless.maps import open_pinned as open_pinned
    from stingless.obj.reader import read_object as read_object
    from stingless.object import Object as Object
    from stingless.object import load as load
    from stingless.object import open_object as open_object

_ERRORS = (
    "AttachError",
    "ClosedError",
    "CompileError",
    "LoadError",
    "MapError",
    "NotSupportedError",
    "ObjectError",
    "PrivilegeError",
    "StinglessError",
    "UnknownNameError",
    "VerifierError",
)
_HOME = {
    "BPF": "stingless.bpf",
    "Object": "stingless.object",
    "load": "stingless.object",
    "open_id": "stingless.maps",
    "kernel_btf": "stingless.btf.kernel",
    "open_object": "stingless.object",
    "open_pinned": "stingless.maps",
    "read_object": "stingless.obj.reader",
    **dict.fromkeys(_ERRORS, "stingless.errors"),
}
__all__ = ["BPF", "Object", "kernel_btf", "load", "open_id", "open_object", "open_pinned", "read_object", *_ERRORS]


def __getattr__(name: str) -> Any:
    module = _HOME.get(name)
    if module is None:
        raise AttributeError(f"module 'stingless' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""bcc's Python API on top of the `Kernel` protocol.  `stingless run` also offers it as the module `bcc`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stingless.bpf import BPF as BPF

__all__ = ["BPF"]


def __getattr__(name: str) -> Any:
    if name == "BPF":  # late: stingless.bpf itself uses this package's modules
        from stingless.bpf import BPF

        return BPF
    raise AttributeError(f"module 'bcc' has no attribute {name!r}")

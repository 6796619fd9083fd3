"""The running kernel's own BTF, /sys/kernel/btf/vmlinux (Linux 5.4, CONFIG_DEBUG_INFO_BTF)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from stingless.btf.types import Btf, Kind
from stingless.errors import NotSupportedError, UnknownNameError

VMLINUX = Path("/sys/kernel/btf/vmlinux")


class KernelBtf(Btf):
    """The kernel's types, with look-up of functions."""

    def func_id(self, name: str) -> int:
        """BTF id of a kernel function.  Raises `UnknownNameError` naming the nearest."""
        found = self.find(name, Kind.FUNC)
        if found is None:
            known = (self.type(i).name for i in self.ids(Kind.FUNC))
            raise UnknownNameError("kernel function (in the kernel's BTF)", name, known)
        return found.id


@cache
def kernel_btf() -> KernelBtf:
    """Read once a process.  Raises `NotSupportedError` on a kernel without BTF."""
    try:
        return KernelBtf(VMLINUX.read_bytes())
    except FileNotFoundError:
        raise NotSupportedError(
            "the kernel's BTF", "5.4 and CONFIG_DEBUG_INFO_BTF", f"{VMLINUX} does not exist"
        ) from None

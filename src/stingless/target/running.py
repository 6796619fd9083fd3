"""`RunningKernel`: the machine we run on, as the `Target` that objects are resolved against."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property

from stingless.btf.kernel import KernelBtf, kernel_btf
from stingless.btf.types import Btf, Kind
from stingless.errors import NotSupportedError

# What the kernel's function for bpf(2) is called where system calls take pt_regs: arch/*/include/asm/syscall_wrapper.h.
_WRAPPER = {
    "x86_64": "__x64_sys_bpf",
    "aarch64": "__arm64_sys_bpf",
    "s390x": "__s390x_sys_bpf",
    "riscv64": "__riscv_sys_bpf",
}


class RunningKernel:
    """See `stingless.obj.resolve.Target`."""

    own_symbols = True

    @cached_property
    def btf(self) -> Btf | None:
        try:
            return kernel_btf()
        except NotSupportedError:
            return None

    def kernel_function(self, name: str) -> int | None:
        return None

    def module_btf(self) -> Mapping[str, Btf]:
        return _Modules(self.btf) if isinstance(self.btf, KernelBtf) else {}

    @cached_property
    def release(self) -> tuple[int, int, int]:
        from stingless.target.release import kernel_version

        return kernel_version()

    def config(self) -> Mapping[str, str]:
        from stingless.target.kconfig import kernel_config

        return kernel_config()

    def symbols(self, names: Collection[str]) -> Mapping[str, tuple[int, ...]]:
        from stingless.target.kallsyms import addresses

        return addresses(names)

    def has_syscall_wrapper(self) -> bool:
        wrapper = _WRAPPER.get(os.uname().machine)
        if wrapper is None:
            return False
        if self.btf is not None and self.btf.find(wrapper, Kind.FUNC) is not None:
            return True
        from stingless.target.kallsyms import has_symbol

        return has_symbol(wrapper)

    def has_bpf_cookie(self) -> bool:
        """bpf_get_attach_cookie() came with Linux 5.15."""
        if self.btf is not None:
            return self.btf.find("bpf_get_attach_cookie_trace", Kind.FUNC) is not None
        return self.release >= (5, 15, 0)


class _Modules(Mapping[str, Btf]):
    """The types of loaded modules, each read when it is looked at."""

    def __init__(self, kernel: KernelBtf) -> None:
        self._kernel = kernel

    def __getitem__(self, name: str) -> Btf:
        return self._kernel.module_btf(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._kernel.modules())

    def __len__(self) -> int:
        return len(self._kernel.modules())

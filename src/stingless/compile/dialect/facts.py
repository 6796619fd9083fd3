"""What the dialect asks of the kernel that a program is compiled for."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Protocol

from stingless.compile.declared.index import Declarations
from stingless.compile.dialect.tracepoints import Field
from stingless.errors import NotSupportedError

FormatOf = Callable[[str, str], Sequence[Field]]
"""(category, event) -> the fields of the record.  Raises `UnknownNameError`."""


class Facts(Protocol):
    """A kernel.  `id` is part of an object's key in the cache; `machine` is as `uname -m` tells it; `release` the
    kernel's version."""

    @property
    def id(self) -> str: ...

    @property
    def machine(self) -> str: ...

    @property
    def release(self) -> tuple[int, int, int]: ...

    def types(self) -> Declarations | None:
        """Its types; None for a kernel without BTF."""

    def config(self) -> Mapping[str, str]:
        """CONFIG_X -> its value as .config has it; empty where it is not known."""

    def fields_of(self, category: str, event: str) -> Sequence[Field]:
        """Of a tracepoint's record.  Raises `UnknownNameError`."""

    def has_syscall_wrapper(self) -> bool:
        """Do the functions of system calls get a `struct pt_regs *`?"""


class RunningKernel:
    """The kernel that we run on; `fields_of` asks the one that programs are loaded into."""

    def __init__(self, fields_of: FormatOf) -> None:
        self._fields_of = fields_of

    @cached_property
    def id(self) -> str:
        from stingless.compile.vmlinux import kernel_id

        return kernel_id(None)

    @property
    def machine(self) -> str:
        return os.uname().machine

    @cached_property
    def release(self) -> tuple[int, int, int]:
        from stingless.target.release import kernel_version

        return kernel_version()

    def types(self) -> Declarations | None:
        from stingless.compile.declared.store import types

        try:
            return types(self.id, _running_header)
        except NotSupportedError:
            return None

    def config(self) -> Mapping[str, str]:
        from stingless.target.kconfig import kernel_config

        try:
            return kernel_config()
        except NotSupportedError:
            return {}

    def fields_of(self, category: str, event: str) -> Sequence[Field]:
        return self._fields_of(category, event)

    def has_syscall_wrapper(self) -> bool:
        return self.release >= (4, 17, 0) and self.machine in ("x86_64", "aarch64", "s390x", "riscv64")


def _running_header() -> str:
    from stingless.compile.vmlinux import header

    return header(None).decode()

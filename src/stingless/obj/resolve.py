"""What an object needs of the kernel it is loaded on, filled in: CO-RE relocations, kconfig values, kernel symbols,
kfuncs, BTF ids of attach targets.

Pure: the facts come in a `Target`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from stingless.btf.types import Btf
from stingless.obj.spec import ObjectSpec


class Target(Protocol):
    """The kernel that an object is to be loaded on.  Everything is looked up when asked for, and only then."""

    @property
    def btf(self) -> Btf | None:
        """The kernel's types; None when it has no BTF."""

    @property
    def release(self) -> tuple[int, int, int]:
        """As in LINUX_KERNEL_VERSION."""

    def module_btf(self) -> Mapping[str, Btf]:
        """The types of loaded modules (split BTF), by module."""

    def config(self) -> Mapping[str, str]:
        """CONFIG_X -> its value as in .config: "y", "m", "42", "\\"text\\""; absent when not set.  Raises
        `NotSupportedError` when the kernel does not tell."""

    def symbol(self, name: str) -> int | None:
        """The address of a kernel symbol; None when there is none.  Raises `PrivilegeError` when addresses are hidden."""

    def has_syscall_wrapper(self) -> bool:
        """Whether system calls take pt_regs (LINUX_HAS_SYSCALL_WRAPPER)."""

"""What the dialect asks of the kernel that a program is compiled for."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from stingless.compile.declared.index import Declarations
from stingless.compile.dialect.tracepoints import Field
from stingless.errors import NotSupportedError

if TYPE_CHECKING:
    from stingless.btf.types import Btf

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

    def module_types(self, tags: Collection[str]) -> str:
        """C that declares those of the tags ("struct name") that are types of modules, and what they need."""

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

    def module_types(self, tags: Collection[str]) -> str:
        from stingless.btf.cdecl import declarations
        from stingless.btf.kernel import DIRECTORY, kernel_btf

        kernel = kernel_btf()
        waiting = {tag.rpartition(" ")[2] for tag in tags}
        forms = {name: _forms(kernel, name) for name in waiting}
        text = []
        for module in kernel.modules():
            try:
                data = (DIRECTORY / module).read_bytes()
            except OSError:  # it was unloaded, or is another user's to read
                continue
            names = {name for name in waiting if any(form in data for form in forms[name])}
            if names and (names := {name for name in names if _is_defined(kernel.module_btf(module), name)}):
                text.append(declarations(kernel.module_btf(module), sorted(names)))
                waiting -= names
        return "".join(text)

    def config(self) -> Mapping[str, str]:
        from stingless.target.kconfig import kernel_config

        try:
            return kernel_config()
        except NotSupportedError:
            return {}

    def fields_of(self, category: str, event: str) -> Sequence[Field]:
        return self._fields_of(category, event)

    def has_syscall_wrapper(self) -> bool:
        return _has_syscall_wrapper(self.release, self.machine)


class AnotherKernel:
    """A kernel known by its BTF file alone, and what else is told of it."""

    def __init__(
        self,
        btf: Path,
        release: tuple[int, int, int],
        fields_of: FormatOf,
        config: Mapping[str, str] | None = None,
        machine: str = "",
    ) -> None:
        self._btf = btf
        self._fields_of = fields_of
        self._config = config or {}
        self.release = release
        self.machine = machine or os.uname().machine

    @cached_property
    def id(self) -> str:
        from stingless.compile.vmlinux import kernel_id

        return kernel_id(self._btf)

    def types(self) -> Declarations | None:
        from stingless.compile.declared.store import types

        return types(self.id, self._header)

    @cached_property
    def _header(self) -> Callable[[], str]:  # one object, by which `types` knows it again
        from stingless.compile.vmlinux import header

        return lambda: header(self._btf).decode()

    def module_types(self, tags: Collection[str]) -> str:
        return ""

    def config(self) -> Mapping[str, str]:
        return self._config

    def fields_of(self, category: str, event: str) -> Sequence[Field]:
        return self._fields_of(category, event)

    def has_syscall_wrapper(self) -> bool:
        return _has_syscall_wrapper(self.release, self.machine)


def _has_syscall_wrapper(release: tuple[int, int, int], machine: str) -> bool:
    since = {"x86_64": (4, 17, 0), "aarch64": (4, 19, 0), "s390x": (5, 12, 0), "riscv64": (6, 6, 0)}
    return machine in since and release >= since[machine]


def _forms(kernel: Btf, name: str) -> list[bytes]:
    """How a module's BTF has a name: itself, or by its place among the kernel's strings."""
    raw = b"\0" + name.encode() + b"\0"
    at = kernel.strings().find(raw)
    return [raw] if at < 0 else [raw, (at + 1).to_bytes(4, "little")]


def _is_defined(btf: Btf, name: str) -> bool:
    from stingless.btf.kinds import ENUMS, RECORDS

    return any(found.kind in RECORDS | ENUMS for found in btf.find_all(name))


def _running_header() -> str:
    from stingless.compile.vmlinux import header

    return header(None).decode()

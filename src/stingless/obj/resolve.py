"""What an object needs of the kernel it is loaded on, filled in: CO-RE relocations, kconfig values, kernel symbols,
kfuncs, BTF ids of attach targets.

Pure: the facts come in a `Target`.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Protocol

from stingless.btf.types import Btf
from stingless.errors import ObjectError
from stingless.frozen import replace
from stingless.obj.spec import ObjectSpec, ProgramSpec

if TYPE_CHECKING:
    from stingless.btf.core import Relocator
    from stingless.obj.externs import KernelSymbols


class Target(Protocol):
    """The kernel that an object is to be loaded on.  Everything is looked up when asked for, and only then."""

    @property
    def btf(self) -> Btf | None:
        """The kernel's types; None when it has no BTF."""

    @property
    def release(self) -> tuple[int, int, int]:
        """As in LINUX_KERNEL_VERSION."""

    @property
    def own_symbols(self) -> bool:
        """Whether programs can use the kernel's functions and variables (the embedded kernel has none)."""

    def kernel_function(self, name: str) -> int | None:
        """The number that programs call a function by where that is not an id of the types; None: look in the types."""

    def module_btf(self) -> Mapping[str, Btf]:
        """The types of loaded modules (split BTF), by module."""

    def config(self) -> Mapping[str, str]:
        """CONFIG_X -> its value as in .config: "y", "m", "42", "\\"text\\""; absent when not set.  Raises
        `NotSupportedError` when the kernel does not tell."""

    def symbols(self, names: Collection[str]) -> Mapping[str, tuple[int, ...]]:
        """The addresses of those kernel symbols that there are (more than one for an ambiguous name).  Raises
        `PrivilegeError` when addresses are hidden."""

    def has_syscall_wrapper(self) -> bool:
        """Whether system calls take pt_regs (LINUX_HAS_SYSCALL_WRAPPER)."""

    def has_bpf_cookie(self) -> bool:
        """Whether programs can ask for their link's cookie (LINUX_HAS_BPF_COOKIE)."""


def resolve(spec: ObjectSpec, target: Target, btf: Btf | None = None) -> ObjectSpec:
    """The object with all it needs of `target` filled in; `spec` stays as it is.

    `btf` stands for the kernel's types in CO-RE relocations.  Programs that are not loaded by themselves (`autoload`
    False) are left as they are.  Raises `ObjectError`, `NotSupportedError`, `UnknownNameError`, `PrivilegeError`.
    """
    if spec.byteorder != sys.byteorder:
        target_flag = {"little": "bpfel", "big": "bpfeb"}[sys.byteorder]
        raise ObjectError(
            f"the object was compiled for {spec.byteorder}-endian machines, and this one is {sys.byteorder}-endian: "
            f"compile it with clang -target {target_flag}"
        )
    maps = dict(spec.maps)
    if ".kconfig" in maps:
        from stingless.obj.externs_kconfig import kconfig_map

        externs = [each for each in spec.externs.values() if each.section == ".kconfig"]
        maps[".kconfig"] = kconfig_map(maps[".kconfig"], externs, spec.btf, target)

    resolver = _Resolver(spec, target, btf)
    programs = {name: resolver.program(p) if p.autoload else p for name, p in spec.programs.items()}
    return replace(spec, maps=maps, programs=programs)


def resolve_program(spec: ProgramSpec, target: Target, btf: Btf | None = None) -> ProgramSpec:
    """One program, which is of no object's STRUCT_OPS maps."""
    return _Resolver(ObjectSpec({}, {spec.name: spec}, btf=spec.btf), target, btf).program(spec)


class _Resolver:
    """Shares between the programs of one object what they look up."""

    def __init__(self, spec: ObjectSpec, target: Target, btf: Btf | None) -> None:
        self._spec = spec
        self._target = target
        self._btf = btf
        self._relocator: Relocator | None = None
        self._symbols: KernelSymbols | None = None
        self._members = {
            program: (map.struct_ops.type_name, member)
            for map in spec.maps.values()
            if map.struct_ops is not None
            for member, program in map.struct_ops.functions
        }

    def program(self, program: ProgramSpec) -> ProgramSpec:
        if program.extern_refs:
            program = self._kernel_symbols().apply(program)
        if program.core_relocations:
            program = self._relocate(program)
        if program.name in self._members:
            from stingless.obj.attach_ids import with_member

            return with_member(program, *self._members[program.name], self._target)
        if program.attach_target and self._target.own_symbols:
            from stingless.obj.attach_ids import with_attach_id

            return with_attach_id(program, self._target)
        return program

    def _kernel_symbols(self) -> KernelSymbols:
        if self._symbols is None:
            from stingless.obj.externs import KernelSymbols

            self._symbols = KernelSymbols(self._spec.externs.values(), self._spec.btf, self._target)
        return self._symbols

    def _relocate(self, program: ProgramSpec) -> ProgramSpec:
        from stingless.btf.core import Relocator

        if self._relocator is None:
            if self._spec.btf is None:
                raise ObjectError(f"program {program.name!r} has CO-RE relocations but the object has no BTF")
            if self._btf is not None:
                self._relocator = Relocator(self._spec.btf, self._btf)
            else:
                self._relocator = Relocator(self._spec.btf, self._target.btf, self._target.module_btf)
        return self._relocator.relocate(program)

"""BTF ids of what a program is attached to: kernel functions, tracepoints, LSM hooks, iterators, members of structs.

Source: the kernel's own types first, then those of each module; a section may name the module ("fentry/nf_tables:x").
"""

from __future__ import annotations

from collections.abc import Iterator

from stingless._gen.uapi import AttachType, ProgramType
from stingless.btf.core_names import essential_name
from stingless.btf.types import Btf, Kind, Type
from stingless.errors import NotSupportedError, UnknownNameError
from stingless.frozen import replace
from stingless.obj.resolve import Target
from stingless.obj.spec import ProgramSpec

# What the kernel puts before a hook's name in its types, by attach type.
_PREFIX = {
    AttachType.TRACE_RAW_TP: "btf_trace_",
    AttachType.LSM_MAC: "bpf_lsm_",
    AttachType.LSM_CGROUP: "bpf_lsm_",
    AttachType.TRACE_ITER: "bpf_iter_",
}
_WHAT = {
    AttachType.TRACE_RAW_TP: "tracepoint (in the kernel's BTF)",
    AttachType.LSM_MAC: "LSM hook",
    AttachType.LSM_CGROUP: "LSM hook",
    AttachType.TRACE_ITER: "iterator",
}


def types_of(target: Target, module: str = "") -> Iterator[tuple[str, Btf]]:
    """(module, types) to look a name up in: the kernel itself ("") first; or the one module that was named."""
    if module in ("", "vmlinux"):
        if target.btf is not None:
            yield "", target.btf
        if module:
            return
    for name, btf in target.module_btf().items():
        if module in ("", name):
            yield name, btf


def need_btf(target: Target, what: str) -> Btf:
    """The kernel's types.  Raises `NotSupportedError` that says what needs them."""
    if target.btf is None:
        raise NotSupportedError(
            "the kernel's BTF",
            "5.4 and CONFIG_DEBUG_INFO_BTF",
            f"{what} needs it, and /sys/kernel/btf/vmlinux is not there",
        )
    return target.btf


def with_attach_id(program: ProgramSpec, target: Target) -> ProgramSpec:
    """The program with `attach_btf_id` and `attach_module` of its target in the kernel.  Raises `UnknownNameError`,
    `NotSupportedError`."""
    if program.attach_btf_id or program.type not in (ProgramType.TRACING, ProgramType.LSM):
        return program
    need_btf(target, f"program {program.name!r} (section {program.section!r})")
    module, _, name = program.attach_target.rpartition(":")
    prefix = _PREFIX.get(program.attach_type, "") if program.attach_type is not None else ""
    kind = Kind.TYPEDEF if program.attach_type is AttachType.TRACE_RAW_TP else Kind.FUNC
    full = name if prefix and name.startswith(prefix) else prefix + name
    for where, btf in types_of(target, module):
        if found := btf.find(full, kind):
            return replace(program, attach_btf_id=found.id, attach_module=where)
    from stingless.btf.near import near

    alike = (each for _, btf in types_of(target, module) for each in near(btf, full, kind))
    known = [each.removeprefix(prefix) for each in alike if each.startswith(prefix)]
    what = (
        _WHAT.get(program.attach_type, "kernel function (in the kernel's BTF)") if program.attach_type else "function"
    )
    place = f" in module {module!r}" if module else ""
    raise UnknownNameError(what + place, full.removeprefix(prefix), known, f"which program {program.name!r} is for")


def with_member(program: ProgramSpec, type_name: str, member: str, target: Target) -> ProgramSpec:
    """A STRUCT_OPS program with the id of the kernel's struct and the index of the member that it implements.  Where
    the kernel's struct has no such member the program is not loaded by itself.  Raises `NotSupportedError`."""
    module, struct, _ = kernel_struct(type_name, target, f"program {program.name!r}")
    index = next((i for i, each in enumerate(struct.members) if each.name == member), None)
    if index is None:
        return replace(program, autoload=False)
    return replace(program, attach_btf_id=struct.id, attach_module=module, attach_member=index)


def kernel_struct(type_name: str, target: Target, what: str) -> tuple[str, Type, Type]:
    """(module, the struct, `bpf_struct_ops_X` that the kernel wraps it in) of a struct that programs can implement.
    Raises `NotSupportedError` when this kernel has no such struct, or does not let programs implement it."""
    need_btf(target, what)
    name = essential_name(type_name)
    found_struct = False
    for module, btf in types_of(target):
        struct = btf.find(name, Kind.STRUCT)
        found_struct = found_struct or struct is not None
        # The wrapper of a struct of the kernel itself can be a module's (tcp_congestion_ops never is).
        value = btf.find("bpf_struct_ops_" + name, Kind.STRUCT)
        if value is not None:
            inner = next((btf.resolve(m.type) for m in value.members if m.name == "data"), None)
            if inner is not None:
                return module, inner, value
    why = "programs cannot implement that struct on this kernel" if found_struct else "this kernel has no such struct"
    raise NotSupportedError(f"struct_ops of {name!r}", "", f"{what}: {why}")

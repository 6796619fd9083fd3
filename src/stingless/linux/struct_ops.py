"""STRUCT_OPS maps: a struct of the kernel's that programs implement, as a congestion control or a scheduler.

Minimum kernel: 5.6; links since 6.4, structs of modules since 6.9.  Privileges: CAP_BPF, CAP_NET_ADMIN or what the
struct's owner asks for.
Example: `kernel.attach_struct_ops(map, {"init": program, ...})` with a map of `SEC(".struct_ops.link")`.
Source: kernel/bpf/bpf_struct_ops.c, `bpf_struct_ops_map_update_elem()`.

An object's struct is laid out as the object was compiled; its members go to the kernel's of the same names.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Mapping

from stingless._gen.uapi import AttachType, ProgramType
from stingless._sys import bpf_link, bpf_map, bpf_prog
from stingless._sys.syscall import Fd
from stingless.asm.instruction import encode, exit_, mov_imm
from stingless.btf.types import Btf, Kind, Member, Type
from stingless.errors import AttachError, LoadError, NotSupportedError, ObjectError, StinglessError, UnknownNameError
from stingless.events import StructOps
from stingless.frozen import replace
from stingless.linux import btf_objects
from stingless.linux.links import BpfLink, LinuxLink
from stingless.linux.maps import LinuxMap
from stingless.linux.programs import LinuxProgram
from stingless.linux.refusals import ENOTSUPP, map_refused, privilege
from stingless.obj.attach_ids import kernel_struct, types_of
from stingless.obj.spec import MapSpec, StructOpsSpec
from stingless.target.running import RunningKernel

BPF_F_LINK, BPF_F_VTYPE_BTF_OBJ_FD = 1 << 13, 1 << 15
_KEY = bytes(4)  # the one entry


class StructOpsMap(LinuxMap):
    """`spec` is as the kernel has the map, with its own type as value; `declared` as the object has it."""

    def __init__(self, declared: MapSpec, value: Type, types: Btf, fd: Fd) -> None:
        self.declared = declared
        self.value, self.types = value, types
        super().__init__(
            replace(declared, value_size=value.size, key_type=0, value_type=value.id, initial=None, btf=types), fd
        )


def create(spec: MapSpec, btf: Fd | None) -> StructOpsMap:
    """The map, still without the struct.  `btf` is the object's, which the kernel wants to have.  Raises
    `NotSupportedError`, `LoadError`, `PrivilegeError`."""
    target = RunningKernel()
    module, _, value = kernel_struct(_ops(spec).type_name, target, f"map {spec.name!r}")
    kernel = dict(types_of(target, module or "vmlinux"))[module]
    types = btf_objects.open_module(module, f"map {spec.name!r}") if module else None
    flags = spec.flags | (BPF_F_LINK if _ops(spec).link else 0) | (BPF_F_VTYPE_BTF_OBJ_FD if types else 0)

    def attempt() -> Fd:
        return bpf_map.map_create(
            spec.type,
            4,
            value.size,
            1,
            flags,
            spec.name,
            btf.fileno() if btf is not None else 0,
            vmlinux_value=value.id,
            value_btf_fd=types.fileno() if types else 0,
        )

    try:
        try:
            fd = attempt()
        except OSError as e:
            if e.errno != ENOTSUPP:
                raise
            # Up to 5.15, the kernel reads its own BTF when it verifies its first program, and knows no struct before.
            nothing = encode([mov_imm(0, 0), exit_()])
            bpf_prog.prog_load(ProgramType.SOCKET_FILTER, nothing, "GPL").close()
            fd = attempt()
    except OSError as e:
        if btf is None:
            why = "the kernel did not take the object's BTF, which it needs"
            raise LoadError(f"map {spec.name!r}: {why}", e.errno or 0) from None
        if e.errno == errno.EINVAL and _ops(spec).link:
            raise NotSupportedError(
                "a link of a struct_ops map", "6.4", f'use SEC(".struct_ops") for {spec.name!r}'
            ) from None
        raise map_refused(spec, e.errno or 0) from None
    finally:
        if types is not None:
            types.close()
    return StructOpsMap(spec, value, kernel, fd)


def attach_map(map: StructOpsMap, programs: Mapping[str, LinuxProgram]) -> LinuxLink:
    """Register the struct, with the loaded `programs` (by name) in its function members.  Closing the link takes it
    back.  Raises `AttachError`, `ObjectError`, `UnknownNameError`, `PrivilegeError`, `NotSupportedError`."""
    ops = _ops(map.declared)
    event = StructOps(ops.type_name, map.spec.name)
    data = next(m for m in map.value.members if m.name == "data")
    inner = map.types.resolve(data.type)
    content = bytearray(map.value.size)
    fds = {name: program.fd for name, program in programs.items()}
    content[data.offset : data.offset + inner.size] = struct_bytes(map.declared, map.types, inner, fds)
    try:
        bpf_map.map_update(map.fd, _KEY, bytes(content), 0)
    except OSError as e:
        raise _refused(event, e) from None
    if not ops.link:
        return _Registration(event, map)
    try:
        return BpfLink(event, bpf_link.create(map.fd, 0, AttachType.STRUCT_OPS))
    except OSError as e:
        raise _refused(event, e) from None


def struct_bytes(spec: MapSpec, kernel: Btf, wanted: Type, programs: Mapping[str, int]) -> bytes:
    """The object's struct as the kernel's type `wanted`, with `programs` (name -> descriptor) as its functions."""
    local = spec.btf
    if local is None or spec.initial is None:
        raise ObjectError(f"map {spec.name!r} has no type or no content: the object has no BTF; compile with -g")
    functions = dict(_ops(spec).functions)
    out = bytearray(wanted.size)
    theirs = {m.name: m for m in wanted.members}
    for mine in local.resolve(spec.value_type).members:
        size = local.size_of(mine.type)
        data = spec.initial[mine.offset : mine.offset + size]
        place = theirs.get(mine.name)
        if place is None:
            # What the kernel does not know of may be left out as long as it says nothing.
            if any(data):
                raise NotSupportedError(
                    f"member {mine.name!r} of struct {wanted.name}", "", f"map {spec.name!r} sets it"
                )
        elif mine.name in functions:
            name = functions[mine.name]
            if name not in programs:
                raise UnknownNameError(
                    "loaded program", name, programs, f"which member {mine.name!r} of {spec.name!r} needs"
                )
            struct.pack_into("=Q", out, place.offset, programs[name])
        elif any(data):
            _same(spec, local, mine, kernel, place, size)
            out[place.offset : place.offset + size] = data
    return bytes(out)


def _same(spec: MapSpec, local: Btf, mine: Member, kernel: Btf, theirs: Member, size: int) -> None:
    """Raise unless the member's bytes mean the same in the kernel."""
    here, there = local.resolve(mine.type), kernel.resolve(theirs.type)
    what = f"member {mine.name!r} of map {spec.name!r}"
    if mine.bit_size or theirs.bit_size:
        raise ObjectError(f"{what} is a bit-field, which cannot be carried over")
    if here.kind is Kind.PTR:
        raise ObjectError(f"{what} is a pointer that is neither NULL nor a program")
    if here.kind != there.kind or size != kernel.size_of(theirs.type):
        raise ObjectError(
            f"{what} has {size} bytes ({here.kind.name.lower()}), the kernel's {kernel.size_of(theirs.type)} "
            f"({there.kind.name.lower()}): take the declaration from this kernel's vmlinux.h"
        )


def _ops(spec: MapSpec) -> StructOpsSpec:
    if spec.struct_ops is None:
        raise ObjectError(f"map {spec.name!r} is no struct_ops map")
    return spec.struct_ops


def _refused(event: StructOps, e: OSError) -> StinglessError:
    code = e.errno or 0
    if code == errno.EPERM:
        return privilege(f"registering {event}", ("CAP_BPF", "CAP_NET_ADMIN"))
    why = {
        errno.EEXIST: "something of that name is registered already",
        errno.EBUSY: "the map is registered already; create another one",
        errno.EINVAL: "the kernel does not take the values, or misses a function that it requires",
    }.get(code, "the kernel does not say why")
    return AttachError(f"{event}: {why}", code)


class _Registration(LinuxLink):
    """A struct that is registered by its map's value, until that is deleted."""

    def __init__(self, event: StructOps, map: LinuxMap) -> None:
        super().__init__(event, [])
        self._map = map

    def _free(self) -> None:
        # When the map is closed already its last descriptor took the struct with it.
        if not self._map._closed:
            bpf_map.map_delete(self._map.fd, _KEY)

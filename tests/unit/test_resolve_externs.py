"""Externs and attach targets, resolved against targets that are made up."""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import pytest

from stingless._gen.uapi import AttachType, MapType, ProgramType
from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction, decode, encode, exit_, ld_imm64, mov_imm
from stingless.btf.types import Btf, Kind
from stingless.errors import NotSupportedError, ObjectError, UnknownNameError
from stingless.obj.resolve import resolve
from stingless.obj.spec import ExternRef, ExternSpec, MapSpec, ObjectSpec, ProgramSpec, StructOpsSpec
from tests.btf_blobs import Blob

BOOL, CHAR, SIGNED = 4, 2, 1


@dataclass
class Machine:
    """See `stingless.obj.resolve.Target`."""

    btf: Btf | None = None
    modules: dict[str, Btf] = field(default_factory=dict)
    release: tuple[int, int, int] = (6, 1, 140)
    settings: dict[str, str] | None = field(default_factory=dict)
    addresses: dict[str, tuple[int, ...]] = field(default_factory=dict)
    own_symbols: bool = True
    functions: dict[str, int] = field(default_factory=dict)
    asked: int = 0

    def kernel_function(self, name: str) -> int | None:
        return self.functions.get(name)

    def module_btf(self) -> Mapping[str, Btf]:
        return self.modules

    def config(self) -> Mapping[str, str]:
        if self.settings is None:
            raise NotSupportedError("the kernel's configuration")
        return self.settings

    def symbols(self, names: Collection[str]) -> Mapping[str, tuple[int, ...]]:
        self.asked += 1
        return {name: self.addresses[name] for name in names if name in self.addresses}

    def has_syscall_wrapper(self) -> bool:
        return True

    def has_bpf_cookie(self) -> bool:
        return False


def kconfig(types: Blob, machine: Machine, *externs: ExternSpec) -> bytes:
    size = max(each.offset + each.size for each in externs)
    spec = ObjectSpec(
        {".kconfig": MapSpec(".kconfig", MapType.ARRAY, 4, size, 1, initial=bytes(size))},
        {},
        externs={each.name: each for each in externs},
        btf=types.btf(),
    )
    content = resolve(spec, machine).maps[".kconfig"].initial
    assert content is not None
    assert spec.maps[".kconfig"].initial == bytes(size)  # the object that was given stays as it is
    return content


def setting(types: Blob, type_id: int, size: int, value: str | None, weak: bool = False) -> bytes:
    machine = Machine(settings={"CONFIG_OTHER": "y"} | ({"CONFIG_X": value} if value is not None else {}))
    return kconfig(types, machine, ExternSpec("CONFIG_X", ".kconfig", type_id, weak, size=size))


def test_kinds_of_settings() -> None:
    types = Blob()
    boolean, char = types.integer("_Bool", 1, BOOL), types.integer("char", 1, CHAR)
    text = types.array(char, 6)
    tristate = types.enum("libbpf_tristate", [("TRI_NO", 0), ("TRI_YES", 1), ("TRI_MODULE", 2)])
    short, long = types.integer("short", 2, SIGNED), types.integer("long", 8, 0)
    assert [setting(types, boolean, 1, v) for v in "yn"] == [b"\1", b"\0"]
    assert [setting(types, char, 1, v) for v in "ynm"] == [b"y", b"n", b"m"]
    assert [setting(types, tristate, 4, v)[0] for v in "nym"] == [0, 1, 2]
    assert setting(types, short, 2, "-32768") == struct.pack("<h", -32768)
    assert setting(types, long, 8, "0xffffffff80000000") == struct.pack("<Q", 0xFFFFFFFF80000000)
    assert setting(types, text, 6, '"abc"') == b"abc\0\0\0"
    assert setting(types, text, 6, '"abcdefgh"') == b"abcde\0"  # cut, and always ended by a zero byte


def test_settings_that_do_not_fit() -> None:
    types = Blob()
    boolean, short = types.integer("_Bool", 1, BOOL), types.integer("short", 2, SIGNED)
    number, pointer = types.integer("u32", 4, 0), types.pointer(0)
    for type_id, size, value, why in (
        (boolean, 1, "m", "needs bool"),
        (boolean, 1, "2", "0 or 1"),
        (short, 2, "32768", "-32768 to 32767"),
        (number, 4, "-1", "0 to 4294967295"),
        (number, 4, '"text"', "array of char"),
        (number, 4, "y", "tristate"),
        (number, 4, "what", "no number"),
        (pointer, 8, "1", "holds no configuration value"),
    ):
        with pytest.raises(ObjectError, match=why):
            setting(types, type_id, size, value)


def test_missing_settings() -> None:
    types = Blob()
    number = types.integer("u32", 4, 0)
    assert setting(types, number, 4, None, weak=True) == bytes(4)
    with pytest.raises(UnknownNameError, match="CONFIG_X") as e:
        setting(types, number, 4, None)
    assert "__weak" in str(e.value)
    unreadable = Machine(settings=None)
    extern = ExternSpec("CONFIG_X", ".kconfig", number, size=4)
    assert kconfig(types, unreadable, replace(extern, weak=True)) == bytes(4)
    with pytest.raises(NotSupportedError, match="configuration"):
        kconfig(types, unreadable, extern)


def test_facts_of_the_kernel() -> None:
    types = Blob()
    number, boolean = types.integer("u32", 4, 0), types.integer("_Bool", 1, BOOL)
    content = kconfig(
        types,
        Machine(release=(4, 19, 300)),
        ExternSpec("LINUX_KERNEL_VERSION", ".kconfig", number, size=4),
        ExternSpec("LINUX_HAS_SYSCALL_WRAPPER", ".kconfig", boolean, offset=4, size=1),
        ExternSpec("LINUX_HAS_BPF_COOKIE", ".kconfig", boolean, offset=5, size=1),
        ExternSpec("LINUX_HAS_WINGS", ".kconfig", boolean, True, offset=6, size=1),
    )
    assert content == struct.pack("<IBBB", 4 << 16 | 19 << 8 | 255, 1, 0, 0)
    with pytest.raises(UnknownNameError, match="LINUX_KERNEL_VERSION"):
        kconfig(types, Machine(), ExternSpec("LINUX_KERNEL_VERSIO", ".kconfig", number, size=4))


def loading(extern: ExternSpec, btf: Btf | None = None, autoload: bool = True) -> ObjectSpec:
    """A program that loads the extern's address."""
    code = encode([*ld_imm64(1, 0), mov_imm(0, 0), exit_()])
    program = ProgramSpec(
        "p", "xdp", ProgramType.XDP, code, autoload=autoload, extern_refs=(ExternRef(0, extern),), btf=btf
    )
    return ObjectSpec({}, {"p": program}, externs={extern.name: extern}, btf=btf)


def calling(extern: ExternSpec, btf: Btf) -> ObjectSpec:
    code = encode([Instruction(op.JMP | op.CALL, 0, op.PSEUDO_CALL, 0, -1), exit_()])
    program = ProgramSpec("p", "xdp", ProgramType.XDP, code, extern_refs=(ExternRef(0, extern),), btf=btf)
    return ObjectSpec({}, {"p": program}, externs={extern.name: extern}, btf=btf)


def resolved(spec: ObjectSpec, machine: Machine) -> tuple[ProgramSpec, list[Instruction]]:
    program = resolve(spec, machine).programs["p"]
    assert program.extern_refs == () or not program.autoload
    return program, decode(program.code)


def test_address_of_a_symbol() -> None:
    machine = Machine(addresses={"bpf_map_fops": (0xFFFFFFFF81234560,), "twice": (1, 2)})
    _, code = resolved(loading(ExternSpec("bpf_map_fops", ".ksyms")), machine)
    assert (code[0].src, code[0].imm & 0xFFFFFFFF, code[1].imm & 0xFFFFFFFF) == (0, 0x81234560, 0xFFFFFFFF)
    _, code = resolved(loading(ExternSpec("absent", ".ksyms", weak=True)), machine)
    assert (code[0].imm, code[1].imm) == (0, 0)
    with pytest.raises(UnknownNameError, match=r"absent.*__weak"):
        resolve(loading(ExternSpec("absent", ".ksyms")), machine)
    with pytest.raises(ObjectError, match="2 symbols"):
        resolve(loading(ExternSpec("twice", ".ksyms")), machine)


def kernel() -> tuple[Btf, Btf]:
    """A kernel's types, and those of a module."""
    own = Blob()
    number = own.integer("int", 4, SIGNED)
    task = own.struct("task_struct", 8, [("pid", number, 0)])
    own.func("bpf_task_acquire", own.proto(own.pointer(task), [("p", own.pointer(task))]))
    own.var("runqueues", task)
    own.func("vfs_read", own.proto(number))
    own.func("bpf_lsm_file_open", own.proto(number))
    own.func("bpf_iter_task", own.proto(number))
    own.typedef("btf_trace_sched_switch", own.pointer(0))
    ops = own.struct("tcp_congestion_ops", 24, [("init", own.pointer(0), 0), ("flags", number, 8)])
    own.struct("bpf_struct_ops_tcp_congestion_ops", 40, [("data", ops, 8)])
    module = Blob()
    module.integer("int", 4, SIGNED)
    module.func("bpf_ct_release", module.proto(1))
    module.var("counter", 1)
    return own.btf(), module.btf()


def machine() -> Machine:
    own, module = kernel()
    return Machine(own, {"nf_conntrack": module})


def local_types() -> tuple[Btf, dict[str, int]]:
    types = Blob()
    number = types.integer("int", 4, SIGNED)
    task = types.struct("task_struct", 4, [("pid", number, 0)])
    ids = {
        "int": number,
        "task": task,
        "acquire": types.proto(types.pointer(task), [("p", types.pointer(task))]),
        "release": types.proto(number),
    }
    return types.btf(), ids


def test_typed_variables() -> None:
    btf, ids = local_types()
    target = machine()
    assert target.btf is not None
    found = target.btf.find("runqueues", Kind.VAR)
    _, code = resolved(loading(ExternSpec("runqueues", ".ksyms", ids["task"]), btf), target)
    assert found is not None
    assert (code[0].src, code[0].imm, code[1].imm) == (op.PSEUDO_BTF_ID, found.id, 0)
    program, code = resolved(loading(ExternSpec("counter", ".ksyms", ids["int"]), btf), target)
    assert program.kfunc_modules == ("nf_conntrack",)
    assert (code[0].src, code[1].imm) == (op.PSEUDO_BTF_ID, 1)  # the module's index, for the loader
    with pytest.raises(ObjectError, match=r"struct task_struct.*kernel has int"):
        resolve(loading(ExternSpec("counter", ".ksyms", ids["task"]), btf), target)
    with pytest.raises(UnknownNameError, match=r"runqueue.*nearest: runqueues"):
        resolve(loading(ExternSpec("runqueue", ".ksyms", ids["task"]), btf), target)


def test_calls_of_kernel_functions() -> None:
    btf, ids = local_types()
    target = machine()
    assert target.btf is not None
    found = target.btf.find("bpf_task_acquire", Kind.FUNC)
    assert found is not None
    for name in ("bpf_task_acquire", "bpf_task_acquire___flavour"):
        _, code = resolved(calling(ExternSpec(name, ".ksyms", ids["acquire"], function=True), btf), target)
        assert code[0] == Instruction(op.JMP | op.CALL, 0, op.PSEUDO_KFUNC_CALL, 0, found.id)
    program, code = resolved(
        calling(ExternSpec("bpf_ct_release", ".ksyms", ids["release"], function=True), btf), target
    )
    assert (code[0].src, code[0].off, program.kfunc_modules) == (op.PSEUDO_KFUNC_CALL, 1, ("nf_conntrack",))
    # Whether it is there: a load of its id.
    _, code = resolved(loading(ExternSpec("bpf_task_acquire", ".ksyms", ids["acquire"], function=True), btf), target)
    assert (code[0].src, code[0].imm) == (op.PSEUDO_BTF_ID, found.id)


def test_functions_that_are_missing_or_different() -> None:
    btf, ids = local_types()
    target = machine()
    weak = ExternSpec("bpf_absent", ".ksyms", ids["release"], weak=True, function=True)
    program, code = resolved(calling(weak, btf), target)
    assert (code[0].src, [p.insn for p in program.poisons]) == (0, [0])
    assert "bpf_ksym_exists(bpf_absent)" in program.poisons[0].message
    _, code = resolved(loading(weak, btf), target)
    assert (code[0].imm, code[0].src) == (0, 0)
    with pytest.raises(UnknownNameError, match="kfunc"):
        resolve(calling(replace(weak, weak=False), btf), target)
    other = ExternSpec("bpf_task_acquire", ".ksyms", ids["release"], function=True)
    with pytest.raises(ObjectError, match=r"int \(void\).*struct task_struct \* \(struct task_struct \*\)"):
        resolve(calling(other, btf), target)
    program, _ = resolved(calling(replace(other, weak=True), btf), target)
    assert program.poisons


def test_the_embedded_kernel_has_no_functions_of_linux() -> None:
    btf, ids = local_types()
    target = machine()
    target.own_symbols = False
    extern = ExternSpec("bpf_task_acquire", ".ksyms", ids["acquire"], function=True)
    with pytest.raises(NotSupportedError, match="'bpf_task_acquire' of the Linux kernel"):
        resolve(calling(extern, btf), target)
    with pytest.raises(NotSupportedError, match="variable 'x'"):
        resolve(loading(ExternSpec("x", ".ksyms")), target)
    assert resolved(calling(replace(extern, weak=True), btf), target)[0].poisons
    assert target.asked == 0


def test_what_is_not_loaded_stays_unresolved() -> None:
    spec = loading(ExternSpec("absent", ".ksyms"), autoload=False)
    assert resolve(spec, Machine()).programs == spec.programs


def tracing(target: str, attach: AttachType, kind: ProgramType = ProgramType.TRACING) -> ObjectSpec:
    code = encode([mov_imm(0, 0), exit_()])
    return ObjectSpec({}, {"p": ProgramSpec("p", "s", kind, code, attach_type=attach, attach_target=target)})


@pytest.mark.parametrize(
    ("target", "attach", "kind", "name", "module"),
    [
        ("vfs_read", AttachType.TRACE_FENTRY, ProgramType.TRACING, "vfs_read", ""),
        ("bpf_ct_release", AttachType.TRACE_FEXIT, ProgramType.TRACING, "bpf_ct_release", "nf_conntrack"),
        ("nf_conntrack:bpf_ct_release", AttachType.TRACE_FEXIT, ProgramType.TRACING, "bpf_ct_release", "nf_conntrack"),
        ("bpf_lsm_file_open", AttachType.LSM_MAC, ProgramType.LSM, "bpf_lsm_file_open", ""),
        ("file_open", AttachType.LSM_CGROUP, ProgramType.LSM, "bpf_lsm_file_open", ""),
        ("bpf_iter_task", AttachType.TRACE_ITER, ProgramType.TRACING, "bpf_iter_task", ""),
        ("sched_switch", AttachType.TRACE_RAW_TP, ProgramType.TRACING, "btf_trace_sched_switch", ""),
    ],
)
def test_attach_targets(target: str, attach: AttachType, kind: ProgramType, name: str, module: str) -> None:
    where = machine()
    program = resolve(tracing(target, attach, kind), where).programs["p"]
    btf = where.modules[module] if module else where.btf
    assert btf is not None
    assert (btf.type(program.attach_btf_id).name, program.attach_module) == (name, module)


def test_attach_targets_that_are_not_there() -> None:
    with pytest.raises(UnknownNameError, match=r"vfs_raed.*vfs_read"):
        resolve(tracing("vfs_raed", AttachType.TRACE_FENTRY), machine())
    with pytest.raises(UnknownNameError, match=r"LSM hook.*file_opn.*nearest: file_open"):
        resolve(tracing("file_opn", AttachType.LSM_MAC, ProgramType.LSM), machine())
    with pytest.raises(UnknownNameError, match="module 'ext4'"):
        resolve(tracing("ext4:vfs_read", AttachType.TRACE_FENTRY), machine())
    with pytest.raises(NotSupportedError, match=r"BTF.*'p'"):
        resolve(tracing("vfs_read", AttachType.TRACE_FENTRY), Machine())


def test_members_of_a_struct() -> None:
    def implementing(type_name: str, member: str) -> ObjectSpec:
        ops = StructOpsSpec(type_name, ((member, "p"),))
        map_spec = MapSpec("m", MapType.STRUCT_OPS, 4, 24, 1, initial=bytes(24), struct_ops=ops)
        program = ProgramSpec("p", "struct_ops", ProgramType.STRUCT_OPS, encode([mov_imm(0, 0), exit_()]))
        return ObjectSpec({"m": map_spec}, {"p": program})

    where = machine()
    assert where.btf is not None
    for name in ("tcp_congestion_ops", "tcp_congestion_ops___mine"):
        program = resolve(implementing(name, "flags"), where).programs["p"]
        assert (where.btf.type(program.attach_btf_id).name, program.attach_member) == ("tcp_congestion_ops", 1)
    assert not resolve(implementing("tcp_congestion_ops", "of_a_later_kernel"), where).programs["p"].autoload
    with pytest.raises(NotSupportedError, match="no such struct"):
        resolve(implementing("sched_ext_ops", "init"), where)
    with pytest.raises(NotSupportedError, match="cannot implement"):
        resolve(implementing("task_struct", "init"), where)

"""Objects resolved for the embedded kernel, and what it tells of a loaded program."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from stingless._gen.uapi import MapType, ProgramType
from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction, decode, encode, exit_, jump, ld_imm64, load, mov_imm
from stingless.embedded.kernel import EmbeddedKernel
from stingless.errors import NotSupportedError, VerifierError
from stingless.obj.spec import ExternRef, ExternSpec, LineInfo, MapRef, MapSpec, ObjectSpec, ProgramSpec
from stingless.target.release import kernel_version
from tests.btf_blobs import Blob


@pytest.fixture
def kernel() -> Iterator[EmbeddedKernel]:
    with EmbeddedKernel() as k:
        yield k


def with_kfunc(weak: bool, guarded: bool) -> ObjectSpec:
    """A program that calls a kernel function, `guarded` by a test whether it is there."""
    types = Blob()
    extern = ExternSpec("bpf_put_file", ".ksyms", types.proto(types.integer("int", 4, 1)), weak, function=True)
    call = Instruction(op.JMP | op.CALL, 0, op.PSEUDO_CALL, 0, -1)
    test = [*ld_imm64(1, 0), jump(op.JEQ, 1, 0, 1)] if guarded else []
    code = encode([mov_imm(0, 2), *test, call, exit_()])
    refs = ((ExternRef(1, extern),) if guarded else ()) + (ExternRef(1 + len(test), extern),)
    btf = types.btf()
    program = ProgramSpec("p", "xdp", ProgramType.XDP, code, extern_refs=refs, btf=btf)
    return ObjectSpec({}, {"p": program}, externs={extern.name: extern}, btf=btf)


def test_functions_of_linux_are_refused_by_name(kernel: EmbeddedKernel) -> None:
    with pytest.raises(NotSupportedError, match="'bpf_put_file' of the Linux kernel"):
        kernel.resolve(with_kfunc(weak=False, guarded=True))


def test_weak_ones_are_not_there(kernel: EmbeddedKernel) -> None:
    program = kernel.resolve(with_kfunc(weak=True, guarded=True)).programs["p"]
    assert kernel.load_program(program, {}).run(bytes(64)).retval == 2
    with pytest.raises(VerifierError, match="'bpf_put_file'") as e:
        kernel.load_program(kernel.resolve(with_kfunc(weak=True, guarded=False)).programs["p"], {})
    assert "bpf_ksym_exists" in e.value.hint


def test_the_version_is_that_of_the_machine(kernel: EmbeddedKernel) -> None:
    types = Blob()
    extern = ExternSpec("LINUX_KERNEL_VERSION", ".kconfig", types.integer("int", 4, 1), size=4)
    data = MapSpec(".kconfig", MapType.ARRAY, 4, 4, 1, initial=bytes(4), frozen=True)
    code = encode([*ld_imm64(1, 0), load(op.W, 0, 1, 0), exit_()])
    program = ProgramSpec("p", "xdp", ProgramType.XDP, code, map_refs=(MapRef(0, ".kconfig", 0),))
    spec = kernel.resolve(
        ObjectSpec({".kconfig": data}, {"p": program}, externs={extern.name: extern}, btf=types.btf())
    )
    loaded = kernel.load_program(spec.programs["p"], {".kconfig": kernel.create_map(spec.maps[".kconfig"])})
    a, b, c = kernel_version()
    assert loaded.run(bytes(64)).retval == a << 16 | b << 8 | min(c, 255)


def test_info(kernel: EmbeddedKernel) -> None:
    counts = kernel.create_map(MapSpec("counts", MapType.HASH, 4, 8, 4))
    types = Blob()
    file, text = types.string("prog.c"), types.string("  return 2;")
    spec = ProgramSpec(
        "a_program_of_a_long_name",
        "xdp",
        ProgramType.XDP,
        encode([*ld_imm64(1, 0, op.PSEUDO_MAP_FD), mov_imm(0, 2), exit_()]),
        map_refs=(MapRef(0, "counts"),),
        line_info=(LineInfo(2, file, text, 7 << 10),),
        btf=types.btf(),
    )
    info = kernel.load_program(spec, {"counts": counts}).info
    assert (info.type, info.name, info.gpl_compatible) == (ProgramType.XDP, "a_program_of_a_", True)
    assert info.lines == ((2, "prog.c", 7, "return 2;"),)
    assert info.map_ids == (counts.info.id,)
    assert decode(info.translated)[-1] == exit_()
    assert info.verified_insns >= 3
    same = kernel.load_program(replace(spec, license="Proprietary"), {"counts": counts}).info
    assert (same.tag, same.gpl_compatible, same.id != info.id) == (info.tag, False, True)


def test_no_pins(kernel: EmbeddedKernel) -> None:
    spec = ProgramSpec("p", "xdp", ProgramType.XDP, encode([mov_imm(0, 2), exit_()]))
    with pytest.raises(NotSupportedError, match="pin"):
        kernel.load_program(spec, {}).pin("/sys/fs/bpf/p")

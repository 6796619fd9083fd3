"""Programs put together from functions, as clang emits them in all its ways."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stingless._gen.uapi import ProgramType
from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction, decode
from stingless.btf.types import Kind
from stingless.compile import c_to_ir, ir_to_object
from stingless.errors import ObjectError
from stingless.obj.reader import read_object
from stingless.obj.resolve import resolve
from stingless.obj.spec import ProgramSpec
from tests.object_sources import EVERYTHING, HEAD, build, everything, spec_of


def calls(program: ProgramSpec) -> list[int]:
    """Where its calls of sub-programs and addresses of functions lead."""
    code = decode(program.code)
    return [
        i + 1 + insn.imm
        for i, insn in enumerate(code)
        if (insn.opcode == op.JMP | op.CALL and insn.src == op.PSEUDO_CALL)
        or (insn.opcode == op.LD_IMM64 and insn.src == op.PSEUDO_FUNC)
    ]


def names(program: ProgramSpec) -> list[str]:
    assert program.btf is not None
    return [program.btf.type(f.type_id).name for f in program.func_info]


def test_sub_programs_and_callbacks_follow_and_are_met() -> None:
    program = everything().programs["packets"]
    assert set(calls(program)) == {f.insn for f in program.func_info[1:]}
    assert names(program)[0] == "packets" and sorted(names(program)[1:]) == ["callback", "hidden", "twice"]
    starts = [f.insn for f in program.func_info]
    ends = [*starts[1:], len(program.code) // 8]
    code = decode(program.code)
    assert all(code[end - 1] == Instruction(op.JMP | op.EXIT) for end in ends)
    lines = {line.insn for line in program.line_info}
    assert set(starts) <= lines and max(lines) < ends[-1]
    assert [line.insn for line in program.line_info] == sorted(lines)


def test_programs_of_one_section_are_told_apart() -> None:
    spec = everything()
    assert [r.map for r in spec.programs["tail"].map_refs] == ["outer", ".bss"]
    assert names(spec.programs["tail"]) == ["tail"]
    assert spec.programs["tail"].source_at(0) != spec.programs["packets"].source_at(0)


def test_hidden_functions_are_static_for_the_verifier() -> None:
    btf = everything().btf
    assert btf is not None
    linkage = {btf.type(i).name: btf.type(i).linkage for i in btf.ids(Kind.FUNC)}
    assert (linkage["hidden"], linkage["twice"], linkage["packets"]) == (0, 0, 1)


def test_core_relocations_move_with_their_functions() -> None:
    spec = everything()
    program = spec.programs["core"]
    code = decode(program.code)
    seen = [(r.access, r.kind, code[r.insn].cls) for r in program.core_relocations]
    assert sorted(access for access, _, _ in seen) == ["0:0", "0:1:0"]
    assert {kind for _, kind, _ in seen} == {0}
    sub = program.func_info[1].insn
    assert [r.access for r in program.core_relocations if r.insn >= sub] == ["0:1:0"]
    assert spec.btf is not None
    assert {spec.btf.type(r.type).name for r in program.core_relocations} == {"task"}
    assert not spec.programs["packets"].core_relocations


def test_through_the_intermediate_language_it_is_the_same() -> None:
    by_ir = read_object(ir_to_object(c_to_ir(EVERYTHING, "prog.c")))
    assert by_ir.programs == everything().programs
    assert by_ir.maps == everything().maps
    assert by_ir.externs == everything().externs


def test_big_endian_objects_have_the_same_specs() -> None:
    big = spec_of(EVERYTHING, "-target", "bpfeb")
    little = everything()
    assert (big.byteorder, little.byteorder) == ("big", "little")
    assert big.btf is not None and big.btf.order == ">"
    for name, program in little.programs.items():
        other = big.programs[name]
        assert other.map_refs == program.map_refs and other.extern_refs == program.extern_refs
        assert other.core_relocations == program.core_relocations
        if name not in ("asks", "packets"):  # which read parts of words, and strings as words
            assert other.code == program.code
    assert {n: (m.type, m.value_size, m.contents) for n, m in big.maps.items()} == {
        n: (m.type, m.value_size, m.contents) for n, m in little.maps.items()
    }
    assert big.variables["limit"].value == 7 and big.maps[".rodata"].initial != little.maps[".rodata"].initial


def test_big_endian_objects_are_not_loaded_elsewhere() -> None:
    class Nothing:
        """It is not asked."""

    other, flag = {"little": ("bpfeb", "bpfel"), "big": ("bpfel", "bpfeb")}[sys.byteorder]
    with pytest.raises(ObjectError, match=f"compile it with clang -target {flag}"):
        resolve(spec_of(EVERYTHING, "-target", other), Nothing())  # type: ignore[arg-type]


def test_objects_put_together_by_a_linker(tmp_path: Path) -> None:
    """`bpftool gen object`: static functions and variables of the same name, and data sections joined."""
    bpftool = shutil.which("bpftool")
    if bpftool is None:
        pytest.skip("bpftool is not installed")
    texts = [
        f"""
static volatile int kept = {n}; int shared{n} = {n * 10};
static __noinline int same(int a) {{ return a * kept + shared{n}; }}
SEC("xdp") int program{n}(struct xdp_md *c) {{ return same(c->rx_queue_index); }}"""
        for n in (1, 2)
    ]
    files = []
    for n, text in enumerate(texts):
        files.append(tmp_path / f"{n}.o")
        files[-1].write_bytes(build(HEAD + text))
    subprocess.run([bpftool, "gen", "object", tmp_path / "all.o", *files], check=True, capture_output=True)
    spec = read_object((tmp_path / "all.o").read_bytes())
    assert set(spec.programs) == {"program1", "program2"}
    first, second = (decode(spec.programs[n].code) for n in ("program1", "program2"))
    assert [i.opcode for i in first] == [i.opcode for i in second]
    values = {name: variable.value for name, variable in spec.variables.items()}
    assert (values["shared1"], values["shared2"]) == (10, 20)
    content = spec.maps[".data"].initial or b""
    for number, name in ((1, "program1"), (2, "program2")):
        read = [int.from_bytes(content[r.offset or 0 :][:4], "little") for r in spec.programs[name].map_refs]
        assert sorted(read) == [number, number * 10]


def test_strings_and_constants_of_sections_that_are_merged() -> None:
    text = HEAD + (
        'SEC("xdp") int f(void *ctx) { bpf_trace_printk("abc", 4); return 0; }'
        'SEC("xdp") int g(void *ctx) { bpf_trace_printk("xabc", 5); return 0; }'
    )
    spec = spec_of(text)
    for name, wanted in (("f", b"abc\0"), ("g", b"xabc\0")):
        (ref,) = spec.programs[name].map_refs
        content = spec.maps[ref.map].initial
        assert ref.map.startswith(".rodata.str") and content is not None and ref.offset is not None
        assert content[ref.offset :].startswith(wanted)


def test_functions_for_exceptions_follow() -> None:
    text = HEAD + (
        "__noinline int on_exception(u64 cookie) { return 7; }"
        '__attribute__((btf_decl_tag("exception_callback:%s"))) SEC("tc") int f(void *ctx) { return 0; }'
        'SEC("tc") int g(void *ctx) { return 0; }'
    )
    spec = spec_of(text % "on_exception")
    assert (names(spec.programs["f"]), names(spec.programs["g"])) == (["f", "on_exception"], ["g"])
    with pytest.raises(ObjectError, match="its exception callback 'nobody' is not in the object"):
        spec_of(text % "nobody")


def test_weak_functions_and_ones_without_a_section() -> None:
    text = HEAD + (
        '__weak __noinline int half(int a) { return a / 2; } SEC("xdp") int f(struct xdp_md *c) {'
        " return half(c->rx_queue_index); } int loose(void *ctx) { return 1; }"
    )
    spec = spec_of(text)
    assert list(spec.programs) == ["f"] and names(spec.programs["f"]) == ["f", "half"]
    assert spec_of(HEAD + "int loose(void *ctx) { return 1; }").programs == {}


def test_static_functions_in_sections_are_no_programs() -> None:
    text = HEAD + (
        '__attribute__((section("mine"), noinline)) static int sub(int a) { return a * 3; }'
        '__attribute__((section("mine"))) int f(struct xdp_md *c) { return sub(c->rx_queue_index); }'
        'SEC("xdp") int g(struct xdp_md *c) { return sub(c->ingress_ifindex); }'
    )
    spec = spec_of(text)
    assert {n: p.type for n, p in spec.programs.items()} == {"f": ProgramType.UNSPEC, "g": ProgramType.XDP}
    assert names(spec.programs["f"]) == ["f", "sub"] and names(spec.programs["g"]) == ["g", "sub"]


def test_recursion_is_linked_once() -> None:
    text = HEAD + (
        "__noinline int b(int a); __noinline int a(int n) { return n ? b(n - 1) + 1 : 0; }"
        "__noinline int b(int n) { return n ? a(n - 1) + 2 : 0; }"
        'SEC("xdp") int f(struct xdp_md *c) { return a(c->rx_queue_index); }'
    )
    program = spec_of(text).programs["f"]
    assert len(program.func_info) == 3
    assert set(calls(program)) == {f.insn for f in program.func_info[1:]}


@pytest.mark.parametrize(("text", "license"), [("", ""), ('char l[] SEC("license") = "Dual MIT/GPL";', "Dual MIT/GPL")])
def test_license(text: str, license: str) -> None:
    """Without one a program may use no helper for GPL programs, as with libbpf."""
    spec = spec_of(HEAD + text + 'SEC("xdp") int f(void *ctx) { return 0; }')
    assert spec.license == spec.programs["f"].license == license


def test_a_mixture_with_and_without_lines() -> None:
    """The kernel wants functions and lines of all sub-programs or of none."""
    text = HEAD + (
        '__attribute__((naked, noinline)) static int bare(void) { asm("r0 = 1; exit"); }'
        'SEC("xdp") int f(void *ctx) { return bare(); }'
    )
    program = spec_of(text).programs["f"]
    assert len(program.func_info) == 2
    assert {f.insn for f in program.func_info} <= {line.insn for line in program.line_info}
    without = spec_of(text, "-g0").programs["f"]
    assert not without.func_info and not without.line_info and without.code == program.code


def test_jump_tables_are_refused_by_name() -> None:
    cases = " ".join(f"case {i}: asm volatile('r0 = {i}' ::: 'r0'); break;".replace("'", '"') for i in range(40))
    text = HEAD + f'SEC("xdp") int f(struct xdp_md *c) {{ switch (c->rx_queue_index) {{ {cases} }} return 0; }}'
    with pytest.raises(ObjectError, match="'f' jumps by a table: compile with -fno-jump-tables"):
        spec_of(text, "-mcpu=v4", "-fjump-tables")

"""Functions and probes of the dialect: which become programs, under which names, and where their arguments are read."""

from __future__ import annotations

import struct

import pytest

from stingless._gen.uapi import ProgramType
from stingless.asm import opcodes as op
from stingless.asm.instruction import decode
from stingless.compile import compile_bcc
from stingless.compile.dialect.facts import AnotherKernel, RunningKernel
from stingless.compile.dialect.tracepoints import Field, parse_format
from stingless.embedded.kernel import EmbeddedKernel
from stingless.errors import CompileError, UnknownNameError
from stingless.obj.reader import read_object
from stingless.obj.spec import ObjectSpec
from stingless.programs import LoadedObject

FORMAT = """\
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;
\tfield:u32 number;\toffset:8;\tsize:4;\tsigned:0;
\tfield:__data_loc char[] name;\toffset:12;\tsize:4;\tsigned:0;
\tfield:char comm[16];\toffset:16;\tsize:16;\tsigned:0;
\tfield:unsigned long args[6];\toffset:32;\tsize:48;\tsigned:0;
\tfield:const char * path;\toffset:80;\tsize:8;\tsigned:0;
\tfield:short little;\toffset:88;\tsize:2;\tsigned:1;
"""


def formats(category: str, event: str) -> list[Field]:
    if (category, event) != ("lab", "hit_it"):
        raise UnknownNameError("tracepoint", f"{category}:{event}", ["lab:hit_it"])
    return parse_format(FORMAT)


def compiled(text: str, *cflags: str) -> ObjectSpec:
    return read_object(compile_bcc(text, formats, "main.c", cflags))


def context_loads(spec: ObjectSpec, name: str) -> list[tuple[int, int]]:
    """(size, offset) of the loads from the first argument, where it still is in the register that it came in."""
    sizes = {op.B: 1, op.H: 2, op.W: 4, op.DW: 8}
    code = decode(spec.programs[name].code)
    return [(sizes[i.opcode & 0x18], i.off) for i in code if i.cls == op.LDX and i.src == 1]


REGISTERS = {"di": 112, "si": 104, "dx": 96, "cx": 88, "r8": 72, "r9": 64}


@pytest.mark.skipif(RunningKernel(formats).machine != "x86_64", reason="the registers of x86-64")
def test_arguments_of_every_type_come_from_whole_registers() -> None:
    text = """
    struct thing { long a; };
    int f(struct pt_regs *ctx, const char __user *name, unsigned char c, long l, struct thing *const t, bool b,
          int (*cb)(int, void *)) { return (long)name + c + l + (long)t + b + (long)cb; }
    """
    assert context_loads(compiled(text), "f") == [(8, offset) for offset in REGISTERS.values()]


@pytest.mark.skipif(RunningKernel(formats).machine != "x86_64", reason="the registers of x86-64")
def test_of_arguments_that_are_narrower_than_registers_only_their_own_bits_count() -> None:
    text = """
    BPF_ARRAY(out, u64, 8);
    static inline void put(int at, u64 value) { out.update(&at, &value); }
    int f(struct pt_regs *ctx, unsigned char c, short s, int i, bool b, u32 u, u64 whole) {
        put(0, c); put(1, s); put(2, i); put(3, b); put(4, u); put(5, whole); return 0;
    }
    """
    registers = bytearray(168)
    for number, offset in enumerate(REGISTERS.values()):
        value = 0x8182838485868700 + number
        registers[offset : offset + 8] = value.to_bytes(8, "little")
    with EmbeddedKernel() as kernel:
        loaded = LoadedObject(kernel, compiled(text))
        loaded.program("f", ProgramType.KPROBE).run(ctx=bytes(registers))
        found = [int.from_bytes(loaded.maps["out"].lookup(struct.pack("I", i)) or b"", "little") for i in range(6)]
        loaded.close()
    signed = (1 << 64) - 1
    assert found == [0, -0x78FF & signed, -0x7A7978FE & signed, 1, 0x85868704, 0x8182838485868705]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("int f(void *ctx) { return 0; }\nstatic int g(int a) { return a; }\ninline int h(int a) { return a; }", ["f"]),
        ("int f(void *ctx);\nextern int g(void *ctx);\nint f(void *ctx) { return 0; }", ["f"]),
        (
            "int f(struct pt_regs *, int) __attribute__((aligned(8)));\nint f(struct pt_regs *c, int a) { return a; }",
            ["f"],
        ),
        ("__attribute__((noinline)) int f(void *ctx) { return 0; }", ["f"]),
        ("static noinline int g(int a) { return a; }\nint\nf\n(void *ctx)\n{ return g(1); }", ["f"]),
        ("static __always_inline int g(int a) { return a; }\nint f(void *ctx) { return g(2); }", ["f"]),
        ("typedef int (*fn)(int);\nstruct s { int (*call)(int); };\nint f(void *ctx) { return sizeof(fn); }", ["f"]),
        (
            "#ifdef A\nint f(struct pt_regs *c, int a)\n#else\nint g(struct pt_regs *c, int a)\n#endif\n{ return a; }",
            ["g"],
        ),
        ("KFUNC_PROBE(vfs_read, int a) { return a; }", ["kfunc__vmlinux__vfs_read"]),
        ("KRETFUNC_PROBE(vfs_read, int a, long ret) { return ret; }", ["kretfunc__vmlinux__vfs_read"]),
        ("MODULE_KFUNC_PROBE(nfs, nfs_open) { return 0; }", ["kfunc__nfs__nfs_open"]),
        ("MODULE_KRETFUNC_PROBE(nfs, nfs_open, int ret) { return ret; }", ["kretfunc__nfs__nfs_open"]),
        ("KMOD_RET(security_file_open, void *file, int ret) { return ret; }", ["kmod_ret__security_file_open"]),
        ("LSM_PROBE(bpf, int cmd, void *attr, unsigned int size) { return cmd; }", ["lsm__bpf"]),
        ("RAW_TRACEPOINT_PROBE(sched_switch) { return ctx->args[1]; }", ["raw_tracepoint__sched_switch"]),
        ("TRACEPOINT_PROBE(lab, hit_it) { return args->number; }", ["tracepoint__lab__hit_it"]),
        ("int any(struct tracepoint__lab__hit_it *args) { return args->number; }", ["any"]),
        (
            "#ifdef OLD\nKFUNC_PROBE(old, int a)\n#else\nKFUNC_PROBE(young, int a)\n#endif\n{ return a; }",
            ["kfunc__vmlinux__young"],
        ),
        (
            "#ifdef OLD\nKFUNC_PROBE(old, int a) {\n int b = a;\n#else\nKFUNC_PROBE(young, int a, int b) {\n#endif\n"
            "if (a) { return b; } return 0; }\nint f(struct pt_regs *c, int z) { return z; }",
            ["kfunc__vmlinux__young", "f"],
        ),
        (
            "#ifdef OLD\nint f(struct pt_regs *c, int a, int b)\n#else\nint f(struct pt_regs *c, long b)\n#endif\n"
            "{ return b; }",
            ["f"],
        ),
    ],
)
def test_programs_and_their_names(text: str, names: list[str]) -> None:
    assert list(compiled(text).programs) == names


def test_lines_keep_their_numbers_where_heads_share_a_body() -> None:
    text = (
        "#ifdef OLD\nint f(struct pt_regs *c, int a, int b)\n#else\nint f(struct pt_regs *c, long b)\n#endif\n"
        "{\n  return oops;\n}"
    )
    with pytest.raises(CompileError, match="oops") as caught:
        compiled(text)
    assert (caught.value.diagnostics[0].line, caught.value.diagnostics[0].source) == (7, "return oops;")


def test_arguments_of_trampolines_are_eight_bytes_each() -> None:
    arguments = ", ".join(f"int a{i}" for i in range(10))
    spec = compiled(f"KFUNC_PROBE(many, {arguments}, struct sock *sk) {{ return a0 + a7 + a9 + (sk != 0); }}")
    assert sorted(offset for _, offset in context_loads(spec, "kfunc__vmlinux__many")) == [0, 56, 72, 80]


def test_a_struct_by_value_takes_its_words() -> None:
    text = "struct two { u64 a, b; };\nKFUNC_PROBE(f, int a, struct two t, int z) { return t.b + z; }"
    assert sorted(offset for _, offset in context_loads(compiled(text), "kfunc__vmlinux__f")) == [16, 24]


def test_fields_of_a_tracepoint_are_where_the_kernel_has_them() -> None:
    text = "TRACEPOINT_PROBE(lab, hit_it) { return args->number + args->comm[3] + args->args[2] + args->little; }"
    assert set(context_loads(compiled(text), "tracepoint__lab__hit_it")) == {(4, 8), (1, 19), (8, 48), (2, 88)}


@pytest.mark.parametrize(("read", "relocated"), [("args->number + args->little", True), ("args->comm[3]", False)])
def test_a_record_can_be_adapted_unless_the_program_reads_an_array_of_it(read: str, relocated: bool) -> None:
    spec = compiled(f"TRACEPOINT_PROBE(lab, hit_it) {{ return {read}; }}")
    (program,) = spec.programs.values()
    assert spec.btf is not None
    names = {spec.btf.type(each.type).name for each in program.core_relocations}
    assert names == ({"tracepoint__lab__hit_it"} if relocated else set())


@pytest.mark.parametrize(
    ("statement", "helper"),
    [
        ("TP_DATA_LOC_READ_CONST(b, name, 8)", 113),
        ("TP_DATA_LOC_READ_STR(b, name, sizeof(b))", 115),
        ("if (args->data_loc_name >> 16 < 16) TP_DATA_LOC_READ(b, name)", 113),
    ],
)
def test_fields_of_variable_length(statement: str, helper: int) -> None:
    spec = compiled(f"TRACEPOINT_PROBE(lab, hit_it) {{ char b[16] = {{}}; {statement}; return b[0]; }}")
    code = decode(spec.programs["tracepoint__lab__hit_it"].code)
    assert [i.imm for i in code if i.opcode == op.JMP | op.CALL and i.src == 0] == [helper]
    assert (op.LDX | op.MEM | op.W, 12) in {(i.opcode, i.off) for i in code}


def test_a_tracepoint_that_is_not_there_is_named_where_its_record_is_used() -> None:
    with pytest.raises(UnknownNameError, match="lab:mis_hit"):
        compiled("TRACEPOINT_PROBE(lab, mis_hit) { return args->number; }")
    text = "#if 0\nTRACEPOINT_PROBE(lab, mis_hit) { return args->number; }\n#endif\nint f(void *ctx) { return 0; }"
    assert list(compiled(text).programs) == ["f"]


@pytest.mark.parametrize("release", [(4, 16, 0), (6, 1, 0)])
def test_system_calls_have_their_registers_behind_a_pointer_since_they_are_wrapped(
    release: tuple[int, int, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    from stingless.compile import compile_object

    btf = tmp_path_factory.mktemp("kernel") / "kernel.o"
    btf.write_bytes(compile_object("int x;"))
    facts = AnotherKernel(btf, release, formats, machine="x86_64")
    text = "u64 syscall__open(struct pt_regs *ctx, u64 a, u64 b, u64 c, u64 d) { return d; }"
    (program,) = read_object(compile_bcc(text, facts)).programs.values()
    helpers = [i.imm for i in decode(program.code) if i.opcode == op.JMP | op.CALL and i.src == 0]
    assert len(helpers) == (0 if release < (4, 17, 0) else 4)
    assert set(helpers) <= {4, 113}  # reads of kernel memory


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("int f(struct pt_regs *ctx, int a,\n int) { return a; }", 2, "needs a name"),
        (
            "int f(struct pt_regs *ctx, int a, int b, int c, int d, int e, int g, int h) { return a; }",
            1,
            "6 are in registers",
        ),
        ("\nKFUNC_PROBE() { return 0; }", 2, "is the form, not with 0 arguments"),
        ("MODULE_KFUNC_PROBE(nfs) { return 0; }", 1, "module, function"),
        ("RAW_TRACEPOINT_PROBE(a, b) { return 0; }", 1, "not with 2 arguments"),
        ("KFUNC_PROBE(f, struct sock *) { return 0; }", 1, "needs a name"),
    ],
)
def test_probes_that_are_not_formed_as_one(text: str, line: int, message: str) -> None:
    with pytest.raises(CompileError, match=message) as caught:
        compiled(text)
    assert caught.value.diagnostics[0].line == line

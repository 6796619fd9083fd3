"""bcc's dialect: what the front half makes of it, and what clang then makes of that."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stingless._gen.uapi import MapType
from stingless.asm import opcodes as op
from stingless.asm.instruction import decode
from stingless.compile import compile_bcc, translate_bcc
from stingless.compile.dialect.lexer import tokenize
from stingless.compile.dialect.tracepoints import Field, parse_format, struct_declaration
from stingless.errors import CompileError
from stingless.obj.reader import read_object
from stingless.obj.spec import ObjectSpec

FORMAT = """\
name: sys_enter_openat
ID: 639
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;
\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

\tfield:int __syscall_nr;\toffset:8;\tsize:4;\tsigned:1;
\tfield:int dfd;\toffset:16;\tsize:8;\tsigned:0;
\tfield:const char * filename;\toffset:24;\tsize:8;\tsigned:0;
\tfield:__data_loc char[] name;\toffset:32;\tsize:4;\tsigned:0;
\tfield:char comm[16];\toffset:36;\tsize:16;\tsigned:0;
"""


def fields(category: str, name: str) -> list[Field]:
    assert (category, name) == ("syscalls", "sys_enter_openat")
    return parse_format(FORMAT)


def compiled(text: str) -> ObjectSpec:
    return read_object(compile_bcc(text, fields))


def helpers_of(spec: ObjectSpec, name: str) -> list[int]:
    code = decode(spec.programs[name].code)
    return [i.imm for i in code if i.opcode == op.JMP | op.CALL and i.src == 0]


def test_lines_stay_where_they_are() -> None:
    text = (
        "#include <net/sock.h>\nBPF_HASH(h,\n  u32,\n  u64);\nint f(void *ctx) {\n  u32 k = 1;\n"
        "  h.lookup(\n    &k);\n  return 0;\n}\n"
    )
    body = translate_bcc(text, fields).text.partition('#line 1 "main.c"\n')[2].splitlines()
    for number, line in enumerate(text.splitlines()):
        for word in ("BPF_HASH", "u32 k", "&k", "return 0"):
            assert (word in line) == (word in body[number])


@pytest.mark.parametrize(
    ("declaration", "kind", "key", "value", "entries"),
    [
        ("BPF_HASH(t);", MapType.HASH, 8, 8, 10240),
        ("BPF_HASH(t, u32);", MapType.HASH, 4, 8, 10240),
        ("BPF_HASH(t, u32, struct pair);", MapType.HASH, 4, 12, 10240),
        ("BPF_HASH(t, u32, u16, 7);", MapType.HASH, 4, 2, 7),
        ("BPF_ARRAY(t);", MapType.ARRAY, 4, 8, 10240),
        ("BPF_ARRAY(t, u32, 3);", MapType.ARRAY, 4, 4, 3),
        ("BPF_PERCPU_ARRAY(t, u32, 3);", MapType.PERCPU_ARRAY, 4, 4, 3),
        ("BPF_PERCPU_HASH(t, u32);", MapType.PERCPU_HASH, 4, 8, 10240),
        ("BPF_LRU_HASH(t, u32, u8, 5);", MapType.LRU_HASH, 4, 1, 5),
        ("BPF_HISTOGRAM(t);", MapType.ARRAY, 4, 8, 64),
        ("BPF_HISTOGRAM(t, struct pair);", MapType.HASH, 12, 8, 64),
        ("BPF_PROG_ARRAY(t, 4);", MapType.PROG_ARRAY, 4, 4, 4),
        ("BPF_PERF_OUTPUT(t);", MapType.PERF_EVENT_ARRAY, 4, 4, 0),
        ("BPF_RINGBUF_OUTPUT(t, 8);", MapType.RINGBUF, 0, 0, 8 * 4096),
        ('BPF_TABLE("hash", u32, struct pair, t, 9);', MapType.HASH, 4, 12, 9),
        ('BPF_TABLE("percpu_array", int, u64, t, 9);', MapType.PERCPU_ARRAY, 4, 8, 9),
    ],
)
def test_tables(declaration: str, kind: MapType, key: int, value: int, entries: int) -> None:
    found = compiled(f"struct pair {{ u32 a, b, c; }};\n{declaration}").maps["t"]
    assert (found.type, found.key_size, found.value_size, found.max_entries) == (kind, key, value, entries)


METHOD_CASES = [
    ("u64 *v = h.lookup(&k); if (v) *v = 1;", [1]),
    ("h.update(&k, &k);", [2]),
    ("h.insert(&k, &k);", [2]),
    ("h.delete(&k);", [3]),
    ("u64 *v = h.lookup_or_try_init(&k, &k); if (v) *v = 1;", [1, 2, 1]),
    ("u64 *v = h.lookup_or_init(&k, &k); *v = 1;", [1, 2, 1]),
    ("h.increment(k);", [1, 2]),
    ("h.increment(k, 5);", [1, 2]),
    ("h.atomic_increment(k);", [1, 2]),
    ("e.perf_submit(ctx, &k, sizeof(k));", [25]),
    ("r.ringbuf_output(&k, sizeof(k), 0);", [130]),
    ("u64 *v = r.ringbuf_reserve(sizeof(u64)); if (v) { *v = 1; r.ringbuf_submit(v, 0); }", [131, 132]),
    ("u64 *v = r.ringbuf_reserve(sizeof(u64)); if (v) r.ringbuf_discard(v, 0);", [131, 133]),
    ("p.call(ctx, 3);", [12]),
    ('bpf_trace_printk("%d\\n", 1);', [6]),
    ("k = bpf_get_current_pid_tgid(); h.update(&k, &k);", [14, 2]),
]


@pytest.mark.parametrize(("statement", "helpers"), METHOD_CASES)
def test_methods(statement: str, helpers: list[int]) -> None:
    tables = "BPF_HASH(h); BPF_PERF_OUTPUT(e); BPF_RINGBUF_OUTPUT(r, 1); BPF_PROG_ARRAY(p, 4);"
    spec = compiled(f"{tables}\nint f(void *ctx) {{ u64 k = 7; {statement} return 0; }}")
    assert helpers_of(spec, "f") == helpers


def test_functions_get_sections_of_their_own() -> None:
    spec = compiled(
        "static int inner(int x) { return x + 1; }\n"
        "int one(void *ctx) { return inner(1); }\nint two(void *ctx) { return 2; }"
    )
    assert {p.section for p in spec.programs.values()} == {".bpf.fn.one", ".bpf.fn.two"}


def test_arguments_come_from_registers() -> None:
    spec = compiled("BPF_HASH(h);\nint f(struct pt_regs *ctx, u64 a, u64 b) { h.update(&a, &b); return 0; }")
    loads = {i.off for i in decode(spec.programs["f"].code) if i.opcode == op.LDX | op.MEM | op.DW and i.src == 1}
    by_hand = compiled("int g(struct pt_regs *ctx) { return PT_REGS_PARM1(ctx) ^ PT_REGS_PARM2(ctx); }")
    wanted = {i.off for i in decode(by_hand.programs["g"].code) if i.cls == op.LDX and i.src == 1}
    assert loads == wanted


def test_syscall_arguments_come_from_the_inner_registers() -> None:
    spec = compiled("BPF_HASH(h);\nint syscall__x(struct pt_regs *ctx, u64 a) { h.update(&a, &a); return 0; }")
    assert helpers_of(spec, "syscall__x") == [4, 2]  # a pointer into the kernel, whatever reads through it


def test_tracepoint_struct_has_the_kernels_offsets() -> None:
    declaration = struct_declaration("record", fields("syscalls", "sys_enter_openat"))
    offsets = {"__syscall_nr": 8, "dfd": 16, "filename": 24, "data_loc_name": 32, "comm": 36}
    checks = "".join(f'_Static_assert(offsetof(struct record, {n}) == {o}, "{n}");\n' for n, o in offsets.items())
    compiled(f"{declaration}\n{checks}")


def test_tracepoint_probe() -> None:
    spec = compiled("TRACEPOINT_PROBE(syscalls, sys_enter_openat) { return args->dfd; }")
    (program,) = spec.programs.values()
    assert program.name == "tracepoint__syscalls__sys_enter_openat"
    assert [i.off for i in decode(program.code) if i.cls == op.LDX] == [16]


def test_type_of_events_is_recovered() -> None:
    from stingless.bpf import event_marker

    text = """
    struct event { u32 pid; char comm[16]; };
    BPF_PERF_OUTPUT(events);
    BPF_RINGBUF_OUTPUT(ring, 1);
    int f(void *ctx) { struct event e = {}; events.perf_submit(ctx, &e, sizeof(e)); return 0; }
    int g(void *ctx) {
        struct event *e = ring.ringbuf_reserve(sizeof(struct event));
        if (e)
            ring.ringbuf_submit(e, 0);
        return 0;
    }
    """
    spec = compiled(text)
    assert spec.btf is not None
    for table in ("events", "ring"):
        found = spec.btf.resolve(event_marker(spec, table))
        assert (found.name, found.size) == ("event", 20)


def test_uapi_headers_are_there() -> None:
    compiled(
        "#include <uapi/linux/if_ether.h>\n#include <linux/ip.h>\n#include <linux/udp.h>\n"
        "#include <uapi/linux/ptrace.h>\n"
        "int f(struct xdp_md *ctx) { return ETH_P_IP + sizeof(struct iphdr); }"
    )


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("int f(void *ctx) {\n  return x;\n}", 2, "undeclared identifier 'x'"),
        ("int f(void *ctx) {\n  return 0\n}", 2, "expected ';'"),
        ("BPF_HASH(h);\nint f(void *ctx) {\n\n  h.lokup(&f);\n}", 4, "no method 'lokup'; did you mean lookup"),
        ('\nBPF_TABLE("hosh", u32, u32, t, 1);', 2, "kind 'hosh'"),
        ("\n\nBPF_HASH();", 3, "needs the table's name"),
        ("KFUNC_PROBE() { return 0; }", 1, "is the form"),
        ("TRACEPOINT_PROBE(sched_switch) { return 0; }", 1, "category, event"),
        ("LSM_PROBE(bpf, int) { return 0; }", 1, "needs a name"),
        ('#include "there_is_no.h"', 1, "no header 'there_is_no.h'"),
        ("\n#include <linux.h>", 2, "no header 'linux.h'"),
    ],
)
def test_errors_are_on_the_users_line(text: str, line: int, message: str) -> None:
    with pytest.raises(CompileError, match=message) as caught:
        compiled(text)
    first = caught.value.diagnostics[0]
    assert (first.file, first.line) == ("main.c", line)
    assert first.source == text.splitlines()[line - 1].strip()


def test_strings_and_comments_are_left_alone() -> None:
    text = (
        'BPF_HASH(h);\n/* h.nothing(1) */\nint f(void *ctx) { bpf_trace_printk("h.lookup(x) {"); return 0; } // h.oops('
    )
    assert '"h.lookup(x) {"' in translate_bcc(text, fields).text
    assert list(compiled(text).programs) == ["f"]


@given(st.text(alphabet="abfh.(){};\"'/*#\\\n ,BPF_HASH0struct", max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_text_is_tokenized_whole(text: str) -> None:
    tokens = tokenize(text)
    assert [text[t.start : t.end] for t in tokens] == [t.text for t in tokens]
    assert all(a.end <= b.start for a, b in itertools.pairwise(tokens))


@given(st.text(alphabet="abfh.(){};\"'/*#\n ,", max_size=120))
@settings(max_examples=300, deadline=None)
def test_any_text_is_translated_or_refused(text: str) -> None:
    try:
        translate_bcc("BPF_HASH(h);" + text, fields)
    except CompileError as error:
        assert error.diagnostics


@pytest.mark.parametrize(
    ("text", "license"),
    [
        ("", "GPL"),
        ("#define BPF_LICENSE Proprietary\n", "Proprietary"),
        ("#define BPF_LICENSE Dual MIT/GPL\n", "Dual MIT/GPL"),
    ],
)
def test_license(text: str, license: str) -> None:
    assert compiled(text + "int f(void *ctx) { return 0; }").programs["f"].license == license

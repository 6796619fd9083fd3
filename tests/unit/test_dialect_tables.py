"""Tables of bcc's dialect: the maps that their macros make, and what their methods do on the embedded kernel."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stingless._gen.uapi import MapType
from stingless.bcc.shared import Declared, declared, with_templates
from stingless.compile import compile_bcc
from stingless.compile.dialect.events import event_type
from stingless.compile.dialect.tables import MACROS, METHODS
from stingless.compile.toolchain import BCC_HEADERS
from stingless.embedded.kernel import EmbeddedKernel
from stingless.errors import CompileError, ObjectError
from stingless.obj.reader import read_object
from stingless.obj.spec import ObjectSpec
from tests import table_cases
from tests.table_cases import Case, returned

NO_PREALLOC, STACK_BUILD_ID = 1, 32
KEYS = "struct pair { u32 a, b, c; };"


def compiled(text: str) -> ObjectSpec:
    return read_object(compile_bcc(text, lambda _category, _event: []))


@pytest.mark.parametrize(
    "case", table_cases.METHODS + table_cases.TABLES + table_cases.TEXTS, ids=lambda case: case.name
)
def test_what_programs_see(case: Case) -> None:
    assert returned(EmbeddedKernel(), case) == case.value


DECLARATIONS = [
    # text, type, key, value, entries, flags
    ("BPF_LRU_HASH(t, u32, u8, 5);", MapType.LRU_HASH, 4, 1, 5, 0),
    ("BPF_LPM_TRIE(t);", MapType.LPM_TRIE, 8, 8, 10240, NO_PREALLOC),
    ("BPF_LPM_TRIE(t, struct pair, u32, 6);", MapType.LPM_TRIE, 12, 4, 6, NO_PREALLOC),
    ("BPF_HISTOGRAM(t, int, 7);", MapType.ARRAY, 4, 8, 7, 0),
    ("BPF_HISTOGRAM(t, s32);", MapType.ARRAY, 4, 8, 64, 0),
    ("BPF_HISTOGRAM(t, u32);", MapType.HASH, 4, 8, 64, 0),
    ("BPF_HISTOGRAM(t, struct pair, 7);", MapType.HASH, 12, 8, 7, 0),
    ("BPF_STACK_TRACE(t, 1000);", MapType.STACK_TRACE, 4, 127 * 8, 1024, 0),
    ("BPF_STACK_TRACE(t, 1024);", MapType.STACK_TRACE, 4, 127 * 8, 1024, 0),
    ("BPF_STACK_TRACE_BUILDID(t, 3);", MapType.STACK_TRACE, 4, 127 * 32, 4, STACK_BUILD_ID),
    ("BPF_PROG_ARRAY(t, 4);", MapType.PROG_ARRAY, 4, 4, 4, 0),
    ("BPF_CGROUP_ARRAY(t, 4);", MapType.CGROUP_ARRAY, 4, 4, 4, 0),
    ("BPF_PERF_ARRAY(t, 4);", MapType.PERF_EVENT_ARRAY, 4, 4, 4, 0),
    ("BPF_PERF_OUTPUT(t);", MapType.PERF_EVENT_ARRAY, 4, 4, 0, 0),
    ("BPF_RINGBUF_OUTPUT(t, 1 << 3);", MapType.RINGBUF, 0, 0, 8 * 4096, 0),
    ('BPF_ARRAY_OF_MAPS(t, "in", 3);', MapType.ARRAY_OF_MAPS, 4, 4, 3, 0),
    ('BPF_HASH_OF_MAPS(t, "in");', MapType.HASH_OF_MAPS, 4, 4, 10240, 0),
    ('BPF_HASH_OF_MAPS(t, struct pair, "in");', MapType.HASH_OF_MAPS, 12, 4, 10240, 0),
    ('BPF_HASH_OF_MAPS(t, u64, "in", 5);', MapType.HASH_OF_MAPS, 8, 4, 5, 0),
    ("BPF_QUEUE(t, struct pair, 5);", MapType.QUEUE, 0, 12, 5, 0),
    ("BPF_STACK(t, u16, 5, BPF_F_RDONLY);", MapType.STACK, 0, 2, 5, 8),
    ('BPF_QUEUESTACK("queue", t, u32, 5, 0);', MapType.QUEUE, 0, 4, 5, 0),
    ('BPF_QUEUESTACK_PUBLIC("stack", t, u32, 5, 0);', MapType.STACK, 0, 4, 5, 0),
    ('BPF_QUEUESTACK_SHARED("stack", t, u32, 5, 0);', MapType.STACK, 0, 4, 5, 0),
    ('BPF_QUEUESTACK_PINNED("queue", t, u32, 5, 0, "/x");', MapType.QUEUE, 0, 4, 5, 0),
    ('BPF_XDP_REDIRECT_MAP("cpumap", u32, t, 5);', MapType.CPUMAP, 4, 4, 5, 0),
    ("BPF_DEVMAP(t, 5);", MapType.DEVMAP, 4, 4, 5, 0),
    ("BPF_CPUMAP(t, 5);", MapType.CPUMAP, 4, 4, 5, 0),
    ("BPF_XSKMAP(t, 5);", MapType.XSKMAP, 4, 4, 5, 0),
    ('BPF_XSKMAP(t, 5, "/x");', MapType.XSKMAP, 4, 4, 5, 0),
    ("BPF_SOCKMAP(t, 5);", MapType.SOCKMAP, 4, 4, 5, 0),
    ("BPF_SOCKHASH(t);", MapType.SOCKHASH, 4, 4, 10240, 0),
    ("BPF_SOCKHASH(t, struct pair);", MapType.SOCKHASH, 12, 4, 10240, 0),
    ("BPF_SOCKHASH(t, struct pair, 9);", MapType.SOCKHASH, 12, 4, 9, 0),
    ("BPF_SK_STORAGE(t, struct pair);", MapType.SK_STORAGE, 4, 12, 0, NO_PREALLOC),
    ("BPF_INODE_STORAGE(t, u64);", MapType.INODE_STORAGE, 4, 8, 0, NO_PREALLOC),
    ("BPF_TASK_STORAGE(t, u64);", MapType.TASK_STORAGE, 4, 8, 0, NO_PREALLOC),
    ("BPF_CGROUP_STORAGE(t, u64);", MapType.CGROUP_STORAGE, 16, 8, 0, 0),
    ("BPF_PERCPU_CGROUP_STORAGE(t, u64);", MapType.PERCPU_CGROUP_STORAGE, 16, 8, 0, 0),
    ('BPF_F_TABLE("lpm_trie", u64, u64, t, 3, BPF_F_NO_PREALLOC);', MapType.LPM_TRIE, 8, 8, 3, NO_PREALLOC),
    ('BPF_TABLE_PUBLIC("hash", u32, u8, t, 3);', MapType.HASH, 4, 1, 3, 0),
    ('BPF_TABLE_SHARED("hash", u32, u8, t, 3);', MapType.HASH, 4, 1, 3, 0),
    ('BPF_TABLE_SHARED("hash", u32, u8, t, 3, BPF_F_NO_PREALLOC);', MapType.HASH, 4, 1, 3, NO_PREALLOC),
    ('BPF_TABLE_PINNED("hash", u32, u8, t, 3, "/x");', MapType.HASH, 4, 1, 3, 0),
    ('BPF_TABLE_PINNED("hash", u32, u8, t, 3, "/x", BPF_F_NO_PREALLOC);', MapType.HASH, 4, 1, 3, NO_PREALLOC),
    ("BPF_HASH(t);", MapType.HASH, 8, 8, 10240, 0),
    ("BPF_PERCPU_HASH(t);", MapType.PERCPU_HASH, 8, 8, 10240, 0),
    ("BPF_ARRAY(t);", MapType.ARRAY, 4, 8, 10240, 0),
    ("BPF_PERCPU_ARRAY(t);", MapType.PERCPU_ARRAY, 4, 8, 10240, 0),
    ('BPF_TABLE("array", int, u16, t, 3);', MapType.ARRAY, 4, 2, 3, 0),
]


@pytest.fixture(scope="module")
def all_tables() -> ObjectSpec:
    """The tables of all declarations, t0, t1, ..., in one object."""
    renamed = (re.sub(r"\bt\b", f"t{i}", declaration[0]) for i, declaration in enumerate(DECLARATIONS))
    return with_templates(compiled("\n".join([KEYS, "BPF_ARRAY(in, u32, 2);", *renamed])))


@pytest.mark.parametrize("index", range(len(DECLARATIONS)), ids=[declaration[0] for declaration in DECLARATIONS])
def test_maps(index: int, all_tables: ObjectSpec) -> None:
    found = all_tables.maps[f"t{index}"]
    asked = (found.type, found.key_size, found.value_size, found.max_entries, found.flags)
    assert asked == DECLARATIONS[index][1:]


def test_every_macro_is_tried_above() -> None:
    text = " ".join(declaration[0] for declaration in DECLARATIONS)
    assert {macro for macro in MACROS if f"{macro}(" not in text} == set()


def test_every_kind_of_a_table() -> None:
    """The kinds that the front half knows are those that the header knows."""
    from stingless.compile.dialect.tables import TABLE_KINDS

    header = (BCC_HEADERS / "tables.h").read_text()
    assert set(re.findall(r'__st_is\(kind, "(\w+)"\)', header)) == TABLE_KINDS
    names = {"prog": "PROG_ARRAY", "stacktrace": "STACK_TRACE", "histogram": "ARRAY", "extern": "HASH"}
    names |= {"perf_output": "PERF_EVENT_ARRAY", "perf_array": "PERF_EVENT_ARRAY"}
    kinds = sorted(TABLE_KINDS)
    spec = compiled("".join(f'BPF_TABLE("{kind}", int, u64, t_{kind}, 2);\n' for kind in kinds))
    found = {kind: spec.maps[f"t_{kind}"].type.name.removesuffix("_DEPRECATED") for kind in kinds}
    assert found == {kind: names.get(kind, kind.upper()) for kind in kinds}


def test_every_method_has_its_macro() -> None:
    header = (BCC_HEADERS / "table_methods.h").read_text()
    macros = set(re.findall(r"#define __st_(\w+)\(", header))
    assert set(METHODS) - macros == set()
    assert {f"{method}_as" for method, form in METHODS.items() if form.record is not None} - macros == set()


def test_an_unknown_kind_is_told() -> None:
    with pytest.raises(CompileError, match="BPF_TABLE of kind 'hush'; there are: array, array_of_maps"):
        compiled('BPF_TABLE("hush", int, int, t, 3);')


def test_an_unknown_method_is_told_by_its_line() -> None:
    with pytest.raises(CompileError, match=r"main.c:4:3: error: table 't' has no method 'looup'; did you mean lookup"):
        compiled("BPF_HASH(t);\nint f(void *ctx) {\n  u64 k = 1;\n  t.looup(&k);\n return 0; }".replace("  t.", "t."))


def test_an_unknown_method_in_a_macro_is_told() -> None:
    with pytest.raises(CompileError, match=r"main\.c:3:5: error: table 't' has no method 'gett'"):
        compiled("BPF_HASH(t);\n#define GET(k) \\\n  t.gett(k)\nint f(void *ctx) { return 0; }")


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("t.update(&k)", "t.update() has 2 arguments, not 1"),
        ("t.lookup()", "t.lookup() has 1 argument, not 0"),
        ("t.increment(k, 1, 2)", "t.increment() has 1 or 2 arguments, not 3"),
    ],
)
def test_a_wrong_number_of_arguments_is_told(call: str, told: str) -> None:
    with pytest.raises(CompileError, match=rf"main\.c:2:33: error: {re.escape(told)}"):
        compiled(f"BPF_HASH(t);\nint f(void *ctx) {{ u64 k = 1; {call}; return 0; }}")


def test_arguments_by_a_macro() -> None:
    text = "BPF_HASH(t);\n#define PUT(...) t.update(__VA_ARGS__)\nint f(void *ctx) { u64 k = 1; return PUT(&k, &k); }"
    assert [ref.map for ref in compiled(text).programs["f"].map_refs] == ["t"]


def test_tables_of_a_header(tmp_path: Path) -> None:
    (tmp_path / "counts.h").write_text(
        "BPF_HASH(counts, u32);\nstatic inline void count(u32 k) { counts.increment(k); }\n"
    )
    text = '#include "counts.h"\nint f(void *ctx) { count(1); counts.increment(2); return 0; }'
    spec = read_object(compile_bcc(text, lambda _category, _event: [], str(tmp_path / "main.c")))
    assert spec.maps["counts"].key_size == 4


def test_what_is_said_of_tables() -> None:
    spec = compiled(
        'BPF_TABLE("hash:/sys/fs/bpf/a", int, int, a, 1); BPF_TABLE_PINNED("array", int, int, b, 1, "/sys/fs/bpf/b");'
        'BPF_TABLE_PUBLIC("hash", int, int, c, 1); BPF_TABLE_SHARED("hash", int, int, d, 1);'
        'BPF_TABLE("extern", int, int, e, 1); BPF_ARRAY_OF_MAPS(f, "c", 4); BPF_HASH(g);'
    )
    assert declared(spec) == {
        "a": Declared("hash", "/sys/fs/bpf/a"),
        "b": Declared("array", "/sys/fs/bpf/b"),
        "c": Declared("hash", scope="public"),
        "d": Declared("hash", scope="shared"),
        "e": Declared("extern"),
        "f": Declared("array_of_maps", template="c"),
    }


def test_maps_of_maps_have_their_template() -> None:
    spec = with_templates(compiled('BPF_ARRAY(inner, u64, 5); BPF_HASH_OF_MAPS(outer, "inner");'))
    assert spec.maps["outer"].inner == spec.maps["inner"]


@pytest.mark.parametrize("template", ["absent", "outer"])
def test_a_template_that_is_none(template: str) -> None:
    text = f'BPF_ARRAY(inner, u64, 5); BPF_ARRAY_OF_MAPS(outer, "{template}", 2);'
    with pytest.raises(ObjectError, match=f"table 'outer' has maps like '{template}'.*there are: inner, outer"):
        with_templates(compiled(text))


# Which type of record a table has: statement, the type's name.
RECORDS = [
    ("struct data d = {}; t.perf_submit(ctx, &d, sizeof(d));", "data"),
    ("struct data d = {}; t.perf_submit(ctx, (void *)&d, sizeof(d));", "data"),
    ("struct data d = {}; t.perf_submit(ctx, (void *)(u8 *)(&d), 4);", "data"),
    ("struct data d = {}, *p = &d; t.perf_submit(ctx, p, sizeof(*p));", "data"),
    ("struct outer o = {}; t.perf_submit(ctx, &o.in, sizeof(o.in));", "data"),
    ("struct outer o = {}; t.perf_submit(ctx, &o.many[1], sizeof(o.in));", "data"),
    ("data_t d = {}; t.perf_submit(ctx, &d, sizeof(d));", "data_t"),
    ("named_t d = {}; t.perf_submit(ctx, &d, sizeof(d));", "named_t"),
    ("const struct data d = {}; t.perf_submit(ctx, (void *)&d, sizeof(d));", "data"),
    ("t.perf_submit(ctx, &((struct data){1, 2}), sizeof(struct data));", "data"),
    ("SUBMIT(t, struct data);", "data"),
    ("struct other o = {}; t.perf_submit(ctx, &o, 8); struct data d = {}; t.perf_submit(ctx, &d, 8);", "data"),
    ("struct data d = {}; t.perf_submit(ctx, &d, 8); char text[8] = {}; t.perf_submit(ctx, text, 8);", "data"),
    ("u64 n = 1; t.perf_submit(ctx, &n, sizeof(n));", "u64"),
    ("helper(ctx);", "data"),
]


@pytest.mark.parametrize(("statement", "name"), RECORDS)
def test_the_type_of_records(statement: str, name: str) -> None:
    spec = compiled(
        "struct data { u32 a, b; }; struct other { u64 a; }; struct outer { int x; struct data in, many[2]; };"
        "typedef struct data data_t; typedef struct { u32 z; } named_t; BPF_PERF_OUTPUT(t); BPF_PERF_OUTPUT(tt);\n"
        "#define SUBMIT(table, type) do { type x = {}; table.perf_submit(ctx, &x, sizeof(x)); } while (0)\n"
        "static inline void helper(void *ctx) { struct data d = {}; t.perf_submit(ctx, &d, sizeof(d)); }\n"
        f"int f(struct pt_regs *ctx) {{ {statement} u8 c = 0; tt.perf_submit(ctx, &c, 1); return 0; }}"
    )
    assert spec.btf is not None
    found = spec.btf.type(event_type(spec.btf, "t"))
    while not found.name:
        found = spec.btf.type(found.type)
    assert found.name == name


@pytest.mark.parametrize(
    "statement",
    [
        "r.ringbuf_output(&d, sizeof(d), 0);",
        "struct data *p = r.ringbuf_reserve(sizeof(*p)); if (p) { p->a = 1; r.ringbuf_submit(p, 0); }",
        "void *p = r.ringbuf_reserve(8); if (p) r.ringbuf_submit((struct data *)p, 0); r.ringbuf_output(&d, 8, 0);",
    ],
)
def test_the_type_of_ring_buffer_records(statement: str) -> None:
    spec = compiled(
        "struct data { u32 a, b; }; BPF_RINGBUF_OUTPUT(r, 1);\n"
        f"int f(struct pt_regs *ctx) {{ struct data d = {{}}; {statement} return 0; }}"
    )
    assert spec.btf is not None
    assert spec.btf.type(event_type(spec.btf, "r")).name == "data"


def test_a_record_of_no_type() -> None:
    spec = compiled("BPF_PERF_OUTPUT(t);\nint f(struct pt_regs *ctx, void *p) { t.perf_submit(ctx, p, 4); return 0; }")
    assert spec.btf is not None
    assert event_type(spec.btf, "t") == 0

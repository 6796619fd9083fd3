"""C declarations made from BTF: clang takes them, and gives every member the place that BTF says."""

from __future__ import annotations

import re

import pytest

from stingless.btf.cdecl import declarations
from stingless.btf.cdecl_asserts import static_asserts
from stingless.btf.types import Btf, Kind
from stingless.errors import CompileError, ObjectError, UnknownNameError
from tests.btf_blobs import Blob, compiled, object_of
from tests.btf_layouts import differences

BARE = ("-DBPF_NO_PRESERVE_ACCESS_INDEX",)
# Layouts that natural alignment does not give, and those that look as if it did not.
RECORDS = """
typedef unsigned char u8; typedef unsigned short u16; typedef unsigned int u32; typedef unsigned long long u64;
typedef u64 low64 __attribute__((aligned(4)));
struct plain { char a; long b; short c; };
struct packed { char a; long b; short c; } __attribute__((packed));
struct packed_bits { char a; u32 b: 5; u64 c: 40; u32 d: 9; char e; } __attribute__((packed));
struct bits { u32 a: 3; u32: 0; u32 b: 4; u8 c: 7; u8 d: 7; u64 e: 33; u64 f: 31; u64 g: 1; };
struct unnamed_bits { u16 a: 3; u16: 5; u16 b: 8; u32: 32; u32 c: 1; };
struct mixed_bits { char a; u32 b: 8; u32 c: 8; short d; u64 e: 60; char f; };
enum small { SMALL_A, SMALL_B } __attribute__((packed));
enum wide { WIDE_A = -1, WIDE_B = 0x100000000 };
enum unsigned_wide { UNSIGNED_WIDE = 0xffffffffffffffffULL };
enum large { LARGE = 0xffffffff };
enum least { LEAST = (-0x7fffffffffffffffLL - 1) };
struct enums { enum small a; enum wide b; enum small c: 1; enum large d: 20; };
struct aligned { char a; int b __attribute__((aligned(64))); char c; };
struct whole { char a; } __attribute__((aligned(32)));
struct outer { char a; struct whole b; char c; struct packed d; long e; };
struct low { int a; low64 b; int c; };
union low_union { low64 a; char b[4]; };
struct with_low { int a; union low_union b; struct low c; char d; };
union plain_union { int a; char b[5]; };
union padded_union { int a; char b[5]; } __attribute__((aligned(32)));
union packed_union { long a; char b[9]; } __attribute__((packed));
struct unions { char a; union plain_union b; char c; union padded_union d; union packed_union e; char f; };
struct flexible { int count; struct { char kind; u64 value; } __attribute__((packed)) items[]; };
struct empty { };
struct around_empty { char a; struct empty b; long c[0]; char d; };
struct page { char first; char rest __attribute__((aligned(4096))); };
struct nested { struct { union { int a; struct { char b; long c; } __attribute__((packed)); }; int d[2][3]; } e[2];
    char f; };
struct pointers {
    void (*simple)(void); int (*(*returning)(const char *const name))(long, ...); struct unknown *(*array[4])[3];
    volatile int *const *restrict twice; const struct plain *const plain; void (**handlers)(struct pointers *self);
};
typedef int (*compare_t)(const void *, const void *);
typedef struct { compare_t compare; u8 state; } sorter_t;
struct with_typedef { char a; sorter_t sorter; __int128 wide; _Bool yes; float f; double d; };
struct list { struct list *next; sorter_t *sorter; enum small kind; };
"""
NAMES = re.findall(r"^(?:struct|union) (\w+) \{", RECORDS, re.MULTILINE)


@pytest.fixture(scope="module")
def btf() -> Btf:
    uses = "".join(f"{'union' if 'union ' + n + ' {' in RECORDS else 'struct'} {n} *{n};\n" for n in NAMES)
    return compiled(f"{RECORDS}{uses}enum unsigned_wide unsigned_wide; enum least least;")


@pytest.mark.parametrize("name", NAMES)
def test_every_layout(btf: Btf, name: str) -> None:
    assert differences(btf, [name], [btf[name]]) == []


def test_all_at_once(btf: Btf) -> None:
    records = [btf[name] for name in NAMES]
    assert differences(btf, None, records) == []
    text = declarations(btf)
    assert text.startswith("#ifndef __VMLINUX_H__\n#define __VMLINUX_H__\n")
    assert text.endswith("#endif /* __VMLINUX_H__ */\n")
    object_of(text + text, "twice.c")  # the guard


def test_enumerators(btf: Btf) -> None:
    names = ["enum wide", "enum unsigned_wide", "enum large", "enum least", "enum small"]
    text = declarations(btf, names) + static_asserts(btf, names)
    object_of(text, "enums.c", BARE)
    for value in ("UNSIGNED_WIDE == 18446744073709551615ULL", "LEAST == -9223372036854775807LL - 1", "WIDE_A == -1"):
        assert f"_Static_assert({value}," in text


def test_asserts_can_fail(btf: Btf) -> None:
    text, proof = declarations(btf, ["plain"]), static_asserts(btf, ["plain"])
    assert proof.count("_Static_assert") == 4
    object_of(text + proof, "right.c")
    with pytest.raises(CompileError, match="static assertion failed"):
        object_of(text.replace("char a", "long a") + proof, "wrong.c")


def test_minimal_has_only_what_is_needed(btf: Btf) -> None:
    text = declarations(btf, ["list"])
    assert re.findall(r"^(?:struct|enum|typedef).*", text, re.MULTILINE) == [
        "typedef int (*compare_t)(const void *, const void *);",
        "typedef unsigned char u8;",
        "typedef struct {",
        "enum small {",
        "struct list {",
    ]
    pointers = declarations(btf, ["pointers"])
    assert "struct plain;" in pointers and "struct unknown;" in pointers and "struct plain {" not in pointers
    with pytest.raises(UnknownNameError, match="nearest: pointers"):
        declarations(btf, ["struct pointer"])


def test_same_names_get_numbers() -> None:
    blob = Blob()
    number = blob.integer()
    blob.record("same", 4, [("first", number, 0)])
    blob.record("same", 8, [("second", number, 32)])
    blob.record("same", 4, [("third", number, 0)], Kind.UNION)
    blob.enum("same", [("VALUE", 1), ("same_t", 2)])
    blob.enum("", [("VALUE", 3)])
    blob.add(Kind.TYPEDEF, "same_t", number)
    forward = blob.add(Kind.FWD, "same")
    pointer = blob.add(Kind.PTR, last=forward)
    blob.record("user", 16, [("a", pointer, 0), ("b", blob.add(Kind.PTR, last=3), 64)])
    btf = blob.btf()
    text = declarations(btf)
    for line in ("struct same {", "struct same___2 {", "union same___3 {", "enum same___4 {"):
        assert line in text
    for line in ("VALUE = 1", "VALUE___2 = 3", "same_t = 2", "typedef int same_t___2;", "struct same *a;"):
        assert line in text
    assert "struct same___2 *b;" in text
    object_of(text + static_asserts(btf), "same.c", BARE)


def test_members_without_a_name_of_a_type_with_one() -> None:
    """Linux 6.19 and later are compiled with -fms-extensions."""
    blob = Blob()
    number = blob.integer()
    blob.record("inner", 8, [("a", number, 0), ("b", number, 32)])
    blob.record("outer", 12, [("", 2, 0), ("c", number, 64)])
    btf = blob.btf()
    assert btf["outer"].members["b"].offset == 4
    object_of(declarations(btf) + static_asserts(btf), "ms.c", (*BARE, "-Werror"))


def test_odd_scalars() -> None:
    blob = Blob()
    for number, (name, size, encoding) in enumerate(
        [("usize", 8, 0), ("bool", 1, 4), ("i24", 3, 1), ("unsigned long", 4, 0), ("", 2, 1)]
    ):
        blob.record(f"of_{number}", size, [("x", blob.integer(name, size, encoding), 0)])
    for number, (name, size) in enumerate([("long double", 16), ("double", 8), ("double", 4), ("_Complex float", 8)]):
        blob.record(f"float_{number}", size, [("x", blob.add(Kind.FLOAT, name, size), 0)])
    blob.record("nothing", 3, [])
    blob.enum("forward", [])
    blob.add(Kind.VAR, "variable", 1, blob.words(1))
    btf = blob.btf()
    object_of(declarations(btf) + static_asserts(btf), "odd.c", BARE)
    assert declarations(btf, ["variable"]).count("extern unsigned long long variable;") == 1


def test_builtin_typedefs_are_spelled_out() -> None:
    blob = Blob()
    number = blob.integer()
    record = blob.record("__va_list_tag", 4, [("gp_offset", number, 0)])
    builtin = blob.add(Kind.TYPEDEF, "__builtin_va_list", blob.array(record, 1))
    va_list = blob.add(Kind.TYPEDEF, "va_list", builtin)
    blob.record("format", 4, [("list", va_list, 0)])
    text = declarations(blob.btf())
    assert "typedef struct __va_list_tag va_list[1];" in text and "__builtin" not in text
    object_of(text + static_asserts(blob.btf()), "va.c", BARE)


def test_functions_that_programs_may_call() -> None:
    blob = Blob()
    number = blob.integer()
    blob.add(Kind.TYPEDEF, "size", number)
    record = blob.record("task", 4, [("pid", number, 0)])
    pointer = blob.add(Kind.PTR, last=record)
    proto = blob.proto(pointer, [("task", pointer), ("size", 2), ("", 0)])
    for name in ("take_task", "helper", "size"):
        blob.add(Kind.FUNC, name, proto, vlen=1)
    take, _, clash = range(blob.next_id - 3, blob.next_id)
    for tag, target in (("bpf_kfunc", take), ("bpf_fastcall", take), ("bpf_kfunc", clash), ("other", take + 1)):
        blob.add(Kind.DECL_TAG, tag, target, b"\xff\xff\xff\xff")
    btf = blob.btf()
    text = declarations(btf)
    assert re.findall(r"^extern .*", text, re.MULTILINE) == [
        "extern struct task *take_task(struct task *task, size, ...) __weak __ksym __bpf_fastcall;"
    ]
    object_of(text, "kfunc.c")
    one = declarations(btf, ["helper"])
    assert "extern struct task *helper(struct task *task, size, ...) __weak __ksym;" in one and "take_task" not in one
    object_of(one, "helper.c")


def test_relocatable_unless_switched_off(btf: Btf) -> None:
    from stingless.btf.file import elf_section

    text = declarations(btf, ["plain"]) + "long f(struct plain *p) { return p->b; }"
    sizes = [len(elf_section(object_of(text, "f.c", flags), b".BTF.ext") or b"") for flags in ((), BARE)]
    assert sizes[0] > sizes[1]


@pytest.mark.parametrize("name", ["a b", "int", "1x", "x;", "é"])
def test_names_that_c_does_not_take(name: str) -> None:
    blob = Blob()
    number = blob.integer()
    blob.record("record", 4, [(name, number, 0)])
    blob.record(name, 4, [])
    for wanted in ("record", f"struct {name}"):
        with pytest.raises(ObjectError, match="which C does not take"):
            declarations(blob.btf(), [wanted])


def test_what_has_no_declaration() -> None:
    blob = Blob()
    number = blob.integer()
    blob.record("overlap", 8, [("a", number, 0), ("b", number, 16)])
    blob.record("short", 2, [("a", number, 0)])
    blob.record("self", 8, [("a", blob.next_id, 0)])
    blob.record("field", 8, [("a", blob.array(number, 2), 5 << 24)], flag=True)
    blob.record("wide", 8, [("a", number, 40 << 24)], flag=True)
    blob.add(Kind.DATASEC, "section", 0)
    blob.add(Kind.TYPEDEF, "loop", blob.next_id + 1)
    blob.add(Kind.PTR, last=blob.next_id - 1)
    blob.record("of_section", 0, [("a", blob.next_id - 3, 0)])
    for name in ("overlap", "short", "self", "struct field", "wide", "section", "loop", "of_section"):
        with pytest.raises(ObjectError):
            declarations(blob.btf(), [name])


def test_anonymous_records_in_great_number_end() -> None:
    blob = Blob()
    inner = blob.record("", 0, [])
    for _ in range(30):
        inner = blob.record("", 0, [("a", inner, 0), ("b", inner, 0)])
    blob.record("bomb", 0, [("x", inner, 0)])
    with pytest.raises(ObjectError, match="no end"):
        declarations(blob.btf(), ["bomb"])


def test_a_chain_of_any_length_does_not_exhaust_the_stack() -> None:
    blob = Blob()
    number = blob.integer()
    for i in range(3000):
        blob.record(f"r{i}", 4, [("x", blob.next_id + 1, 0)])
    blob.record("r3000", 4, [("x", number, 0)])
    assert declarations(blob.btf(), ["r0"]).count("struct r") == 6001
    with pytest.raises(ObjectError, match="contains itself"):
        blob.btf().align_of(blob.next_id - 3001)
    many = Blob()
    many.integer()
    for i in range(5000):
        many.add(Kind.TYPEDEF, f"t{i}", many.next_id - 1)
    assert declarations(many.btf()).count("typedef") == 5000

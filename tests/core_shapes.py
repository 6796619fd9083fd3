"""Small CO-RE questions: the object's types, the kernel's, what is asked, and what comes out."""

from __future__ import annotations

from dataclasses import dataclass

from stingless.btf.types import Btf
from stingless.compile import compile_object
from stingless.obj.elf import parse_elf

_PRELUDE = """\
#define CORE __attribute__((preserve_access_index))
#define INFO(a, kind) __builtin_preserve_field_info(a, kind)
#define TYPE(t, kind) __builtin_preserve_type_info(*(t *)0, kind)
#define ENUM(t, value, kind) __builtin_preserve_enum_value(*(t *)value, kind)
#define KEEP(v) asm volatile("" :: "r"((unsigned long)(v)))
"""
POISON = None
LOCAL_ID = -1  # that of `struct k` in the object


@dataclass(frozen=True)
class Shape:
    """`ask` is C with the pointer `p`, of type `struct s *`; `gives` the number it comes to, or (offset, bytes) of the
    adapted load."""

    name: str
    local: str
    target: str
    ask: str
    gives: int | tuple[int, int] | None

    def object(self) -> bytes:
        body = self.ask if self.ask.endswith(";") else f"KEEP({self.ask});"
        function = f'__attribute__((section("socket"))) int f(struct s *p) {{ {body} return 0; }}\n'
        return compile_object(f"{_PRELUDE}struct s;\n{self.local}\n{function}")

    def target_btf(self) -> Btf:
        return types_of(self.target)


def types_of(text: str) -> Btf:
    """The types of C declarations.  A type that only a variable or pointer uses needs one."""
    section = parse_elf(compile_object(text)).section(".BTF")
    assert section is not None
    return Btf(section.data)


def _field(name: str, local: str, target: str, ask: str, gives: int | tuple[int, int] | None) -> Shape:
    return Shape(name, f"struct s {{ {local} }} CORE;", f"struct s {{ {target} }} v;", ask, gives)


def _load(name: str, local: str, target: str, gives: tuple[int, int] | None) -> Shape:
    return _field(name, f"{local} a;", f"int pad[4]; {target} a;", "p->a", gives)


def _enum(name: str, target: str, ask: str, gives: int | None) -> Shape:
    local = (
        "enum e___mine { A = 1, B___mine = 0xffffffff, C = 3 }; enum big { BIG = 1ULL << 40 }; enum neg { NEG = -1 };"
    )
    return Shape(name, local, target, ask, gives)


def _match(name: str, local: str, target: str, gives: int) -> Shape:
    return Shape(name, f"{local}", f"{target}; t v;", "TYPE(t, 2)", gives)


_BITS = "unsigned a : 3; unsigned b : 7; int c : 12;"

SHAPES = [
    # Kinds, of a field that has moved.
    _field("offset", "int a, b;", "long pad; int b; int a;", "INFO(p->b, 0)", 8),
    _field("size", "int a;", "long a;", "INFO(p->a, 1)", 8),
    _field("size of an array", "int a[3];", "int a[5];", "INFO(p->a, 1)", 20),
    _field("exists", "int a;", "int pad; int a;", "INFO(p->a, 2)", 1),
    _field("does not exist", "int a;", "int b;", "INFO(p->a, 2)", 0),
    _field("exists as something else", "int a;", "struct { int x; } a;", "INFO(p->a, 2)", 0),
    _field("signed", "unsigned a;", "int a;", "INFO(p->a, 3)", 1),
    _field("unsigned", "int a;", "unsigned a;", "INFO(p->a, 3)", 0),
    _field("left shift", "int a;", "short a;", "INFO(p->a, 4)", 48),
    _field("right shift", "int a;", "short a;", "INFO(p->a, 5)", 48),
    _field("missing offset", "int a;", "int b;", "INFO(p->a, 0)", POISON),
    _field("missing size", "int a;", "int b;", "INFO(p->a, 1)", POISON),
    _field("missing sign", "int a;", "int b;", "INFO(p->a, 3)", POISON),
    _field("missing shift", "int a;", "int b;", "INFO(p->a, 5)", POISON),
    # Bit-fields: the unit to load, and the shifts in it.
    _field("bit-field offset", _BITS, f"long pad; {_BITS}", "INFO(p->c, 0)", 8),
    _field("bit-field size", _BITS, f"char pad; {_BITS}", "INFO(p->c, 1)", 4),
    _field("bit-field left", _BITS, _BITS, "INFO(p->c, 4)", 64 - 22),
    _field("bit-field right", _BITS, _BITS, "INFO(p->c, 5)", 64 - 12),
    _field("bit-field sign", _BITS, _BITS, "INFO(p->c, 3)", 1),
    _field("bit-field became whole", _BITS, "int pad; short c;", "INFO(p->c, 1)", 2),
    _field("whole became bit-field", "int a;", "int pad : 20; int a : 5;", "INFO(p->a, 4)", 64 - 25),
    _field(
        "bit-field across units",
        "unsigned a : 4;",
        "struct { unsigned long pad : 30; unsigned a : 4; } __attribute__((packed));",
        "INFO(p->a, 1)",
        8,
    ),
    _field(
        "bit-field across units, left",
        "unsigned a : 4;",
        "struct { unsigned long pad : 30; unsigned a : 4; } __attribute__((packed));",
        "INFO(p->a, 4)",
        64 - 34,
    ),
    # Ways to a field.
    _field("into anonymous", "int a;", "long pad; union { long x; struct { int y; int a; }; };", "INFO(p->a, 0)", 12),
    _field("out of anonymous", "union { struct { int y; int a; }; };", "long pad; int a;", "INFO(p->a, 0)", 8),
    _field("struct became union", "struct { int x, y; } a;", "union { int x, y; } a;", "INFO(p->a.y, 0)", 0),
    _field("array element", "int a[4];", "long pad; short a[4];", "INFO(p->a[3], 0)", 14),
    _field("array of arrays", "int a[4][2];", "long pad; int a[4][3];", "INFO(p->a[2][1], 0)", 8 + 28),
    _field("array of structs", "struct { int x, y; } a[4];", "struct { long x, y; } a[4];", "INFO(p->a[2].y, 0)", 40),
    _field("array too short", "int a[4];", "int a[2];", "INFO(p->a[3], 0)", POISON),
    _field("flexible array", "int n; int a[];", "long n; int a[];", "INFO(p->a[3], 0)", 20),
    _field("not flexible any more", "int n; int a[];", "long n; int a[2];", "INFO(p->a[3], 0)", POISON),
    _field("no array", "int a[4];", "int a;", "INFO(p->a[1], 0)", POISON),
    _field("root index", "int a, b;", "int pad, a, b;", "INFO(p[3].b, 0)", 44),
    # Compatible fields.
    _field("any pointers", "int *a;", "int pad[4]; void (*a)(long);", "INFO(p->a, 0)", 16),
    _field("pointer became integer", "int *a;", "long a;", "INFO(p->a, 2)", 0),
    _field("enum of another name", "enum x { X } a;", "enum y { Y } a;", "INFO(p->a, 2)", 0),
    _field("enum of another flavour", "enum x___1 { X } a;", "int pad; enum x___2 { Y } a;", "INFO(p->a, 0)", 4),
    _field("enum became 64-bit", "enum x { X } a;", "long pad; enum x { Y = 1ULL << 33 } a;", "INFO(p->a, 0)", 8),
    _field("integer became enum", "int a;", "enum x { X } a;", "INFO(p->a, 2)", 0),
    _field("elements not compatible", "int a[2];", "void *a[2];", "INFO(p->a, 2)", 0),
    _field("floats", "double a;", "int pad; float a;", "INFO(p->a, 0)", 4),
    # Flavours and candidates.
    Shape("flavour", "struct k___old { int a; } CORE;", "struct k { long pad; int a; } v;",
          "INFO(((struct k___old *)p)->a, 0)", 8),
    Shape("flavour in the kernel", "struct k { int a; } CORE;", "struct k___new { long pad; int a; } v;",
          "INFO(((struct k *)p)->a, 0)", 8),
    Shape("the one with the field", "struct k { int a; } CORE;",
          "struct k___1 { int b; } v; struct k___2 { long pad; int a; } w;", "INFO(((struct k *)p)->a, 0)", 8),
    Shape("several that agree", "struct k { int a; } CORE;",
          "struct k___1 { int b; int a; } v; struct k___2 { int c; int a; } w;", "INFO(((struct k *)p)->a, 0)", 4),
    Shape("of a typedef", "typedef struct { int x, a; } CORE k;", "typedef struct { long x, a; } k; k v;",
          "INFO(((k *)p)->a, 0)", 8),
    Shape("no such type", "struct k { int a; } CORE;", "int v;", "INFO(((struct k *)p)->a, 0)", POISON),
    Shape("another kind", "struct k { int a; } CORE;", "union k { int a; } v;", "INFO(((struct k *)p)->a, 2)", 0),
    # Loads and stores.
    _load("load, same size", "unsigned", "unsigned", (16, 4)),
    _load("load 4 of 8", "unsigned", "unsigned long", (16, 8)),
    _load("load 8 of 4", "unsigned long", "unsigned", (16, 4)),
    _load("load 4 of 2", "unsigned", "unsigned short", (16, 2)),
    _load("load 1 of 8", "unsigned char", "unsigned long", (16, 8)),
    _load("load of a pointer", "void *", "int *", (16, 8)),
    _load("load signed, same size", "int", "int", (16, 4)),
    _load("load signed of another size", "int", "long", POISON),
    _load("load, sign lost", "unsigned", "long", POISON),
    _load("load, sign only", "unsigned", "int", (16, 4)),
    _field("load of an element", "unsigned a[4];", "long pad; unsigned a[7];", "p->a[1]", (12, 4)),
    _field("store", "unsigned a;", "long pad; unsigned short a;", "p->a = 5;", (8, 2)),
    _field("store of a register", "unsigned a; unsigned long b;", "long pad; unsigned long a; unsigned long b;",
           "asm volatile(\"\" : \"+r\"(p)); unsigned r; asm volatile(\"%0 = 7\" : \"=r\"(r)); p->a = r;", (8, 8)),
    _field("load too far away", "unsigned a;", "char pad[40000]; unsigned a;", "p->a", POISON),
    # Whole types.
    Shape("local id", "struct k { int a; };", "int v;", "__builtin_btf_type_id(*(struct k *)0, 0)", LOCAL_ID),
    Shape("target id", "struct k { int a; };", "struct k { int a; } v;", "__builtin_btf_type_id(*(struct k *)0, 1)", 1),
    Shape("type exists", "struct k { int a; };", "struct k { long b; } v;", "TYPE(struct k, 0)", 1),
    Shape("type does not exist", "struct k { int a; };", "int v;", "TYPE(struct k, 0)", 0),
    Shape("type size", "struct k { int a; };", "struct k { long b[3]; } v;", "TYPE(struct k, 1)", 24),
    Shape("size of no type", "struct k { int a; };", "int v;", "TYPE(struct k, 1)", 0),
    Shape("id of no type", "struct k { int a; };", "int v;", "__builtin_btf_type_id(*(struct k *)0, 1)", 0),
    Shape("typedef exists", "typedef int k;", "typedef long k; k v;", "TYPE(k, 0)", 1),
    Shape("typedef of another kind", "typedef int k;", "typedef int *k; k v;", "TYPE(k, 0)", 0),
    Shape("function exists", "typedef int (*k)(int, void *);", "typedef long (*k)(char, int *); k v;", "TYPE(k, 0)", 0),
    Shape("function fits", "typedef int (*k)(int, void *);", "typedef long (*k)(char, void *); k v;", "TYPE(k, 0)", 1),
    Shape("fewer arguments", "typedef int (*k)(int, int);", "typedef int (*k)(int); k v;", "TYPE(k, 0)", 0),
    # Enumerators.
    _enum("enumerator exists", "enum e { A } v;", "ENUM(enum e___mine, A, 0)", 1),
    _enum("enumerator does not exist", "enum e { B } v;", "ENUM(enum e___mine, A, 0)", 0),
    _enum("enumerator's value", "enum e { X, Y, C } v;", "ENUM(enum e___mine, C, 1)", 2),
    _enum("enumerator with a flavour", "enum e { X, B = 77 } v;", "ENUM(enum e___mine, B___mine, 1)", 77),
    _enum("unsigned 32 bits", "enum e { B = 0xfffffffe } v;", "ENUM(enum e___mine, B___mine, 1)", 0xFFFFFFFE),
    _enum("64 bits", "enum big { BIG = 1ULL << 50 } v;", "ENUM(enum big, BIG, 1)", 1 << 50),
    _enum("64 bits became 32", "enum big { BIG = 9 } v;", "ENUM(enum big, BIG, 1)", 9),
    _enum("negative", "enum neg { NEG = -2 } v;", "ENUM(enum neg, NEG, 1)", (1 << 64) - 2),
    _enum("missing value", "enum e { X } v;", "ENUM(enum e___mine, A, 1)", POISON),
    _enum("no such enum", "int v;", "ENUM(enum e___mine, A, 1)", POISON),
    # TYPE_MATCHES.
    _match("match itself", "typedef struct x { int a; void *b; } t;", "typedef struct x { int a; void *b; } t", 1),
    _match("match a subset", "typedef struct x { int a; } t;", "typedef struct x { long b; int a; } t", 1),
    _match("match lacks a member", "typedef struct x { int a, b; } t;", "typedef struct x { int a, c; } t", 0),
    _match("match another size", "typedef struct x { int a; } t;", "typedef struct x { long a; } t", 0),
    _match("match another sign", "typedef int t;", "typedef unsigned t", 0),
    _match("match of another name", "typedef struct x { int a; } t;", "typedef struct y { int a; } t", 0),
    _match("match behind pointers", "struct o { int a; }; typedef struct x { struct o *a; } t;",
           "struct o { long z; }; typedef struct x { struct o *a; } t", 1),
    _match("match a forward", "struct o { int a; }; typedef struct x { struct o *a; } t;",
           "typedef struct x { struct o *a; } t", 1),
    _match("match a forward union", "struct o { int a; }; typedef struct x { struct o *a; } t;",
           "typedef struct x { union o *a; } t", 0),
    _match("match from a forward", "typedef struct x { struct o *a; } t;",
           "struct o { int a; }; typedef struct x { struct o *a; } t", 1),
    _match("match other pointers", "typedef struct x { int *a; } t;", "typedef struct x { char *a; } t", 0),
    _match("match arrays", "typedef struct x { int a[3]; } t;", "typedef struct x { int a[3]; } t", 1),
    _match("match array lengths", "typedef struct x { int a[3]; } t;", "typedef struct x { int a[4]; } t", 0),
    _match("match nested", "typedef struct x { struct { int b; } a; } t;",
           "typedef struct x { struct { int c, b; } a; } t", 1),
    _match("match functions", "typedef int (*t)(int, struct o *);", "typedef int (*t)(int, struct o *)", 1),
    _match("match arguments", "typedef int (*t)(int, struct o *);", "typedef int (*t)(long, struct o *)", 0),
    _match("match fewer arguments", "typedef int (*t)(int, int);", "typedef int (*t)(int)", 0),
    _match("match return types", "typedef int (*t)(int);", "typedef long (*t)(int)", 0),
    _match("match struct arguments", "struct o { int a; }; typedef int (*t)(struct o);",
           "struct o { int b; }; typedef int (*t)(struct o)", 1),
    _match("match enums", "enum x { A, B }; typedef enum x t;", "enum x { C, B, A }; typedef enum x t", 1),
    _match("match enum values", "enum x { A, B }; typedef enum x t;", "enum x { A }; typedef enum x t", 0),
    _match("match enum sizes", "enum x { A }; typedef enum x t;", "enum x { A, B = 1ULL << 40 }; typedef enum x t", 0),
    _match("match union and struct", "typedef struct x { int a; } t;", "typedef union x { int a; } t", 0),
    _match("match qualifiers", "typedef struct x { const volatile int a; } t;",
           "typedef int number; typedef struct x { number a; } t", 1),
    _match("match floats", "typedef struct x { double a; } t;", "typedef struct x { double a; } t", 0),
    _match("match bit-fields", "typedef struct x { int a : 3; } t;", "typedef struct x { int a : 5; } t", 1),
]  # fmt: skip

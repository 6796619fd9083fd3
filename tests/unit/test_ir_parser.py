"""The parser of LLVM's textual IR: over what clang writes, and over what it does not."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stingless.compile.driver import start_code
from stingless.compile.ir.layout import Layout
from stingless.compile.ir.model import Alloca, Arithmetic, Call, ElementPointer, Load, Return, Same, Store
from stingless.compile.ir.parser import parse
from stingless.compile.ir.reads import explicit_reads
from stingless.compile.ir.tokens import IrError
from tests.ir_cases import CASES, FUNCTION_BODY, FUNCTIONS
from tests.ir_programs import ir_of, ir_of_dialect, program

_WIDE = r"""
struct wide { char text[40]; u64 words[3]; struct { int a : 3, b : 9; } bits; } __attribute__((preserve_access_index));
struct packed { char a; int b; short c; } __attribute__((packed));
struct table { int (*type)[1]; int *key; struct wide *value; int (*max_entries)[8]; };
struct table table __attribute__((section(".maps"), used));
static const struct packed fixed = {1, 2, 3};
static long (*update)(void *, const void *, const void *, u64) = (void *)2;
static long (*print)(const char *, int, ...) = (void *)6;
static long (*each)(void *, void *, void *, u64) = (void *)164;
extern int kernel_function(struct wide *w) __attribute__((section(".ksyms")));
static long callback(void *map, int *key, struct wide *value, struct packed *own) { own->b += *key; return 0; }
__attribute__((noinline)) static long make(int n, struct packed *p) { return p->b + n; }
__attribute__((section("raw_tp"), used)) int probe(u64 *ctx)
{
	struct wide *w = (void *)ctx[0], copy = *w;
	struct packed own = fixed;
	int key = 0;
	asm volatile("%0 = %1" : "=r"(key) : "0"((int)ctx[1]));
	switch (ctx[2]) {
	case 1: key = 5; break;
	case 7: key = own.b; break;
	case 9: key = make(w->bits.b, &own); break;
	case 100: key = kernel_function(w); break;
	default: print("a \"quoted\" string; with %d\n", 30, w->words[key & 1]);
	}
	update(&table, &key, &copy, 0);
	each(&table, callback, &own, 0);
	__sync_fetch_and_add(&copy.words[1], 2);
	update(&table, &key, &copy, 0);
	for (int i = 0; i < w->bits.a; i++)
		key += copy.words[i & 1] >> i;
	return key ? own.c : __builtin_bswap32(key);
}
"""


@cache
def samples() -> tuple[str, ...]:
    bodies = [program(body) for body, _ in CASES.values()]
    return (ir_of(_WIDE), *(ir_of_dialect(text) for text in (*bodies[::4], program(FUNCTION_BODY, FUNCTIONS))))


def _without_debug_records(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("    #dbg_"))


def test_what_is_not_changed_is_written_as_it_was() -> None:
    for text in samples():
        assert parse(text).text() == _without_debug_records(text)


def test_every_instruction_that_moves_pointers_is_read() -> None:
    """The parts of an instruction, put together again, are its text."""
    count = 0
    for text in samples():
        for function in parse(text).functions:
            for i in function.body:
                if isinstance(i, str):
                    if "@llvm.lifetime." in i:
                        continue
                    first = re.sub(r"^\s*(%\S+ = )?", "", i).split(" ")[0]
                    assert first not in ("load", "store", "getelementptr", "phi", "select", "call", "tail", "alloca")
                    continue
                count += 1
                line = i.text.replace(" ", "")
                read: dict[type, Callable[[Any], list[str]]] = {
                    Load: lambda i: [i.type, f"ptr{i.pointer}"],
                    Store: lambda i: [i.type + i.value, f"ptr{i.pointer}"],
                    ElementPointer: lambda i: [i.type, f"ptr{i.pointer}", *(k + v for k, v in i.indices)],
                    Alloca: lambda i: [i.type],
                    Same: lambda i: i.values,
                    Arithmetic: lambda i: [i.opcode, i.left, i.right],
                    Return: lambda i: [i.value],
                    Call: lambda i: [i.type, i.function, *(v for _, v in i.arguments)],
                }
                parts = read[type(i)](i)
                assert all(part.replace(" ", "") in line for part in parts), i
                assert not i.name or line.startswith(f"{i.name}=")
    assert count > 250


@pytest.mark.parametrize(
    ("line", "type", "callee", "arguments"),
    [
        ("  call void @f()", "void", "@f", []),
        ("  %1 = tail call ptr @f(ptr noundef nonnull %2, i32 5) #3, !dbg !4", "ptr", "@f", ["%2", "5"]),
        ("  %1 = call i64 inttoptr (i64 14 to ptr)() #6, !dbg !210", "i64", 14, []),
        ("  %1 = call i64 (ptr, i32, ...) inttoptr (i64 6 to ptr)(ptr %5, i32 9)", "i64", 6, ["%5", "9"]),
        (
            "  %1 = call fastcc noundef range(i32 0, 5) i32 @f(ptr byval(%struct.s) align 4 %2, ptr @g)",
            "i32",
            "@f",
            ["%2", "@g"],
        ),
        ("  %1 = call { i64, i1 } @llvm.uadd.with.overflow.i64(i64 %a, i64 1)", "{ i64 , i1 }", None, ["%a", "1"]),
        ("  %1 = call %struct.s @f(ptr addrspace(1) %2)", "%struct.s", "@f", ["%2"]),
        ('  %1 = call i64 asm sideeffect "$0 = $1", "=r,0"(i64 %2) #3, !srcloc !5', "i64", "", ["%2"]),
        (
            "  call void @f(ptr getelementptr inbounds nuw (i8, ptr @t, i64 4), ptr null)",
            "void",
            "@f",
            ["getelementptr inbounds nuw ( i8 , ptr @t , i64 4 )", "null"],
        ),
    ],
)
def test_calls(line: str, type: str, callee: str | int | None, arguments: list[str]) -> None:
    [call] = parse(f"define void @x() {{\n{line}\n  ret void\n}}\n").functions[0].body[:1]
    assert isinstance(call, Call)
    assert call.type == type
    assert [value for _, value in call.arguments] == arguments
    if callee is not None:
        assert callee == (call.function if call.helper is None else call.helper)


def test_functions() -> None:
    text = 'define internal fastcc i32 @"a b"(ptr noundef %0, i32 %x) #1 section ".bpf.fn.f" !dbg !7 {\nentry:\n}\n'
    [function] = parse(text).functions
    assert (function.name, function.parameters, function.internal) == ('@"a b"', ["%0", "%x"], True)
    assert (function.section, function.debug) == (".bpf.fn.f", "!7")


@pytest.mark.parametrize(
    ("type", "size"),
    [
        *(("i1", 1), ("i8", 1), ("i16", 2), ("i24", 3), ("i32", 4), ("i64", 8), ("i128", 16), ("ptr", 8)),
        *(("[3 x i32]", 12), ("<2 x i32>", 8), ("{ i8, i64 }", 16), ("<{ i8, i64 }>", 9), ("%struct.s", 24)),
        *(("[2 x { i32, i8 }]", 16), ("[0 x i8]", 0)),
    ],
)
def test_sizes(type: str, size: int) -> None:
    assert Layout("%struct.s = type { i32, [2 x ptr] }").size(type) == size


def test_a_type_without_a_size() -> None:
    with pytest.raises(IrError, match="opaque"):
        Layout("%struct.s = type opaque").size("%struct.s")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("define i32 @f(ptr %0) {\n  ret i32 0\n", "does not end"),
        ("define i32 f {\n}\n", "not a definition"),
        ("define void @f() {\n  %1 = load i32\n}\n", "cut short"),
        ("define void @f() {\n  %1 = load i32, ptr\n}\n", "missing"),
        ("define void @f() {\n  call void %x\n}\n", "a call of nothing"),
        ('define void @f() {\n  %1 = load i32, ptr @"a\n}\n', "does not end"),
        ("define void @f() {\n  %1 = load [2 x i32, ptr %2\n}\n", "not closed"),
    ],
)
def test_what_clang_does_not_write(text: str, message: str) -> None:
    with pytest.raises(IrError, match=message):
        parse(text)


_WORDS = 'ptr i32 %1 @f null , ( ) [ ] { } < > = load store call phi select to inttoptr asm "x" !dbg !1 x 4 i8 -1'
_TOKENS = st.sampled_from(_WORDS.split())


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_text_is_read_or_refused(data: st.DataObject) -> None:
    lines = samples()[data.draw(st.integers(0, len(samples()) - 1))].splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        words = lines[at].split(" ")
        where = data.draw(st.integers(0, len(words)))
        match data.draw(st.sampled_from(("cut", "drop", "add", "remove line", "swap"))):
            case "cut":
                lines[at] = lines[at][: data.draw(st.integers(0, len(lines[at])))]
            case "drop":
                lines[at] = " ".join(words[:where] + words[where + 1 :])
            case "add":
                lines[at] = " ".join([*words[:where], data.draw(_TOKENS), *words[where:]])
            case "remove line":
                lines[at] = ""
            case "swap":
                other = data.draw(st.integers(0, len(lines) - 1))
                lines[at], lines[other] = lines[other], lines[at]
    try:
        explicit_reads("\n".join(lines))
    except IrError as error:
        assert str(error)


@settings(max_examples=300, deadline=None)
@given(st.lists(_TOKENS, max_size=12), st.text(max_size=20))
def test_any_tokens_are_read_or_refused(tokens: list[str], text: str) -> None:
    for line in (" ".join(tokens), f"%1 = {' '.join(tokens)}", text):
        try:
            explicit_reads(f"define i32 @f(ptr %0) {{\n  {line}\n}}\n")
        except IrError as error:
            assert str(error)


def test_what_is_rewritten_is_ir_again() -> None:
    for text in samples():
        changed = explicit_reads(text)
        assert changed != _without_debug_records(text)
        assert start_code("main.c", "").output(changed.encode()).startswith(b"\x7fELF")

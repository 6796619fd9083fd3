"""The part of vmlinux.h that a program gets: as good as the whole, and small."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from stingless.compile import compile_file, compile_text, driver
from stingless.compile.narrow import narrowed, program_text
from stingless.compile.vmlinux import header
from stingless.errors import CompileError
from stingless.obj.elf import parse_elf

KERNEL = """\
typedef unsigned int u32;
typedef u32 pid_type;
typedef struct { int counter; } atomic;
enum color { RED, GREEN = 5 };
typedef int (*callback)(struct only_pointed *, enum color);
struct only_pointed { int inner; };
struct far { struct only_pointed *down; };
struct near { struct far *far; u32 number; };
union both { int a; struct near b; };
struct task {
    pid_type pid;
    atomic uses;
    callback call;
    struct near near;
    union both *both;
    struct unrelated *unrelated;
    struct { enum color color; struct far *nested; } deep;
};
struct unrelated { int nothing[10]; };
struct packed { char a; long b; } __attribute__((packed));
struct task a; union both b; struct far c; struct only_pointed d; struct unrelated e; struct packed f; callback g;
enum color h = GREEN; enum { LOOSE = 7 } i = LOOSE;
"""
PROGRAM = '#include "vmlinux.h"\n#include <bpf/bpf_helpers.h>\n#include <bpf/bpf_core_read.h>\n'


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STINGLESS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    """A BTF file with those types."""
    file = tmp_path / "kernel.btf"
    data = compile_text(KERNEL)
    file.write_bytes(next(s.data for s in parse_elf(data).sections if s.name == ".BTF"))
    return file


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    found: list[Sequence[str]] = []

    class Counted(driver.Run):
        def __init__(self, arguments: Sequence[str], *words: Any) -> None:
            found.append(arguments)
            super().__init__(arguments, *words)

    monkeypatch.setattr(driver, "Run", Counted)
    return found


def code(data: bytes) -> list[bytes]:
    return [section.data for section in parse_elf(data).sections if section.is_code and section.data]


@pytest.mark.parametrize(
    "use",
    [
        "int f(struct task *t) { return t->pid + t->uses.counter; }",
        "int f(struct task *t) { return t->near.far->down->inner; }",
        "int f(struct task *t) { return BPF_CORE_READ(t, deep.nested, down, inner); }",
        "int f(struct task *t) { return t->both->b.number; }",
        "int f(struct task *t) { return t->call(t->near.far->down, t->deep.color); }",
        "int f(void) { return RED + GREEN + LOOSE; }",
        "long f(struct packed *p) { return p->b + sizeof(union both) + sizeof(atomic); }",
        "int f(void) { return sizeof(struct task) + bpf_core_type_size(struct unrelated); }",
        "struct task___old { u32 pid; } __attribute__((preserve_access_index));\n"
        "int f(struct task___old *t) { return t->pid; }",
    ],
)
def test_the_part_compiles_to_the_same(kernel: Path, use: str, runs: list[Sequence[str]], tmp_path: Path) -> None:
    text = PROGRAM + use
    part = compile_text(text, btf=kernel)
    assert len(runs) == 1
    whole = tmp_path / "whole"
    whole.mkdir()
    (whole / "vmlinux.h").write_bytes(header(kernel))
    full = compile_text(text, cflags=[f"-I{whole}"])
    assert code(part) == code(full) != []


def test_what_no_one_means_is_left_out(kernel: Path) -> None:
    whole = header(kernel)
    part = narrowed(whole, "int f(struct task *t) { return t->pid; }").decode()
    assert "int nothing[10]" in whole.decode() and "int nothing[10]" not in part
    assert "struct unrelated;" in part
    assert "union both {" not in part and "struct near {" in part
    assert part.count("#ifndef") == part.count("#endif") > 0


def test_names_that_macros_paste_together(kernel: Path, runs: list[Sequence[str]]) -> None:
    """Missed at first, then there."""
    text = PROGRAM + "#define S(a) struct a##_pointed\nint f(S(only) *p) { return p->inner; }\n"
    assert compile_text(text, btf=kernel)
    assert len(runs) == 2


def test_errors_speak_of_the_whole(kernel: Path) -> None:
    text = PROGRAM + "#define S(a) struct a##_pointed\nint f(S(only) *p) { return p->inner + nowhere; }\n"
    with pytest.raises(CompileError) as caught:
        compile_text(text, btf=kernel)
    assert [d.message for d in caught.value.diagnostics] == ["use of undeclared identifier 'nowhere'"]


def test_an_error_in_the_header_is_named_so(kernel: Path) -> None:
    """The user's macro spoils it."""
    with pytest.raises(CompileError) as caught:
        compile_text("#define number 3\n" + PROGRAM + "int f(struct near *p) { return 0; }", btf=kernel)
    assert caught.value.diagnostics[0].file == "vmlinux.h"


def test_headers_of_the_user_are_read_too(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "mine.h").write_text('#include "sub/deep.h"\nstruct mine;\n')
    (tmp_path / "sub/deep.h").write_text('#include "beside.h"\n# include <linux/types.h>\nstruct deep;\n')
    (tmp_path / "sub/beside.h").write_text('#include "../mine.h"\nstruct beside;\n')
    found = program_text(str(tmp_path / "prog.c"), '#include "mine.h"\nint own;\n', [tmp_path])
    assert all(word in found for word in ("int own;", "struct mine;", "struct deep;", "struct beside;"))


def test_with_headers_of_the_user(kernel: Path, tmp_path: Path, runs: list[Sequence[str]]) -> None:
    (tmp_path / "mine.h").write_text('#include "vmlinux.h"\nstatic int get(struct far *p) { return p->down->inner; }\n')
    program = tmp_path / "prog.bpf.c"
    program.write_text('#include "vmlinux.h"\n#include "mine.h"\nint f(struct far *p) { return get(p); }\n')
    assert compile_file(program, btf=kernel)
    assert len(runs) == 1

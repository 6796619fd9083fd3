"""Minimal BTF: relocating against it gives the code that relocating against all of it gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from stingless.btf.core import Relocator
from stingless.btf.minimal import minimal_btf
from stingless.btf.types import Btf, Kind
from stingless.cli import main
from stingless.obj.reader import read_object
from tests.core_shapes import SHAPES, Shape


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_same_code(shape: Shape) -> None:
    spec, target = read_object(shape.object()), shape.target_btf()
    assert spec.btf is not None
    small = Btf(minimal_btf([spec], target))
    for program in spec.programs.values():
        assert program.core_relocations
        mine, whole = Relocator(spec.btf, small).relocate(program), Relocator(spec.btf, target).relocate(program)
        assert mine.code == whole.code
        assert [p.insn for p in mine.poisons] == [p.insn for p in whole.poisons]


def test_only_what_is_needed_is_in_it() -> None:
    shape = Shape(
        "",
        "struct other; struct k { int b; struct { int c; }; struct other *p; enum e { X } e; } CORE;",
        """struct other { long much; };
           struct k { long a; int b; union { struct { int z, c; }; long y; }; struct other *p;
                      enum e { X, Y } e; int f; };
           struct unused { int a; } v; struct k w;""",
        "INFO(((struct k *)p)->b, 0) + INFO(((struct k *)p)->c, 0) + INFO(((struct k *)p)->p, 0)"
        " + INFO(((struct k *)p)->e, 0) + __builtin_preserve_enum_value(*(enum e *)X, 0)",
        0,
    )
    target = shape.target_btf()
    small = Btf(minimal_btf([read_object(shape.object())], target))
    assert small["k"].size == target["k"].size
    assert small["k"].members.names() == ["b", "c", "p", "e"]
    assert [small["k"].members[n].offset for n in "bcpe"] == [target["k"].members[n].offset for n in "bcpe"]
    assert [name for name, _ in small["enum e"].values] == ["X"]
    assert "unused" not in small
    assert "other" not in small
    assert sorted(t.kind for t in small) == [Kind.INT, Kind.PTR, Kind.STRUCT, Kind.STRUCT, Kind.UNION, Kind.ENUM]


def test_an_empty_array_does_not_become_the_last_member() -> None:
    local = "struct s { int n; int a[]; } CORE;"
    shape = Shape("", local, "struct s { int n; int a[0]; int b; } v;", "INFO(p->a, 2) + INFO(p->a[3], 2)", 0)
    spec, target = read_object(shape.object()), shape.target_btf()
    assert spec.btf is not None
    small = Btf(minimal_btf([spec], target))
    assert "a" in small["s"].members.names()
    (program,) = spec.programs.values()
    assert Relocator(spec.btf, small).relocate(program).code == Relocator(spec.btf, target).relocate(program).code


def test_an_object_without_relocations_needs_nothing() -> None:
    shape = Shape("", "", "int v;", "1", 1)
    assert len(Btf(minimal_btf([read_object(shape.object())], shape.target_btf()))) == 1


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shape = SHAPES[0]
    (tmp_path / "a.o").write_bytes(shape.object())
    target = shape.target_btf()
    (tmp_path / "kernel.btf").write_bytes(target.data)
    words = ["btf", "minimal", "-o", str(tmp_path / "out.btf"), "--btf", str(tmp_path / "kernel.btf")]
    assert main([*words, str(tmp_path / "a.o")]) == 0
    made = (tmp_path / "out.btf").read_bytes()
    assert made == minimal_btf([read_object(shape.object())], target)
    assert f"{len(made)} of {len(target.data)} bytes" in capsys.readouterr().out
    assert main([*words, str(tmp_path / "missing.o")]) == 1
    assert "missing.o" in capsys.readouterr().err

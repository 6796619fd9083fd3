"""`stingless build`."""

from __future__ import annotations

from pathlib import Path

import pytest

from stingless.cli import main
from stingless.obj.reader import read_object

PROGRAM = """\
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "mine.h"
SEC("xdp") int passes(struct xdp_md *ctx) { return WANTED; }
char LICENSE[] SEC("license") = "GPL";
"""


@pytest.fixture(autouse=True)
def uncached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STINGLESS_CACHE", "")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    (tmp_path / "include").mkdir()
    (tmp_path / "include/mine.h").write_text("#ifndef WANTED\n#define WANTED XDP_PASS\n#endif\n")
    file = tmp_path / "prog.bpf.c"
    file.write_text(PROGRAM)
    return file


def instructions(file: Path) -> bytes:
    return read_object(file.read_bytes()).programs["passes"].code


def test_beside_the_program(program: Path) -> None:
    assert main(["build", str(program), "-I", "include"]) == 0
    passes = instructions(program.with_name("prog.bpf.o"))
    assert main(["build", "prog.bpf.c", "-Iinclude", "-D", "WANTED=XDP_DROP", "-o", "other.o"]) == 0
    assert instructions(Path("other.o")) != passes
    assert not [f for f in Path().iterdir() if f.name.startswith(".")]


def test_where_asked(program: Path) -> None:
    assert main(["build", str(program), "-Iinclude", "-o", "/dev/null"]) == 0
    assert main(["build", "prog.bpf.c", "-Iinclude", "--cflag=-mcpu=v1", "-o", "v1.o"]) == 0
    assert instructions(Path("v1.o"))


def test_errors_are_shown(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("include/mine.h").write_text("int broken = ;\n")
    program.write_text(PROGRAM.replace("WANTED", "nowhere"))
    assert main(["build", "prog.bpf.c", "-Iinclude"]) == 1
    shown = capsys.readouterr().err
    assert "include/mine.h:1:14: error: expected expression\n    int broken = ;\n" in shown
    assert "prog.bpf.c:4:52: error: use of undeclared identifier 'nowhere'\n    SEC(" in shown
    assert not Path("prog.bpf.o").exists()


def test_an_object_is_left_alone_by_a_failure(program: Path) -> None:
    Path("prog.bpf.o").write_bytes(b"old")
    assert main(["build", "prog.bpf.c"]) == 1
    assert Path("prog.bpf.o").read_bytes() == b"old"


def test_warnings_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    Path("prog.bpf.c").write_text("int f(void) { int x; return x; }\n")
    assert main(["build", "prog.bpf.c"]) == 0
    assert "prog.bpf.c:1:29: warning: variable 'x' is uninitialized" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["nothing.bpf.c"], 2, "cannot read nothing.bpf.c: No such file"),
        (["."], 2, "cannot read .: Is a directory"),
        (["ok.c", "-o", "no/where.o"], 2, "cannot write no/where.o: No such file"),
        (["ok.c", "-o", "ok.c"], 2, "give the object a name with -o"),
        (["ok.c", "--btf", "no.btf"], 2, "cannot read no.btf"),
        (["kernel.c", "--btf", "ok.c"], 1, "ok.c: not BTF"),
    ],
)
def test_what_cannot_be(words: list[str], status: int, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("ok.c").write_text("int f(void) { return 0; }\n")
    Path("kernel.c").write_text('#include "vmlinux.h"\n')
    assert main(["build", *words]) == status
    assert told in capsys.readouterr().err


def test_a_missing_flag_is_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["build"])
    assert ended.value.code == 2
    assert "usage: stingless build" in capsys.readouterr().err

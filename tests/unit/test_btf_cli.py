"""`stingless btf`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stingless.cli.btf import main
from tests.btf_blobs import Blob, compiled, object_of

TEXT = """
enum color { RED, BLUE = 5 };
struct inner { char letter; };
struct shown {
    char a;
    struct inner *pointer;
    union { int b; struct { short low, high; } halves[1]; };
    unsigned c: 3, : 5, d: 24;
    enum color color;
    char end;
} shown;
typedef struct { int x; } pair_t;
pair_t pair;
int function(struct shown *s) { return s->b; }
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "types.o"
    path.write_bytes(object_of(TEXT, "types.c"))
    return path


def output(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    assert main([str(word) for word in words]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def squeezed(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_show(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert squeezed(output(capsys, "show", "--btf", file, "struct shown", "pair_t", "function", "color")) == [
        "struct shown {",
        "char a; /* 0 1 */",
        "/* 7 bytes unused */",
        "struct inner *pointer; /* 8 8 */",
        "union {",
        "int b; /* 16 4 */",
        "struct {",
        "short low; /* 16 2 */",
        "short high; /* 18 2 */",
        "} halves[1]; /* 16 4 */",
        "}; /* 16 4 */",
        "unsigned int c:3; /* 20:0 :3 */",
        "/* 5 bits unused */",
        "unsigned int d:24; /* 21:0 :24 */",
        "enum color color; /* 24 4 */",
        "char end; /* 28 1 */",
        "/* 3 bytes unused at the end */",
        "}; /* 32 bytes */",
        "",
        "typedef struct {",
        "int x; /* 0 4 */",
        "} pair_t; /* 4 bytes */",
        "",
        "int function(struct shown *s);",
        "",
        "enum color {",
        "RED = 0,",
        "BLUE = 5,",
        "}; /* 4 bytes */",
    ]


def test_show_all_of_a_name(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, "show", "--btf", file, "shown")
    assert "struct shown {" in text and "struct shown shown; /* 32 bytes */" in text


def test_c(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    some = output(capsys, "c", "--btf", file, "struct shown")
    assert "struct inner;" in some and "pair_t" not in some and "__VMLINUX_H__" not in some
    whole = output(capsys, "c", "--btf", file, "--asserts")
    assert whole.startswith("#ifndef __VMLINUX_H__") and "_Static_assert(sizeof(struct shown) == 32" in whole
    again = compiled(whole + "struct shown shown;")
    assert again["struct shown"].members["d"].bit_offset == 168
    raw = tmp_path / "raw"
    raw.write_bytes(compiled(TEXT).data)
    assert output(capsys, "c", "--btf", raw, "--asserts") == whole


def test_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = compiled(TEXT)
    module = Blob(base=base)
    module.record("own", 32, [("base", base["struct shown"].id, 0)])
    (tmp_path / "base").write_bytes(base.data)
    (tmp_path / "module").write_bytes(module.bytes())
    text = output(capsys, "show", "--btf", tmp_path / "module", "--base", tmp_path / "base", "own")
    assert "struct shown base;" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["show", "struct shwn"], "no struct in BTF named 'shwn'; the nearest: shown"),
        (["c", "nothing_like_it"], "no type in BTF named 'nothing_like_it'"),
        (["c", "--btf", "/dev/null"], "shorter than its header"),
        (["show", "--btf", "/etc/passwd", "x"], "not BTF"),
        (["show", "--btf", "/none", "x"], "No such file or directory: '/none'"),
    ],
)
def test_errors(file: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = words if "--btf" in words else [*words, "--btf", str(file)]
    assert main(words) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("stingless btf: ") and message in captured.err and captured.err.count("\n") == 1
    assert captured.out == ""


def test_wrong_usage() -> None:
    for words in ([], ["cc"], ["show"]):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 2


def test_a_reader_that_has_enough(file: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    words = [sys.executable, "-m", "stingless", "btf", "c", "--btf", str(file)]
    done = subprocess.run(words, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")

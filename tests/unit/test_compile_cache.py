"""Objects of plain C are kept until something changes that made them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from stingless.compile import compile_file, compile_program, compile_text, driver
from stingless.compile.cache import Kept, program_key
from stingless.errors import CompileError

TEXT = '#include "mine.h"\nint f(void) { return ANSWER; }\n'


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cache"
    monkeypatch.setenv("STINGLESS_CACHE", str(path))
    return path


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """The commands that clang was given."""
    found: list[Sequence[str]] = []

    class Counted(driver.Run):
        def __init__(self, arguments: Sequence[str], *words: Any) -> None:
            found.append(arguments)
            super().__init__(arguments, *words)

    monkeypatch.setattr(driver, "Run", Counted)
    return found


@pytest.fixture
def program(tmp_path: Path, directory: Path) -> Path:
    (tmp_path / "mine.h").write_text("#define ANSWER 1\n")
    file = tmp_path / "prog.bpf.c"
    file.write_text(TEXT)
    return file


def test_twice_is_one_compilation(program: Path, runs: list[Sequence[str]]) -> None:
    assert compile_file(program) == compile_file(program)
    assert compile_text(TEXT, str(program)) == compile_text(TEXT, str(program))
    assert len(runs) == 2


def test_a_changed_header_recompiles(program: Path, runs: list[Sequence[str]]) -> None:
    first = compile_file(program)
    program.with_name("mine.h").write_text("#define ANSWER 2\n")
    assert compile_file(program) != first
    program.with_name("mine.h").write_text("#define ANSWER 1\n")
    assert compile_file(program) == first
    assert len(runs) == 3


def test_a_touched_header_does_not(program: Path, runs: list[Sequence[str]]) -> None:
    compile_file(program)
    program.with_name("mine.h").write_text("#define ANSWER 1\n")
    compile_file(program)
    assert len(runs) == 1


def test_a_removed_header_is_missed(program: Path) -> None:
    compile_file(program)
    program.with_name("mine.h").unlink()
    with pytest.raises(CompileError):
        compile_file(program)


@pytest.mark.parametrize("header", ["linux/types.h", "vmlinux.h", "bpf/bpf_helpers.h", "below.h"])
def test_a_header_that_comes_before_another_recompiles(program: Path, header: str, runs: list[Sequence[str]]) -> None:
    """clang would now find this one first."""
    late = program.parent / "late"
    late.mkdir()
    (late / "below.h").write_text("")
    (late / "vmlinux.h").write_text("typedef int u32;\n")
    early = program.parent / "early"
    early.mkdir()
    program.write_text(f"#include <{header}>\nint f(void) {{ return 0; }}\n")
    flags = [f"-I{early}", f"-I{late}"]
    compile_file(program, flags)
    (early / header).parent.mkdir(exist_ok=True)
    (early / header).write_text("#error found\n")
    with pytest.raises(CompileError, match="found"):
        compile_file(program, flags)


def test_errors_are_not_kept(program: Path, runs: list[Sequence[str]]) -> None:
    program.write_text("int f(void) { return nowhere; }\n")
    for _ in range(2):
        with pytest.raises(CompileError):
            compile_file(program)
    assert len(runs) == 2


def test_warnings_are_kept(program: Path, runs: list[Sequence[str]]) -> None:
    program.write_text("int f(void) { int x; return x; }\n")
    first, second = compile_program(program), compile_program(program)
    assert first == second and first.warnings
    assert len(runs) == 1


def test_a_spoilt_entry_is_made_anew(program: Path, directory: Path, runs: list[Sequence[str]]) -> None:
    first = compile_file(program)
    (entry,) = (file for file in directory.iterdir() if file.is_file())
    entry.write_bytes(entry.read_bytes()[:-1])
    assert compile_file(program) == first
    assert len(runs) == 2


def test_a_file_that_changes_meanwhile_is_not_kept(tmp_path: Path) -> None:
    header = tmp_path / "a.h"
    header.write_text("")
    now = header.stat().st_mtime_ns
    rules = f"object: {header}\n"
    assert Kept.made(b"", (), rules, [], now + 1).lasting
    assert not Kept.made(b"", (), rules, [], now).lasting
    assert not Kept.made(b"", (), f"object: {tmp_path}/gone.h\n", [], now + 1).lasting


@pytest.mark.parametrize("flags", [["-MF", "elsewhere"], ["@flags"]])
def test_flags_that_hide_what_is_taken_in(
    program: Path, flags: list[str], runs: list[Sequence[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(program.parent)
    Path("flags").write_text("-DX")
    compile_file(program, flags)
    compile_file(program, flags)
    assert len(runs) == 2


def test_names_in_rules(tmp_path: Path) -> None:
    """Names as clang escapes them for make."""
    names = ["with blank.h", "with$dollar.h", "with#hash.h", "plain.h"]
    for name in names:
        (tmp_path / name).write_text(f"// {name}\n")
    program = tmp_path / "prog.c"
    program.write_text("".join(f'#include "{name}"\n' for name in names))
    rules = tmp_path / "rules"
    compile_file(program, ["-MF", str(rules)])
    kept = Kept.made(b"", (), rules.read_text(), [], 1 << 62)
    assert kept.lasting
    assert {Path(f).name for f in kept.files} == {*names, "prog.c"}


def test_what_is_written_is_read() -> None:
    kept = Kept(b"data\n\0", (), {"a": "b"}, ("c",))
    assert Kept.read(kept.written()) == kept
    for content in (None, b"", b"no json\ndata", b"[1, 2]\n", b'{"a": 1}\n'):
        assert Kept.read(content) is None


def test_keys_differ_by_all_that_matters(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def key(**changed: Any) -> str:
        known = {"text": b"t", "name": "n", "on_disk": True, "cflags": ["-DX"], "kernel": "k"}
        return program_key(**{**known, **changed})

    keys = [
        key(),
        key(text=b"u"),
        key(name="m"),
        key(on_disk=False),
        key(cflags=[]),
        key(cflags=["-DX", "-DY"]),
        key(kernel="l"),
    ]
    monkeypatch.setenv("CPATH", "/elsewhere")
    keys.append(key())
    monkeypatch.delenv("CPATH")
    monkeypatch.chdir(tmp_path)
    keys.append(key())
    assert len(set(keys)) == len(keys)
    assert key() == keys[-1]

"""What commands print and write: to readers that go away, full devices and links."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from stingless.cli import main, output

COMMANDS = (["--help"], ["--version"], ["btf", "show", "--btf", "types.o", "event"])
PROGRAM = "struct event { int pid; } event;\n"


@pytest.fixture(autouse=True)
def types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("types.c").write_text(PROGRAM)
    assert main(["build", "types.c"]) == 0


@pytest.mark.parametrize("words", COMMANDS)
def test_a_full_device(words: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([sys.executable, "-m", "stingless", *words], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr == b"stingless: cannot write to standard output: No space left on device\n"


@pytest.mark.parametrize("words", COMMANDS)
def test_a_reader_that_goes_away(words: list[str]) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "stingless", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as command:
        assert command.stdout is not None
        assert command.stderr is not None
        command.stdout.close()
        assert command.stderr.read() == b""
    assert command.returncode == 0


def test_an_object_through_a_link() -> None:
    """As /dev/stdout is one: replacing it would take it from all."""
    Path("file").write_bytes(b"old")
    Path("link").symlink_to("file")
    assert main(["build", "types.c", "-o", "link"]) == 0
    assert Path("link").is_symlink()
    assert Path("file").read_bytes() == Path("types.o").read_bytes()


def test_a_file_is_written_in_one_step_and_errors_name_it() -> None:
    output.write(Path("whole"), b"text")
    assert Path("whole").read_bytes() == b"text"
    for path in ("/dev/full", "no/where", "."):
        with pytest.raises(OSError, match=f"'{path}'"):
            output.write(Path(path), b"text")
    assert sorted(p.name for p in Path().iterdir()) == ["types.c", "types.o", "whole"]


def test_a_base_without_btf(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["btf", "c", "--base", "types.o"])
    assert ended.value.code == 2
    assert "give --btf too" in capsys.readouterr().err


def test_what_is_no_compiler(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from stingless.compile.toolchain import find_compiler

    monkeypatch.setenv("STINGLESS_CACHE", "")
    for name, told in (("/nowhere/clang", "STINGLESS_CLANG is '/nowhere/clang'"), ("true", "true wrote no ELF object")):
        monkeypatch.setenv("STINGLESS_CLANG", name)
        find_compiler.cache_clear()
        try:
            assert main(["build", "types.c"]) == 1
        finally:
            find_compiler.cache_clear()
        assert told in capsys.readouterr().err

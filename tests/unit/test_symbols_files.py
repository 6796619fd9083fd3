"""Symbols of programs and libraries: tables, debug information elsewhere, and files that are not as they should be."""

from __future__ import annotations

import contextlib
import lzma
import os
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stingless.errors import ObjectError, UnknownNameError
from stingless.symbols.binary import binary
from stingless.symbols.build_ids import BuildIds
from stingless.symbols.elf import function_offset, function_offsets
from stingless.symbols.elf_file import ElfFile
from stingless.symbols.table import NAMED, table_of
from tests.symbol_programs import TARGET, build, tool


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(TARGET, tmp_path_factory.mktemp("symbols") / "target", "-Wl,--build-id=sha1")


def nm(path: Path) -> dict[str, tuple[int, int]]:
    """Functions as nm shows them: address and size."""
    done = subprocess.run(["nm", "-S", str(path)], capture_output=True, text=True, check=True)
    lines = [line.split() for line in done.stdout.splitlines()]
    return {f[3]: (int(f[0], 16), int(f[1], 16)) for f in lines if len(f) == 4 and f[2] in "tT"}


def test_functions_as_nm_has_them(program: Path) -> None:
    table = binary(program).functions
    known = nm(program)
    assert {"hidden", "visible", "main"} <= set(known)
    for name, (start, size) in known.items():
        assert table.address(name.encode()) == start
        for at in (start, start + size - 1):
            found = table.find(at)
            assert found is not None
            assert (found.start, found.size) == (start, size)
            assert found.name == name.encode()
    assert table.find(0) is None
    assert table.find((1 << 64) - 1) is None
    assert table.address(b"variable") is None
    assert binary(program).symbols.address(b"variable") is not None


def test_a_uprobes_place(program: Path) -> None:
    code = program.read_bytes()
    start, size = nm(program)["visible"]
    offset = function_offset(str(program), "visible")
    assert function_offsets(str(program))["visible"] == offset
    # The function's own bytes are there.
    tool("objcopy", "-O", "binary", "--only-section=.text", program, text := program.with_suffix(".text"))
    assert code[offset : offset + size] in text.read_bytes()
    assert binary(program).address_of(offset) == start
    with pytest.raises(UnknownNameError, match="nearest: visible"):
        function_offset(str(program), "visble")


@pytest.fixture
def stripped(program: Path, tmp_path: Path) -> Path:
    tool("objcopy", "--only-keep-debug", program, tmp_path / "target.debug")
    tool("strip", "-o", tmp_path / "target", program)
    assert binary(tmp_path / "target").functions.address(b"hidden") is None
    return tmp_path / "target"


@pytest.mark.parametrize("directory", [".", ".debug"])
def test_debug_link(stripped: Path, directory: str) -> None:
    link = stripped.with_suffix(".debug")
    (stripped.parent / directory).mkdir(exist_ok=True)
    linked = stripped.parent / "linked"
    tool("objcopy", f"--add-gnu-debuglink={link}", stripped, linked)
    start, _ = nm(link)["hidden"]
    moved = link.rename(stripped.parent / directory / "target.debug")
    assert binary(linked).functions.address(b"hidden") == start
    # Another file of that name is not taken.
    other = stripped.parent / "other"
    other.write_bytes(linked.read_bytes())
    moved.write_bytes(moved.read_bytes() + b"\0")
    assert binary(other).functions.address(b"hidden") is None


def test_debug_file_by_build_id(stripped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = binary(stripped).build_id.hex()
    assert len(name) == 40
    place = tmp_path / "debug" / ".build-id" / name[:2] / f"{name[2:]}.debug"
    place.parent.mkdir(parents=True)
    stripped.with_suffix(".debug").rename(place)
    monkeypatch.setenv("BCC_DEBUGINFO_ROOT", str(tmp_path / "debug"))
    copy = tmp_path / "copy"
    copy.write_bytes(stripped.read_bytes())
    assert binary(copy).functions.address(b"hidden") == nm(place)["hidden"][0]


def test_a_copy_with_symbols_elsewhere(
    stripped: Path, program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    place = Path(f"{root}{tmp_path}/again")
    place.parent.mkdir(parents=True)
    place.write_bytes(program.read_bytes())
    monkeypatch.setenv("BCC_SYMFS", str(root))
    again = tmp_path / "again"
    again.write_bytes(stripped.read_bytes())
    assert binary(again).functions.address(b"hidden") == nm(program)["hidden"][0]


def test_small_table_inside(stripped: Path, program: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed.xz"
    packed.write_bytes(lzma.compress(stripped.with_suffix(".debug").read_bytes()))
    tool("objcopy", f"--add-section=.gnu_debugdata={packed}", stripped, inside := tmp_path / "inside")
    assert binary(inside).functions.address(b"hidden") == nm(program)["hidden"][0]
    packed.write_bytes(b"\xfd7zXZ\0 but not really")
    tool("objcopy", f"--add-section=.gnu_debugdata={packed}", stripped, broken := tmp_path / "broken")
    assert binary(broken).functions.address(b"hidden") is None


def test_a_changed_file_is_read_again(program: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.write_bytes(program.read_bytes())
    assert "visible" in function_offsets(str(copy))
    build("int other(void) { return 1; } int main(void) { return other(); }", copy)
    assert "other" in function_offsets(str(copy))
    assert "visible" not in function_offsets(str(copy))


def test_by_build_id(program: Path, tmp_path: Path) -> None:
    known = BuildIds()
    assert known.add(os.fsencode(program))
    build_id = binary(program).build_id
    offset = function_offset(str(program), "hidden")
    assert known.find(build_id, offset + 2) == (b"hidden", 2, os.fsencode(program))
    assert known.find(build_id, 1) == (None, 1, os.fsencode(program))
    assert known.find(bytes(20), offset) == (None, offset, None)
    without = build(TARGET, tmp_path / "without", "-Wl,--build-id=none")
    assert not known.add(str(without))
    assert not known.add(tmp_path.name)


# Files made by hand


def elf(symbols: list[tuple[bytes, int, int, int]], wide: bool = True) -> bytes:
    """A file of one symbol table: name, info, value, size."""
    strings, entries = b"\0", b"\0" * (24 if wide else 16)
    for name, info, value, size in symbols:
        if wide:
            entries += struct.pack("<IBBHQQ", len(strings), info, 0, 1, value, size)
        else:
            entries += struct.pack("<IIIBBH", len(strings), value, size, info, 0, 1)
        strings += name + b"\0"
    head, section = (64, "<IIQQQQIIQQ") if wide else (52, "<IIIIIIIIII")
    at = head
    table = at + len(entries) + len(strings)
    sections = struct.pack(section, *[0] * 10)
    sections += struct.pack(section, 0, 2, 0, 0, at, len(entries), 2, 0, 8, 24 if wide else 16)
    sections += struct.pack(section, 0, 3, 0, 0, at + len(entries), len(strings), 0, 0, 1, 0)
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1, 1]) + bytes(9)
    form = "<HHIQQQIHHHHHH" if wide else "<HHIIIIIHHHHHH"
    sizes = (head, 56, 0, 64, 3, 2) if wide else (head, 32, 0, 40, 3, 2)
    return ident + struct.pack(form, 3, 62, 1, 0, 0, table, 0, *sizes) + entries + strings + sections


FUNC, GLOBAL, WEAK = 2, 0x10, 0x20


@pytest.mark.parametrize("wide", [True, False])
def test_which_of_several_names(wide: bool) -> None:
    symbols = [
        (b"outer", GLOBAL | FUNC, 0x1000, 0x100),
        (b"inner", FUNC, 0x1040, 0x10),
        (b"__alias", GLOBAL | FUNC, 0x2000, 0x10),
        (b"alias@V1", GLOBAL | FUNC, 0x2000, 0x10),
        (b"alias", GLOBAL | FUNC, 0x2000, 0x10),
        (b"local", FUNC, 0x2000, 0x10),
        (b"alias_too", WEAK | FUNC, 0x2000, 0x10),
        (b"sizeless", GLOBAL | FUNC, 0x2000, 0),
        (b"data", GLOBAL | 1, 0x1000, 0x100),
        (b"open", GLOBAL | FUNC, 0x3000, 0),
    ]
    content = elf(symbols, wide)
    table = table_of([ElfFile.of(content)])

    def name(at: int) -> bytes | None:
        found = table.find(at)
        return found and found.name

    assert [name(at) for at in (0xFFF, 0x1000, 0x103F, 0x1040, 0x104F, 0x1050, 0x10FF, 0x1100)] == [
        None, b"outer", b"outer", b"inner", b"inner", b"outer", b"outer", None,
    ]  # fmt: skip
    assert name(0x2005) == b"alias"
    assert name(0x3000) is None  # it holds nothing
    assert table.address(b"open") == 0x3000
    assert table.address(b"lias") is None  # the end of a name
    assert table.address(b"data") is None
    assert table_of([ElfFile.of(content)], NAMED).address(b"data") == 0x1000


@given(st.lists(st.tuples(st.integers(1, 200), st.integers(0, 60)), max_size=30), st.integers(0, 300))
def test_the_innermost_symbol(ranges: list[tuple[int, int]], at: int) -> None:
    symbols = [(b"s%d" % i, FUNC, start, size) for i, (start, size) in enumerate(ranges)]
    found = table_of([ElfFile.of(elf(symbols))]).find(at)
    around = [(start, size) for start, size in ranges if start <= at < start + size]
    assert (found is None) == (not around)
    if found is not None:
        assert found.start == max(start for start, _ in around)
        assert (found.start, found.size) in around


def test_damaged_files() -> None:
    whole = elf([(b"one", FUNC, 16, 8), (b"two", FUNC, 32, 8)])

    @given(st.integers(0, len(whole)), st.binary(min_size=1, max_size=9), st.booleans())
    def damaged(at: int, part: bytes, cut: bool) -> None:
        content = whole[:at] if cut else whole[:at] + part + whole[at + len(part) :]
        with contextlib.suppress(ObjectError):
            table = table_of([ElfFile.of(content)])
            assert all(isinstance(name, bytes) for name, _, _ in table)
            table.find(20)

    damaged()


def test_no_elf_file(tmp_path: Path) -> None:
    for content in (b"", b"#!/bin/sh\n", b"\x7fELF\x01\x02" + bytes(100), b"\x7fELF\x02\x01" + bytes(40)):
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(ObjectError, match=r"file: .*ELF"):
            binary(tmp_path / "file")

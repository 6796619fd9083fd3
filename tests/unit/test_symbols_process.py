"""Symbols of processes of our own: however their programs were loaded, and whatever became of the files."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from pathlib import Path

import pytest

from stingless.bcc import symbols
from stingless.bcc.symbols import SymbolCache, sym
from stingless.symbols import process
from stingless.symbols.mappings import Mapping, parse
from stingless.symbols.process import ProcessSymbols
from tests.symbol_programs import TARGET, build, running

LIBRARY = "int from_library(int x) { return x + 1; }\nint twice_from_library(int x) { return from_library(x) * 2; }"


@pytest.fixture(scope="module", params=["-pie", "-no-pie", "-static"])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    kind: str = request.param
    compile_flag = "-fPIE" if kind == "-pie" else "-fno-pie"
    return build(TARGET, tmp_path_factory.mktemp("process") / f"target{kind}", kind, compile_flag)


@pytest.fixture
def pie(tmp_path: Path) -> Path:
    return build(TARGET, tmp_path / "pie", "-pie", "-fPIE")


def test_functions_of_a_program(program: Path) -> None:
    path = os.fsencode(program)
    with running(program) as target:
        cache = SymbolCache(target.pid)
        assert cache.resolve(target.hidden + 1, True) == (b"hidden", 1, path)
        assert cache.resolve(target.visible, True) == (b"visible", 0, path)
        assert cache.resolve_name(path, "visible") == target.visible
        assert cache.resolve_name(path, b"variable") == -1
        assert cache.resolve_name(b"/no/such/file", b"visible") == -1
        assert cache.resolve(0x10, True) == (None, 0x10, None)
        assert sym(target.hidden + 2, target.pid, True, True) == b"hidden+0x2 [%s]" % program.name.encode()
        assert sym(target.hidden, target.pid, show_module=True) == b"hidden [%s]" % program.name.encode()
        assert sym(target.hidden, target.pid, show_offset=True) == b"hidden+0x0"
        assert sym(0x10, target.pid, True, True) == b"[unknown]"


def test_what_lies_between_functions(pie: Path) -> None:
    """The place in the module is known."""
    with running(pie) as target:
        found = ProcessSymbols(target.pid)
        start = next(m for m in found._mappings if m.name == str(pie)).start
        # The header of the first executable page has the sections before the text.
        name, offset, module = found.find(start)
        if name is None:
            assert 0 < offset < 1 << 20
            assert module == os.fsencode(pie)
            assert symbols.sym(start, target.pid, True, True) == b"[unknown] [pie]"


@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_a_file_that_is_gone(pie: Path, tmp_path: Path, how: str) -> None:
    with running(pie) as target:
        pie.unlink()
        if how == "replaced":
            build(LIBRARY + " int main(void) { return 0; }", pie)
        found = ProcessSymbols(target.pid).find(target.visible)
        assert found.module == os.fsencode(f"{pie} (deleted)")
        # Who may not look through /proc/PID/map_files has the module's name alone.
        if os.geteuid() == 0:
            assert found.name == b"visible"
        else:
            assert found.name in (None, b"visible")


def test_a_library_that_is_loaded_later(tmp_path: Path) -> None:
    known = ProcessSymbols(os.getpid())
    path = build(LIBRARY, tmp_path / "libfrom.so", "-shared", "-fPIC")
    library = ctypes.CDLL(str(path))
    address = ctypes.cast(library.from_library, ctypes.c_void_p).value
    assert address is not None
    time.sleep(process._AGAIN * 1.5)
    assert known.find(address + 1) == (b"from_library", 1, os.fsencode(path))
    assert known.address(os.fsencode(path), b"from_library") == address
    # As it is on the page from the C library itself.
    libc = ctypes.CDLL(None)
    printf = ctypes.cast(libc.printf, ctypes.c_void_p).value
    assert printf is not None
    name, offset, module = known.find(printf)
    assert name is not None
    assert b"printf" in name
    assert offset == 0
    assert b"libc" in (module or b"") or b"python" in (module or b"")


def test_another_program_in_the_process(pie: Path, tmp_path: Path) -> None:
    other = build(TARGET.replace("hidden", "secret"), tmp_path / "other", "-pie", "-fPIE")
    with running(pie) as target:
        known = ProcessSymbols(target.pid)
        assert known.find(target.hidden).name == b"hidden"
        fields = target.ask(f"x {other}").split()
        assert known.find(int(fields[0], 16)) == (b"secret", 0, os.fsencode(other))


def test_code_made_at_run_time(pie: Path) -> None:
    with running(pie) as target:
        known = ProcessSymbols(target.pid)
        page = int(target.ask("m"), 16)
        assert known.find(page) == (None, page, None)
        map_file = Path(f"/tmp/perf-{target.pid}.map")
        try:
            map_file.write_text(f"{page:x} 40 jit::first\n")
            time.sleep(process._AGAIN * 1.5)
            assert known.find(page + 3) == (b"jit::first", 3, os.fsencode(map_file))
            assert known.find(page + 0x40) == (None, page + 0x40, os.fsencode(map_file))
            with map_file.open("a") as lines:
                lines.write(f"{page + 0x40:x} 10 jit::second\n")
            time.sleep(process._AGAIN * 1.5)
            assert known.find(page + 0x40) == (b"jit::second", 0, os.fsencode(map_file))
            assert known.find(target.hidden).name == b"hidden"
            assert known.address(os.fsencode(map_file), b"jit::second") == page + 0x40
        finally:
            map_file.unlink(missing_ok=True)


def test_a_process_that_has_ended(pie: Path) -> None:
    with running(pie) as target:
        known, late = ProcessSymbols(target.pid), ProcessSymbols(target.pid)
        assert known.find(target.visible).name == b"visible"
    assert known.find(target.visible).name == b"visible"
    # The file is still there, but not by way of the process.
    assert late.find(target.visible).module == os.fsencode(pie)
    assert ProcessSymbols(target.pid).find(target.visible) == (None, target.visible, None)


@pytest.mark.skipif(process.vdso_functions() is None, reason="no vDSO")
def test_vdso() -> None:
    table = process.vdso_functions()
    assert table is not None
    symbol = next(iter(table))
    own = ProcessSymbols(os.getpid())
    mapping = next(m for m in own._mappings if m.name == "[vdso]")
    assert own.find(mapping.start + symbol.start + 1) == (table.find(symbol.start + 1)[0], 1, b"[vdso]")  # type: ignore[index]
    assert own.address(b"[vdso]", symbol.name) == mapping.start + symbol.start


def test_lines_of_maps() -> None:
    text = b"""\
55d0a0000000-55d0a0001000 r--p 00000000 fe:01 42 /usr/bin/a b
55d0a0001000-55d0a0002000 r-xp 00001000 fe:01 42                         /usr/bin/a b
55d0a0002000-55d0a0003000 r-xp 00000000 00:01 7 /memfd:code (deleted)
7f0000000000-7f0000001000 r-xp 00000000 00:00 0
7f0000001000-7f0000002000 r-xp 00000000 00:0f 9 //anon
7ffc00000000-7ffc00001000 rwxp 00000000 00:00 0 [stack]
7ffc00002000-7ffc00003000 r-xp 00000000 00:00 0 [vdso]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]
"""
    assert parse(text) == [
        Mapping(0x55D0A0001000, 0x55D0A0002000, 0x1000, "fe:01", 42, "/usr/bin/a b"),
        Mapping(0x55D0A0002000, 0x55D0A0003000, 0, "00:01", 7, "/memfd:code (deleted)"),
        Mapping(0x7FFC00002000, 0x7FFC00003000, 0, "00:00", 0, "[vdso]"),
    ]


def test_nothing_stays_open(pie: Path) -> None:
    from tests.leak_checks import open_files

    with running(pie) as target:
        ProcessSymbols(target.pid).find(target.hidden)
        before = open_files()
        for _ in range(5):
            ProcessSymbols(target.pid).find(target.hidden)
        assert open_files() == before


def test_stacks_by_build_id(pie: Path) -> None:
    from stingless.symbols.binary import binary
    from stingless.symbols.elf import function_offset

    class bpf_stack_build_id(ctypes.Structure):
        _fields_ = (("status", ctypes.c_int), ("build_id", ctypes.c_ubyte * 20), ("offset", ctypes.c_ulonglong))

    build_id = binary(pie).build_id
    entry = bpf_stack_build_id(1, (ctypes.c_ubyte * 20)(*build_id), function_offset(str(pie), "hidden") + 3)
    assert sym(entry, -1, True, True) == b"[unknown]"
    symbols.add_module(os.fsencode(pie))
    assert sym(entry, -1, True, True) == b"hidden+0x3 [pie]"
    entry.status = 2  # BPF_STACK_BUILD_ID_IP: the kernel had no build id, and gives an address
    assert sym(entry, -1, True, True) == b"[unknown]"


def test_a_module_without_a_build_id_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    symbols.add_module(sys.executable + "-which-is-not-there")
    assert "which-is-not-there has no build id" in capsys.readouterr().out

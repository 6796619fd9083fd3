"""bcc's `USDT`: what it tells of probes, the C that reads arguments, and a command through the embedded kernel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stingless.bcc.usdt import USDT, USDTException, generated, semaphore_at
from stingless.errors import StinglessError
from stingless.symbols.usdt import probe
from tests.symbol_programs import TARGET, build, running
from tests.usdt_program import FORMS, MAIN, SCRIPT, VALUES

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="the program's probes are in x86-64's words")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(FORMS + MAIN, tmp_path_factory.mktemp("usdt") / "forms", "-DWAIT=6000")


def test_probes(program: Path) -> None:
    usdt = USDT(path=str(program))
    assert usdt.get_context() is usdt
    probes = {each.short_name(): each for each in usdt.enumerate_probes()}
    assert set(probes) == {"forms:all", "forms:two", "forms:far", "other:two"}
    each = probes["forms:all"]
    (place,) = probe(str(program), "forms", "all")
    assert (each.provider, each.name, each.bin_path) == (b"forms", b"all", os.fsencode(program))
    assert (each.num_locations, each.num_arguments, each.semaphore) == (1, 12, place.semaphore_address)
    assert str(each) == f"forms:all [sema {place.semaphore_address:#x}]"
    assert str(probes["forms:two"]) == "forms:two [sema 0x0]"
    location = each.get_location(0)
    assert (location.index, location.num_arguments, location.bin_path) == (0, 12, os.fsencode(program))
    assert str(location) == f"{program} {place.address:#x}"
    with pytest.raises(USDTException, match="location 1"):
        each.get_location(1)
    addresses = [probes["forms:two"].get_location(i).address for i in range(2)]
    assert addresses == sorted(set(addresses))


def test_arguments(program: Path) -> None:
    (each,) = [p for p in USDT(path=str(program)).enumerate_probes() if p.name == b"all"]
    location = each.get_location(0)
    first = location.get_argument(0)
    assert (first.size, first.signed) == (4, True)
    assert str(first) == f"4 signed   bytes @ {first.base_register_name.decode()}"
    constant = location.get_argument(5)
    assert (constant.constant, constant.signed, constant.size) == (-9, True, 8)
    assert str(constant) == "8 signed   bytes @ -9"
    indexed = location.get_argument(7)
    assert (indexed.deref_offset, indexed.scale) == (0, 8)
    base, index = indexed.base_register_name.decode(), indexed.index_register_name.decode()
    assert str(indexed) == f"8 unsigned bytes @ *({base} + 0 + {index} * 8)"
    named = location.get_argument(9)
    assert (named.deref_ident, named.deref_offset, named.base_register_name) == (b"numbers", 8, b"ip")
    assert str(named) == "8 unsigned bytes @ *(&numbers + 8)"
    assert not hasattr(named, "constant")
    for number in (11, 12, -1):  # of a form that is not known; and none
        with pytest.raises(USDTException, match=f"probe argument {number} location 0"):
            location.get_argument(number)


def test_types_of_arguments(program: Path) -> None:
    usdt = USDT(path=str(program))
    kinds = [usdt.get_probe_arg_ctype("all", i) for i in range(5)]
    assert kinds == ["int32_t", "uint64_t", "uint8_t", "int16_t", "uint32_t"]
    assert usdt.get_probe_arg_ctype("forms:two", 0) == "uint64_t"  # the widest
    assert usdt.get_probe_arg_ctype("nobody:two", 0) == ""


def test_enabling(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    usdt = USDT(path=str(program))
    assert usdt.enumerate_active_probes() == []
    assert usdt.get_text() == "#include <uapi/linux/ptrace.h>\n"
    (place,) = probe(str(program), "forms", "all")
    assert semaphore_at(str(program), place.offset) == 0
    usdt.enable_probe("all", "on_all")
    assert semaphore_at(str(program), place.offset) == place.semaphore
    assert semaphore_at(str(program), place.offset + 1) == 0
    assert usdt.enumerate_active_probes() == [(os.fsencode(program), b"on_all", place.address, -1)]
    with pytest.raises(USDTException, match="enabled already, for on_all"):
        usdt.enable_probe(probe="all", fn_name="again")
    with pytest.raises(USDTException, match="forms:two, other:two"):
        usdt.enable_probe("two", "on_two")
    with pytest.raises(USDTException, match="the nearest: far"):
        usdt.enable_probe("fat", "on_far")
    usdt.enable_probe_or_bail(b"other:two", b"on_two")
    with pytest.raises(SystemExit) as ended:
        usdt.enable_probe_or_bail("forms:none", "on_two")
    assert ended.value.code == 1
    assert "Failed to enable USDT probe 'forms:none'" in capsys.readouterr().err
    assert issubclass(USDTException, Exception)
    assert issubclass(USDTException, StinglessError)


def test_text(program: Path) -> None:
    usdt, again = USDT(path=str(program)), USDT(path=str(program))
    for each in (usdt, again):
        each.enable_probe("forms:two", "on_two")
    again.enable_probe("far", "on_far")
    text = usdt.get_text()
    assert text.startswith("#include <uapi/linux/ptrace.h>\n")
    assert "int _bpf_readarg_on_two_1(struct pt_regs *ctx, void *dest, unsigned long len)" in text
    pages = [place.address % 4096 for place in probe(str(program), "forms", "two")]
    assert all(f"case {page:#x}:" in text for page in pages)
    # Two places that are alike in their pages are told apart by cookies.
    both = generated([usdt, again])
    assert both.count("_bpf_readarg_on_two_1(") == 1
    assert "switch (bpf_get_attach_cookie(ctx))" in both


def test_a_fixed_program_has_addresses(tmp_path: Path) -> None:
    fixed = build(FORMS + MAIN, tmp_path / "fixed", "-DWAIT=0", "-no-pie", "-fno-pie")
    usdt = USDT(path=str(fixed))
    usdt.enable_probe("far", "on_far")
    text = usdt.get_text()
    assert all(f"case {place.address:#x}ULL:" in text for place in probe(str(fixed), "forms", "far"))


def test_names_of_files(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    assert len(USDT(path="forms").enumerate_probes()) == 4
    assert USDT(path="c").enumerate_probes() is not None
    for wanted in ({"path": "/no/such/file"}, {"path": "no-such-program"}, {"path": __file__}):
        with pytest.raises(USDTException, match="failed to instrument path"):
            USDT(**wanted)  # type: ignore[arg-type]
    with pytest.raises(USDTException, match="either a pid or a binary path"):
        USDT()


def test_a_process(tmp_path: Path) -> None:
    library = build(FORMS, tmp_path / "libforms.so", "-DWAIT=0", "-shared", "-fPIC")
    target = build(
        TARGET + "int run(int, char **); void *keep = run;",
        tmp_path / "target",
        str(library),
        "-pie",
        "-fPIE",
        f"-Wl,-rpath,{tmp_path}",
    )
    with running(target) as process:
        usdt = USDT(pid=process.pid)
        seen = os.fsencode(f"/proc/{process.pid}/root{library}")
        mine = {p.short_name(): p for p in usdt.enumerate_probes() if p.provider in (b"forms", b"other")}
        assert {p.bin_path for p in mine.values()} == {seen}
        usdt.enable_probe("far", "on_far")
        assert {(path, fn, pid) for path, fn, _, pid in usdt.enumerate_active_probes()} == {
            (seen, b"on_far", process.pid)
        }
        # Where the process has the places in memory.
        maps = Path(f"/proc/{process.pid}/maps").read_text().splitlines()
        start = next(int(line.split("-")[0], 16) for line in maps if str(library) in line)
        text = usdt.get_text()
        for each in probe(str(library), "forms", "far"):
            assert f"case {start + each.address:#x}ULL:" in text
        assert len(USDT(pid=process.pid, path=str(library)).enumerate_probes()) == 4
        with pytest.raises(USDTException, match="absolute"):
            USDT(pid=process.pid, path="libforms.so")
        with pytest.raises(USDTException, match="does not exist"):
            USDT(pid=process.pid, path="/no/such/file")
    with pytest.raises(USDTException, match=f"PID {process.pid}"):
        USDT(pid=process.pid)


@pytest.mark.parametrize("where", ["program", "library", "process"])
def test_a_command_through_the_embedded_kernel(program: Path, tmp_path: Path, where: str) -> None:
    """Values of every form, and the semaphore that the command waits for."""
    file = command = program
    if where == "library":
        file = build(FORMS, tmp_path / "libforms.so", "-DWAIT=6000", "-shared", "-fPIC")
        command = build(MAIN, tmp_path / "command", str(file), f"-Wl,-rpath,{tmp_path}")
    (tmp_path / "script.py").write_text(SCRIPT)
    run = [sys.executable, "-m", "stingless", "run", "--kernel", "embedded", str(tmp_path / "script.py")]
    asked = "process" if where == "process" else str(file)
    done = subprocess.run([*run, asked, "far", "--", str(command)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert seen(done.stdout) == (VALUES, "1", "hello")


def seen(output: str, far: bool = True) -> tuple[dict[int, int], str, str]:
    """Values by argument; what the program says of its semaphore; the text.  Checks what is of no argument."""
    lines = output.splitlines()
    pairs = [line.split() for line in lines if line[0].isdigit() and " " in line]
    numbers = {int(number): int(value) for number, value in pairs}
    assert numbers.pop(20) == -1  # the size was wrong
    assert numbers.pop(30) == 3 * (77 - 7)
    if far:
        assert (numbers.pop(41), numbers.pop(42)) == (1, 1)
    assert numbers.pop(2) > 4096
    (text,) = [line for line in lines if line.startswith("text")]
    (count,) = [line.removeprefix("program ") for line in lines if line.isdigit() or line.startswith("program ")]
    return numbers, count, text.removeprefix("text ['").removesuffix("']")


def test_places_that_an_old_kernel_cannot_tell_apart(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stingless.bcc.usdt_text._has_cookies", lambda: False)
    usdt = USDT(path=str(program))
    usdt.enable_probe("far", "on_far")
    with pytest.raises(USDTException, match=r"cannot be told apart.*give pid=, or take Linux 5\.15"):
        usdt.get_text()

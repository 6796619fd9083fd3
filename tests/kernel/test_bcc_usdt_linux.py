"""bcc's `USDT` on Linux: values of every form of argument, and semaphores, by path and by process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stingless import BPF
from stingless.bcc.usdt import USDT
from stingless.linux import perf_link
from stingless.target.running import RunningKernel
from tests.linux_support import IS_ROOT
from tests.symbol_programs import build
from tests.unit.test_bcc_usdt import seen
from tests.usdt_program import FORMS, MAIN, SCRIPT, VALUES

pytestmark = [
    pytest.mark.skipif(not IS_ROOT, reason="bpf(2) needs root"),
    pytest.mark.skipif(perf_link.pmu_type("uprobe") is None, reason="this kernel has no uprobes"),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="the program's probes are in x86-64's words"),
]

ALL = """
BPF_ARRAY(hits, u64, 2);
int on_all(struct pt_regs *ctx) { hits.atomic_increment(0, 100); return 0; }
"""
BOTH = (
    ALL
    + """
int on_two(struct pt_regs *ctx) {
    u64 a = 0;
    bpf_usdt_readarg(1, ctx, &a);
    hits.atomic_increment(0);
    hits.atomic_increment(1, a);
    return 0;
}
"""
)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(FORMS + MAIN, tmp_path_factory.mktemp("usdt") / "forms", "-DWAIT=6000")


@pytest.mark.parametrize("where", ["program", "library"])
def test_values_by_path(program: Path, tmp_path: Path, where: str) -> None:
    file = command = program
    if where == "library":
        file = build(FORMS, tmp_path / "libforms.so", "-DWAIT=6000", "-shared", "-fPIC")
        command = build(MAIN, tmp_path / "command", str(file), f"-Wl,-rpath,{tmp_path}")
    (tmp_path / "script.py").write_text(SCRIPT)
    run = [sys.executable, "-m", "stingless", "run", "--kernel", "linux", str(tmp_path / "script.py")]
    far = RunningKernel().has_bpf_cookie()
    asked = [*run, str(file), "far" if far else "-", str(command)]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert seen(done.stdout, far) == (VALUES, "1", "hello")


def counts(bpf: BPF) -> tuple[int, int]:
    return bpf["hits"][0].value, bpf["hits"][1].value


def test_one_process(program: Path) -> None:
    """The other process of that program waits for its semaphore, and is not counted."""
    with (
        subprocess.Popen([program], stdout=subprocess.PIPE, text=True) as mine,
        subprocess.Popen([program], stdout=subprocess.PIPE, text=True) as other,
    ):
        usdt = USDT(pid=mine.pid)
        usdt.enable_probe("forms:two", "on_two")
        usdt.enable_probe("all", "on_all")
        with BPF(text=BOTH, usdt_contexts=[usdt]) as bpf:
            assert bpf.num_open_uprobes() == 3
            out, _ = mine.communicate(timeout=60)
            assert out.strip() == "1"
            assert counts(bpf) == (306, 3 * (77 + (1 << 64) - 7) % (1 << 64))
        assert other.poll() is None
        other.kill()


def test_the_semaphore_goes_down(program: Path, tmp_path: Path) -> None:
    waits = build(FORMS + MAIN, tmp_path / "waits", "-DWAIT=0")
    usdt = USDT(path=str(waits))
    usdt.enable_probe("all", "on_all")
    with BPF(text=ALL, usdt_contexts=[usdt]) as bpf:
        assert subprocess.run([waits], capture_output=True, text=True).stdout == "1\n"
        assert counts(bpf) == (300, 0)
    assert subprocess.run([waits], capture_output=True, text=True).stdout == "0\n"


def test_all_processes_in_place_of_one(program: Path) -> None:
    with subprocess.Popen([program], stdout=subprocess.PIPE, text=True) as mine:
        usdt = USDT(pid=mine.pid)
        usdt.enable_probe("all", "on_all")
        with BPF(text=ALL, usdt_contexts=[usdt], attach_usdt_ignore_pid=True) as bpf:
            subprocess.run([program], check=True, capture_output=True, timeout=60)
            mine.wait(60)
            assert counts(bpf) == (600, 0)


def test_attached_by_address(program: Path) -> None:
    """As `ustat` does it: the semaphore is held up all the same."""
    usdt = USDT(path=str(program))
    usdt.enable_probe("all", "on_all")
    with BPF(text=ALL) as bpf:
        for path, function, address, pid in usdt.enumerate_active_probes():
            bpf.attach_uprobe(name=path, fn_name=function, addr=address, pid=pid)
        done = subprocess.run([program], capture_output=True, text=True, timeout=60)
        assert done.stdout == "1\n"
        assert counts(bpf) == (300, 0)

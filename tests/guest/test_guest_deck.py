"""Examples of the deck on a real kernel with kprobes, by `stingless run` as a user would."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from stingless.linux import perf_link
from tests.unit.test_packets_deck import SAYS

DECK = Path(__file__).parents[2] / "examples/deck"
LOOP = ("bash", "-c", "for i in 1 2 3; do /bin/true; done")


def run(name: str, *command: str) -> str:
    """What the example prints. Compiling takes its time in an emulated guest."""
    words = [sys.executable, "-m", "stingless", "run", "--kernel", "linux", str(DECK / name)]
    done = subprocess.run(
        [*words, "--", *command] if command else words, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "stingless: kernel: linux\n"  # no note of a probe in a kprobe's place
    return done.stdout


def test_there_are_kprobes() -> None:
    assert perf_link.pmu_type("kprobe") is not None


@pytest.mark.parametrize("name", ["hello.py", "auto_attach.py"])
def test_line_for_each_process(name: str) -> None:
    assert len(re.findall(r"-\d+ .*bpf_trace_printk: Hello", run(name, *LOOP))) == 3


def test_kprobe_reads_arguments_and_results() -> None:
    # The command's own output would come between the lines.
    said = run("kprobe.py", "bash", "-c", "cat /etc/hostname > /dev/null")
    assert re.search(r"openat\(/etc/hostname\)\n\S+ \d+:   returned \d+\n", said), said


def test_drop() -> None:
    assert run("drop.py") == SAYS["drop"]

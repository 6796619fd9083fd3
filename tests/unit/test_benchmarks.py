"""The benchmarks' own machinery: what it starts, how it pairs, what it says when something fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.bulk import Reading
from benchmarks.loop import build_loop
from benchmarks.measure import BenchmarkError, Spread, Start, output, paired, ratio, start, table

_SCRIPT = """
import resource, subprocess, sys, time
time.sleep(0.1)
print("attached", flush=True)
sys.stdin.read()
subprocess.run([sys.executable, "-c", "x = bytearray(60 << 20)"])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def test_start_measures_up_to_the_line_and_the_memory_of_both() -> None:
    run = start([sys.executable, "-c", _SCRIPT])
    assert run.seconds >= 0.1
    assert run.own_kib > 1000
    assert run.child_kib > 60 << 10
    assert run.together_kib == run.own_kib + run.child_kib


def test_a_child_smaller_than_the_process_is_not_counted() -> None:
    assert Start(1.0, 1.0, own_kib=100, child_kib=99).together_kib == 100


@pytest.mark.parametrize(
    "script", ["raise SystemExit('no such hook')", "print('detached'); raise SystemExit('no such hook')"]
)
def test_a_script_that_fails_is_told_with_its_own_words(script: str) -> None:
    with pytest.raises(BenchmarkError, match="status 1\nno such hook"):
        start([sys.executable, "-c", script])


def test_what_a_script_prints_or_says_when_it_fails() -> None:
    assert output([sys.executable, "-c", "import os; print(os.environ['GIVEN'])"], {"GIVEN": "7"}) == "7\n"
    with pytest.raises(BenchmarkError, match="status 1\nno such hook"):
        output([sys.executable, "-c", "raise SystemExit('no such hook')"])


def test_a_reading_has_a_first_time_and_later_ones() -> None:
    """The second time is in fresh memory too."""
    reading = Reading.of("0.5 0.4 0.1 0.3 0.2 1024\n")
    assert (reading.first, reading.again, reading.kib) == (0.5, 0.2, 1024)
    assert Reading.of("0.5 1024\n").first == 0.5


def test_pairs_alternate_and_the_first_round_is_not_counted() -> None:
    calls: list[str] = []

    def subject(name: str) -> int:
        calls.append(name)
        return len(calls)

    assert paired(2, lambda: subject("a"), lambda: subject("b")) == [[3, 5], [4, 6]]
    assert calls == ["a", "b"] * 3


def test_the_ratio_is_taken_pair_by_pair() -> None:
    assert ratio([2.0, 40.0, 9.0], [1.0, 10.0, 3.0]) == Spread(3.0, 2.0, 4.0)
    assert Spread(3.0, 2.0, 4.0).show(scale=10, digits=0) == "30 (20 to 40)"


def test_a_table_is_aligned_markdown() -> None:
    assert table("T", ["a", "b"], [["long", "1"]]).splitlines() == [
        "",
        "### T",
        "",
        "| a    | b   |",
        "| ---  | --- |",
        "| long | 1   |",
    ]


@pytest.mark.parametrize("call", ["getppid", "other"])
def test_the_loop_tells_how_long_its_calls_took(tmp_path: Path, call: str) -> None:
    done = subprocess.run([build_loop(tmp_path), "200000", call], capture_output=True, text=True, check=True)
    assert 1_000_000 < int(done.stdout) < 60_000_000_000

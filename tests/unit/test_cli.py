"""The command line: usage, doctor, demo."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from stingless.cli import COMMANDS
from stingless.cli.demo import PARTS, examples
from stingless.cli.doctor import examine, render
from stingless.kernel import Probe


def stingless(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "stingless", *words], capture_output=True, text=True, check=False)


def test_usage_names_every_command() -> None:
    done = stingless("--help")
    assert done.returncode == 0
    assert all(name in done.stdout for name in COMMANDS)
    assert stingless().returncode == 2


def test_unknown_command_gets_the_nearest() -> None:
    done = stingless("dokter")
    assert done.returncode == 2
    assert "did you mean 'doctor'?" in done.stderr


def test_every_command_has_help() -> None:
    for name in COMMANDS:
        done = stingless(name, "--help")
        assert done.returncode == 0 and "usage:" in done.stdout


def test_unknown_kernel() -> None:
    done = stingless("run", "--kernel", "windows", "x.py")
    assert done.returncode == 2
    assert "linux" in done.stderr and "embedded" in done.stderr


@pytest.fixture(scope="module")
def report() -> dict[str, list[Probe]]:
    return examine()


def test_doctor_gives_a_reason_for_each_no(report: dict[str, list[Probe]]) -> None:
    assert set(report) == {"machine", "compiler", "linux", "embedded"}
    for probes in report.values():
        assert probes
        for probe in probes:
            if not probe.supported:
                assert probe.why, probe
            if probe.supported is False:
                assert probe.fix, probe


def test_doctor_on_the_embedded_kernel(report: dict[str, list[Probe]]) -> None:
    names = {p.name: p.supported for p in report["embedded"]}
    for wanted in ("HASH", "ARRAY", "RINGBUF", "kprobe", "uprobe", "tracepoint"):
        assert any(wanted in name and supported for name, supported in names.items()), wanted


def test_doctor_prints(report: dict[str, list[Probe]]) -> None:
    text = render(report)
    for probes in report.values():
        assert all(p.name in text and p.why in text for p in probes if not p.supported)


def test_doctor_json() -> None:
    done = stingless("doctor", "--json")
    answers = json.loads(done.stdout)
    assert all(set(p) == {"name", "supported", "why", "fix"} for probes in answers.values() for p in probes)


def test_demo_knows_its_scripts() -> None:
    assert {p.script for p in PARTS} == {p.relative_to(examples()).as_posix() for p in examples().glob("*/*.py")}
    numbers = [int(p.title.partition(".")[0]) for p in PARTS]
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(1, 11))


def test_demo_runs_a_part() -> None:
    done = stingless("demo", "--kernel", "embedded", "hello")
    assert done.returncode == 0
    assert done.stdout.count("Hello world") == 3
    assert "1 of 1 examples ran" in done.stdout

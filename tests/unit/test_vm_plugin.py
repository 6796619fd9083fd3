"""The pytest plugin for guest tests, with a guest that is played."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest

from tests.vm import remote
from tests.vm.exchange import DIRECTORY_VARIABLE, Event, Exchange
from tests.vm.host import NOT_ASKED
from tests.vm.remote import NotReportedError, RemotePytest

ROOT = Path(__file__).parents[2]


def test_events_are_taken_when_they_are_complete(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path)
    exchange.write_selection(["a", "b"])
    assert Exchange(tmp_path).selection() == ["a", "b"]
    assert list(exchange.receive()) == []
    exchange.send({"event": "start", "nodeid": "a"})
    with (tmp_path / "events.jsonl").open("a") as out:
        out.write('{"event": "fin')
    assert list(exchange.receive()) == [{"event": "start", "nodeid": "a"}]
    with (tmp_path / "events.jsonl").open("a") as out:
        out.write('ish"}\n')
    assert list(exchange.receive()) == [{"event": "finish"}]


class PlayedGuest:
    """Sends one event at each `pump` and then ends with `returncode`, or stays silent if that is -1."""

    events: tuple[Event, ...] = ()
    status: int | None = 0

    def __init__(self, kernel: str, argv: list[str], *, env: dict[str, str], **options: object) -> None:
        self._exchange = Exchange(Path(env[DIRECTORY_VARIABLE]))
        self._left = list(self.events)
        self.running = True
        self.returncode: int | None = None
        self.boot_seconds: float | None = 1.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def pump(self, seconds: float) -> None:
        if self._left:
            self._exchange.send(self._left.pop(0))
        elif self.status != -1:
            self.returncode = self.status
            self.running = False

    def console_tail(self) -> str:
        return "Kernel panic"

    def close(self) -> None:
        self.running = False


Play = Callable[..., RemotePytest]


@pytest.fixture
def play(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Play]:
    """Starts a RemotePytest whose guest sends the given events."""
    started: list[RemotePytest] = []

    def start(*events: Event, status: int | None = 0) -> RemotePytest:
        monkeypatch.setattr(PlayedGuest, "events", events)
        monkeypatch.setattr(PlayedGuest, "status", status)
        monkeypatch.setattr(remote, "Guest", PlayedGuest)
        started.append(RemotePytest("6.1", [request.node], silence=0.2))
        return started[-1]

    yield start
    for each in started:
        each.close()


def report(config: pytest.Config, nodeid: str, outcome: str, longrepr: object = None) -> Event:
    location = ("tests/guest/test_x.py", 1, "test")
    made = pytest.TestReport(nodeid, location, {}, outcome, longrepr, "call")  # type: ignore[arg-type]
    data = config.hook.pytest_report_to_serializable(config=config, report=made)
    return {"event": "report", "nodeid": nodeid, "report": data}


def start(nodeid: str) -> Event:
    return {"event": "start", "nodeid": nodeid}


def finish(nodeid: str) -> Event:
    return {"event": "finish", "nodeid": nodeid}


def test_reports_arrive_as_they_were_made(play: Play, pytestconfig: pytest.Config) -> None:
    skip = report(pytestconfig, "b", "skipped", ("file.py", 3, "Skipped: why"))
    guest = play(start("a"), report(pytestconfig, "a", "passed"), finish("a"), start("b"), skip, finish("b"))
    assert [r.outcome for r in guest.wait("a")] == ["passed"]
    (skipped,) = guest.wait("b")
    assert skipped.longrepr == ("file.py", 3, "Skipped: why")


def test_a_guest_that_dies_fails_the_rest(play: Play, pytestconfig: pytest.Config) -> None:
    guest = play(start("a"), report(pytestconfig, "a", "passed"), finish("a"), start("b"), status=None)
    assert guest.wait("a")
    with pytest.raises(NotReportedError, match=r"died while it ran this test\n.*\n.*Kernel panic"):
        guest.wait("b")
    with pytest.raises(NotReportedError, match=r"died before this test, while it ran b$"):
        guest.wait("c")


def test_a_pytest_that_ends_early_fails_the_rest(play: Play) -> None:
    with pytest.raises(NotReportedError, match="pytest ended with status 2 before it reported this test"):
        play(status=2).wait("a")


def test_a_silent_guest_is_ended(play: Play) -> None:
    with pytest.raises(NotReportedError, match=r"said nothing for 0\.2 s while it ran this test"):
        play(start("a"), status=-1).wait("a")


def run_pytest(cache: Path, *options: str, **variables: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:hypothesispytest", "-p", "no:cacheprovider", "tests/guest"]
    env = os.environ | {"XDG_CACHE_HOME": str(cache), "COLUMNS": "300"} | variables
    done = subprocess.run([*command, *options], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_without_vm_guest_tests_are_skipped(tmp_path: Path) -> None:
    status, output = run_pytest(tmp_path)
    assert status == 0, output
    assert NOT_ASKED in output


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    status, output = run_pytest(tmp_path, "--vm", "--vm-kernel=6.1,5.10", STINGLESS_REQUIRE_VM="")
    assert status == 0, output
    assert "guest tests that could not run" in output
    assert "test_bpf_lsm_is_on[6.1]" in output
    assert "kernel 5.10 is not fetched (run `make vm-deps KERNELS=5.10`)" in output


def test_what_is_missing_can_be_a_failure(tmp_path: Path) -> None:
    status, output = run_pytest(tmp_path, "--vm", STINGLESS_REQUIRE_VM="1")
    assert status == 1, output
    assert "STINGLESS_REQUIRE_VM is set" in output


def test_an_unknown_kernel_is_a_usage_error(tmp_path: Path) -> None:
    status, output = run_pytest(tmp_path, "--vm", "--vm-kernel=2.6")
    assert status == pytest.ExitCode.USAGE_ERROR, output
    assert "no kernel 2.6" in output

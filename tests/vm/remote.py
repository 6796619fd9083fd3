"""The host's view of a pytest that runs in a guest."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest

from .exchange import DIRECTORY_VARIABLE, KERNEL_VARIABLE, Event, Exchange
from .guest import Guest, GuestError

# Variables that the guest's Python gets from the host's.
_INHERITED = ("PATH", "LANG", "VIRTUAL_ENV", "CI")
_INHERITED_PREFIXES = ("PYTHON", "STINGLESS_", "HYPOTHESIS_")
# A guest's bytecode goes to its own overlay, and compiling every module for every process takes seconds there.
_WITHHELD = ("PYTHONDONTWRITEBYTECODE",)


class NotReportedError(Exception):
    """The guest has no result for a test; the message says why and has the end of its output."""


class RemotePytest:
    """Boots `kernel` and runs `items` there. `silence` is how many seconds it may take for one event to come."""

    def __init__(self, kernel: str, items: Sequence[pytest.Item], silence: float) -> None:
        self.kernel = kernel
        self.tests = len(items)
        self._config = items[0].config
        self._silence = silence
        self._reports: dict[str, list[pytest.TestReport]] = defaultdict(list)
        self._finished: set[str] = set()
        self._current: str | None = None
        self._failure: str | None = None
        self._details = ""
        self._output = bytearray()
        self._directory = Path(tempfile.mkdtemp(prefix="stingless-vm-tests-"))
        self._exchange = Exchange(self._directory)
        self._exchange.write_selection(item.nodeid for item in items)
        self._guest = Guest(
            kernel,
            [sys.executable, "-m", "pytest", *_options(self._config), *sorted({str(item.path) for item in items})],
            cwd=self._config.invocation_params.dir,
            env=_environment() | {DIRECTORY_VARIABLE: str(self._directory), KERNEL_VARIABLE: kernel},
            rw=[self._directory],
            on_stdout=self._output.extend,
            on_stderr=self._output.extend,
        )
        self._last_event = self._start = time.monotonic()
        try:
            self._guest.__enter__()
        except GuestError as error:
            self._failure = str(error)

    def wait(self, nodeid: str) -> list[pytest.TestReport]:
        """The reports of a test, as soon as it has ended in the guest."""
        while nodeid not in self._finished:
            if self._failure is None:
                self._pump()
            else:
                raise NotReportedError(self._why(nodeid))
        return self._reports[nodeid]

    def summary(self) -> str:
        boot = self._guest.boot_seconds
        if boot is None:
            return f"kernel {self.kernel}: did not boot"
        return f"kernel {self.kernel}: booted in {boot:.1f} s, {self._last_event - self._start:.1f} s in all"

    def close(self) -> None:
        self._guest.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def partial(self, nodeid: str) -> list[pytest.TestReport]:
        """The reports of a test that did not end."""
        return self._reports[nodeid]

    def _pump(self) -> None:
        running = self._guest.running  # asked before the events are read, so that none is missed
        if running:
            self._guest.pump(0.05)
        for event in self._exchange.receive():
            self._last_event = time.monotonic()
            self._take(event)
        if not running:
            status = self._guest.returncode
            self._fail("the guest died" if status is None else f"the guest's pytest ended with status {status}")
        elif time.monotonic() - self._last_event > self._silence:
            self._fail(f"the guest said nothing for {self._silence:g} s")
            self._guest.close()

    def _fail(self, what: str) -> None:
        self._failure = what
        self._details = self._tails()

    def _take(self, event: Event) -> None:
        nodeid = event["nodeid"]
        match event["event"]:
            case "start":
                self._current = nodeid
            case "report":
                report = self._config.hook.pytest_report_from_serializable(config=self._config, data=event["report"])
                if isinstance(report.longrepr, list):  # a skip's is a tuple, which JSON does not know
                    report.longrepr = tuple(report.longrepr)
                self._reports[nodeid].append(report)
            case "finish":
                self._finished.add(nodeid)
                self._current = None

    def _tails(self) -> str:
        parts = (
            ("output of the guest's pytest", self._output.decode(errors="replace")[-4000:]),
            ("guest console", self._guest.console_tail()),
        )
        return "".join(f"\n----- {title} (end) -----\n{text.strip()}" for title, text in parts if text.strip())

    def _why(self, nodeid: str) -> str:
        """The details go to the first test that has no report; the others would only repeat them."""
        details, self._details = self._details, ""
        if nodeid == self._current:
            when = "while it ran this test"
        elif self._current is not None:
            when = f"before this test, while it ran {self._current}"
        else:
            when = "before it reported this test"
        return f"kernel {self.kernel}: {self._failure} {when}{details}"


def _options(config: pytest.Config) -> list[str]:
    """The host's options that change what a report looks like; the selection is sent apart."""
    chosen = config.option
    # Hypothesis works without its plugin, which imports all of it: 1 s on a host, 20 s in an emulated guest.
    options = ["-p", "no:hypothesispytest"]
    options += [f"--rootdir={config.rootpath}", f"--tb={chosen.tbstyle}", f"--verbosity={chosen.verbose}", "--vm"]
    if config.inipath is not None:
        options.append(f"--config-file={config.inipath}")
    if chosen.showlocals:
        options.append("--showlocals")
    options += [f"--vm-kernel={names}" for names in chosen.vm_kernel or ()]
    options += [f"-W{warning}" for warning in chosen.pythonwarnings or ()]
    options += [f"--override-ini={setting}" for setting in chosen.override_ini or ()]
    return options


def _environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if name in _INHERITED
        or (name.startswith(_INHERITED_PREFIXES) and name.isidentifier() and name not in _WITHHELD)
    }

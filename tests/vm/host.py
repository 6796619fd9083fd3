"""The host's side of the plugin: skip guest tests, or have a guest run them and report what it says."""

from __future__ import annotations

import os
from typing import Literal

import pytest

from .missing import explain_missing
from .remote import NotReportedError, RemotePytest
from .selection import is_guest_item, kernel_of, selected_kernels

NOT_ASKED = "needs a guest VM: run `make test` or `pytest --vm`"
REQUIRE_VARIABLE = "STINGLESS_REQUIRE_VM"


class HostPlugin:
    def __init__(self, config: pytest.Config) -> None:
        self._asked = bool(config.getoption("--vm"))
        self._silence = float(config.getoption("--vm-timeout"))
        self._kernels = selected_kernels(config)
        self._missing = {kernel: explain_missing(kernel) for kernel in self._kernels} if self._asked else {}
        self._required = os.environ.get(REQUIRE_VARIABLE, "") not in ("", "0")
        self._guest: RemotePytest | None = None
        self._summaries: list[str] = []
        self._not_run: dict[str, list[str]] = {}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        # Last and kernel by kernel: the quick tests come first and one guest runs at a time.
        items.sort(key=lambda item: 1 + self._kernels.index(kernel_of(item)) if is_guest_item(item) else 0)
        for item in filter(is_guest_item, items):
            reason = self._missing.get(kernel_of(item)) if self._asked else NOT_ASKED
            if reason is None:
                continue
            if self._asked:
                self._not_run.setdefault(reason, []).append(item.nodeid)
            if not self._handles(kernel_of(item)):
                item.add_marker(pytest.mark.skip(reason=reason))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        if not is_guest_item(item) or not self._handles(kernel_of(item)):
            return None
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in self._reports(item):
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        # Nothing was set up for this item, but what an earlier one left (a fixture of the session, say) must not
        # outlive its scope. pytest has no public call for this.
        item.session._setupstate.teardown_exact(nextitem)
        if nextitem is None or not is_guest_item(nextitem) or kernel_of(nextitem) != kernel_of(item):
            self._close()
        return True

    def pytest_sessionfinish(self) -> None:
        self._close()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._summaries:
            terminalreporter.section("guests")
            for line in self._summaries:
                terminalreporter.write_line(line)
        if self._not_run:
            terminalreporter.section("guest tests that could not run")
            for reason, nodeids in self._not_run.items():
                terminalreporter.write_line(reason)
                for nodeid in nodeids:
                    terminalreporter.write_line(f"  {nodeid}")

    def _handles(self, kernel: str) -> bool:
        """Whether the reports come from here. Tests with our skip mark are left to pytest's own protocol."""
        return self._asked and (self._required or self._missing[kernel] is None)

    def _reports(self, item: pytest.Item) -> list[pytest.TestReport]:
        kernel = kernel_of(item)
        if (reason := self._missing.get(kernel)) is not None:
            return [_failure(item, f"{reason}\n{REQUIRE_VARIABLE} is set, so this is a failure")]
        if self._guest is None:
            todo = item.session.items[item.session.items.index(item) :]
            mine = [other for other in todo if is_guest_item(other) and kernel_of(other) == kernel]
            self._guest = RemotePytest(kernel, mine, self._silence)
        try:
            return self._guest.wait(item.nodeid)
        except NotReportedError as error:
            return [*self._guest.partial(item.nodeid), _failure(item, str(error))]

    def _close(self) -> None:
        if self._guest is not None:
            self._guest.close()
            self._summaries.append(self._guest.summary())
            self._guest = None


def _failure(item: pytest.Item, text: str) -> pytest.TestReport:
    keywords: dict[str, Literal[1]] = dict.fromkeys(item.keywords, 1)
    return pytest.TestReport(item.nodeid, item.location, keywords, outcome="failed", longrepr=text, when="call")

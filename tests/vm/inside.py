"""The guest's side of the plugin: run the tests that the host selected and send each report to it."""

from __future__ import annotations

import pytest

from .exchange import Exchange


class InsidePlugin:
    def __init__(self, config: pytest.Config, exchange: Exchange) -> None:
        self._config = config
        self._exchange = exchange

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        by_nodeid = {item.nodeid: item for item in items}
        # One that is not there is not reported, which the host takes for a failure.
        items[:] = [by_nodeid[nodeid] for nodeid in self._exchange.selection() if nodeid in by_nodeid]

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._exchange.send({"event": "start", "nodeid": nodeid})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._exchange.send({"event": "report", "nodeid": report.nodeid, "report": data})

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._exchange.send({"event": "finish", "nodeid": nodeid})

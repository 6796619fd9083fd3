"""`stingless run` on the embedded kernel: no root, real events of a traced command."""

from __future__ import annotations

from tests.run_checks import RunChecks


class TestRunEmbedded(RunChecks):
    kernel = "embedded"

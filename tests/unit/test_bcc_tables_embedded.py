"""bcc's tables on the embedded kernel."""

from __future__ import annotations

from stingless.embedded.kernel import EmbeddedKernel
from stingless.kernel import Kernel
from tests.bcc_table_checks import EventTableChecks, TableChecks


class TestTablesEmbedded(TableChecks):
    def make(self) -> Kernel:
        return EmbeddedKernel()


class TestEventTablesEmbedded(EventTableChecks):
    def make(self) -> Kernel:
        return EmbeddedKernel()

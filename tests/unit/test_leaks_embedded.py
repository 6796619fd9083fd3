"""Nothing is leaked on the embedded kernel."""

from __future__ import annotations

from stingless.embedded.kernel import EmbeddedKernel
from stingless.kernel import Kernel
from tests.leak_checks import LeakChecks


class TestLeaksEmbedded(LeakChecks):
    def make(self) -> Kernel:
        return EmbeddedKernel()

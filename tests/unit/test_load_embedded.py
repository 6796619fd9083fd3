"""`load()` on the embedded kernel."""

from __future__ import annotations

from stingless.embedded.kernel import EmbeddedKernel
from stingless.kernel import Kernel
from tests.object_checks import ObjectChecks


class TestLoadEmbedded(ObjectChecks):
    def make(self) -> Kernel:
        return EmbeddedKernel()

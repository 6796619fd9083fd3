"""The contract suite on the embedded kernel."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stingless.embedded.kernel import EmbeddedKernel
from stingless.kernel import Kernel
from stingless.testing.contract import KernelContract


class TestEmbedded(KernelContract):
    @pytest.fixture
    def kernel(self) -> Iterator[Kernel]:
        with EmbeddedKernel() as kernel:
            yield kernel

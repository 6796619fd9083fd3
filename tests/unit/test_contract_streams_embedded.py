"""The streams contract on the embedded kernel."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stingless.embedded.kernel import EmbeddedKernel
from stingless.kernel import Kernel
from stingless.testing.contract_streams import StreamsContract


class TestEmbeddedStreams(StreamsContract):
    @pytest.fixture
    def kernel(self) -> Iterator[Kernel]:
        with EmbeddedKernel() as kernel:
            yield kernel

"""The streams contract on Linux."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from stingless.kernel import Kernel
from stingless.linux.kernel import LinuxKernel
from stingless.testing.contract_streams import StreamsContract

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="loading programs into Linux needs root")


class TestLinuxStreams(StreamsContract):
    @pytest.fixture
    def kernel(self) -> Iterator[Kernel]:
        with LinuxKernel() as kernel:
            yield kernel

"""Implicit reads, compiled and run in the embedded kernel."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stingless.embedded.kernel import EmbeddedKernel
from tests.ir_cases import ReadChecks


@pytest.fixture(scope="module")
def kernel() -> Iterator[EmbeddedKernel]:
    with EmbeddedKernel() as opened:
        yield opened


class TestEmbeddedReads(ReadChecks):
    pass

"""Implicit reads, accepted by Linux' verifier and run there."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from stingless.linux.kernel import LinuxKernel
from tests.ir_cases import ReadChecks

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="loading programs into Linux needs root")


@pytest.fixture(scope="module")
def kernel() -> Iterator[LinuxKernel]:
    with LinuxKernel() as opened:
        yield opened


class TestLinuxReads(ReadChecks):
    pass

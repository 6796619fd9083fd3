"""`stingless run` on Linux."""

from __future__ import annotations

import os

import pytest

from tests.run_checks import RunChecks

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="loading programs into Linux needs root")


class TestRunLinux(RunChecks):
    kernel = "linux"

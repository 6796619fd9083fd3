"""`load()` on Linux."""

from __future__ import annotations

import os

import pytest

from stingless.kernel import Kernel
from stingless.linux.kernel import LinuxKernel
from tests.object_checks import ObjectChecks

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="loading programs takes root")


class TestLoadLinux(ObjectChecks):
    def make(self) -> Kernel:
        return LinuxKernel()

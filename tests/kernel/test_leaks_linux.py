"""Nothing is leaked on Linux.  The probe is on a call that is rare, and its program only writes to its own map."""

from __future__ import annotations

import os

import pytest

from stingless.kernel import Kernel
from stingless.linux.kernel import LinuxKernel
from tests.leak_checks import LeakChecks

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="loading programs into Linux needs root")


class TestLeaksLinux(LeakChecks):
    def make(self) -> Kernel:
        return LinuxKernel()

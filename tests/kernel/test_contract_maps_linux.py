"""The contract of maps on Linux."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from stingless.kernel import Kernel
from stingless.linux.kernel import LinuxKernel
from stingless.testing.contract_map_kinds import MapKindContract
from stingless.testing.contract_map_programs import MapProgramContract
from stingless.testing.contract_maps import MapContract

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="creating maps in Linux needs root")


class TestLinuxMaps(MapContract):
    @pytest.fixture
    def kernel(self) -> Iterator[Kernel]:
        with LinuxKernel() as kernel:
            yield kernel


class TestLinuxMapKinds(MapKindContract):
    @pytest.fixture
    def kernel(self) -> Iterator[Kernel]:
        with LinuxKernel() as kernel:
            yield kernel


class TestLinuxMapPrograms(MapProgramContract):
    @pytest.fixture
    def kernel(self) -> Iterator[Kernel]:
        with LinuxKernel() as kernel:
            yield kernel

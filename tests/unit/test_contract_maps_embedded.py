"""The contract of maps on the embedded kernel."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stingless.embedded.kernel import EmbeddedKernel
from stingless.kernel import Kernel
from stingless.testing.contract_map_kinds import MapKindContract
from stingless.testing.contract_map_programs import MapProgramContract
from stingless.testing.contract_maps import MapContract


class TestEmbeddedMaps(MapContract):
    @pytest.fixture
    def kernel(self) -> Iterator[Kernel]:
        with EmbeddedKernel() as kernel:
            yield kernel


class TestEmbeddedMapKinds(MapKindContract):
    @pytest.fixture
    def kernel(self) -> Iterator[Kernel]:
        with EmbeddedKernel() as kernel:
            yield kernel


class TestEmbeddedMapPrograms(MapProgramContract):
    @pytest.fixture
    def kernel(self) -> Iterator[Kernel]:
        with EmbeddedKernel() as kernel:
            yield kernel

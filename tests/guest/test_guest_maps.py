"""Maps of kernels of other ages: the contract, every type, pins; with batch commands or without."""

from __future__ import annotations

from tests.kernel.test_contract_maps_linux import TestLinuxMaps as TestLinuxMaps
from tests.kernel.test_maps_pins import *  # noqa: F403
from tests.kernel.test_maps_types import *  # noqa: F403

"""The packet examples on the Linux kernel say what they say on the embedded one."""

from __future__ import annotations

import os

import pytest

from tests.lab_checks import run_script
from tests.unit.test_packets_deck import DECK, SAYS

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="attaching XDP programs on Linux needs root")


@pytest.mark.parametrize("name", SAYS)
def test_example(name: str) -> None:
    assert run_script(DECK / f"{name}.py", "self", "linux").startswith(SAYS[name])

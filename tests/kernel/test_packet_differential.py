"""Packets and scripts of helper calls on them: the embedded kernel against BPF_PROG_TEST_RUN."""

from __future__ import annotations

import os

import pytest

from tests.packet_campaign import compare, explain

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="bpf(2) needs root here")


@pytest.mark.parametrize("kind", ["tc", "xdp"])
def test_same_verdicts_and_packets(kind: str) -> None:
    found = compare(kind, 1500, seed=5)
    assert not found, "\n".join(explain(*each) for each in found[:3])

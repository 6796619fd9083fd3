"""Which fields of which context programs may read and write, and what they may return: our verifier against Linux."""

from __future__ import annotations

import os

import pytest

from tests.context_access import differences, return_differences

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="bpf(2) needs root here")


def test_same_accesses() -> None:
    assert not list(differences(every=19))


def test_same_return_values() -> None:
    assert not list(return_differences())

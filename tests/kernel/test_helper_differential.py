"""Helpers and maps as programs see them: the embedded kernel against the real one."""

from __future__ import annotations

import ctypes
import os
import struct

import pytest

from stingless.embedded.kernel import EmbeddedKernel
from stingless.linux.kernel import LinuxKernel
from tests import helper_programs as programs
from tests.helper_programs import Loaded

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="bpf(2) needs root here")

FRAME = bytes(12) + b"\x08\x00\x45\x17" + bytes(60)


def both(text: str, data: bytes | None = None, ctx: bytes | None = None) -> tuple[bytes, bytes]:
    """What the program leaves in `out` on Linux and on the embedded kernel."""
    found = []
    for kernel in (LinuxKernel(), EmbeddedKernel()):
        with kernel:
            loaded = Loaded(kernel, text)
            loaded.run(data, ctx)
            found.append(loaded.out)
    return found[0], found[1]


@pytest.mark.parametrize("name", ["STRTOL", "STRNCMP", "MAPS", "RINGBUF"])
def test_same_results(name: str) -> None:
    linux, embedded = both(getattr(programs, name))
    assert any(linux)
    assert words(embedded) == words(linux)


def words(out: bytes) -> list[tuple[int, bytes]]:
    return [(i, out[i : i + 8]) for i in range(0, len(out), 8)]


@pytest.mark.parametrize("name", ["PROBE_READ", "SNPRINTF"])
def test_user_memory(name: str) -> None:
    text = ctypes.create_string_buffer(b"user memory")
    linux, embedded = both(getattr(programs, name), ctx=struct.pack("<Q", ctypes.addressof(text)))
    assert b"user memory" in linux
    assert words(embedded) == words(linux)


def test_packets() -> None:
    linux, embedded = both(programs.CSUM, FRAME)
    assert any(linux)
    assert words(embedded) == words(linux)

"""Helpers and maps as programs see them: the embedded kernel against the real one."""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
import threading
import time
from pathlib import Path

import pytest

from stingless.embedded.kernel import EmbeddedKernel
from stingless.linux.kernel import LinuxKernel
from tests import helper_programs as programs
from tests.helper_programs import Loaded

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="bpf(2) needs root here")

FRAME = bytes(12) + b"\x08\x00\x45\x17" + bytes(60)


@pytest.fixture(autouse=True, params=["interpreter", "jit", "checked"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every helper from every engine."""
    monkeypatch.setenv("STINGLESS_ENGINE", request.param)


def both(text: str, data: bytes | None = None, ctx: bytes | None = None) -> tuple[bytes, bytes]:
    """What the program leaves in `out` on Linux and on the embedded kernel."""
    found = []
    for kernel in (LinuxKernel(), EmbeddedKernel()):
        with kernel:
            loaded = Loaded(kernel, text)
            loaded.run(data, ctx)
            found.append(loaded.out)
    return found[0], found[1]


@pytest.mark.parametrize(
    "name", ["STRTOL", "STRNCMP", "MAPS", "RINGBUF", "COUNTERS", "DYNPTR", "LOOPS", "ITERATORS", "STRINGS", "CPUMASK"]
)
def test_same_results(name: str) -> None:
    linux, embedded = both(getattr(programs, name))
    assert any(linux)
    assert words(embedded) == words(linux)


@pytest.mark.parametrize("name", ["LOCK", "DYNPTR_KFUNCS"])
def test_same_results_on_packets(name: str) -> None:
    linux, embedded = both(getattr(programs, name), FRAME)
    assert any(linux)
    assert words(embedded) == words(linux)


def test_interfaces_and_congestion_marks() -> None:
    ip = bytes.fromhex("4502003c1234000040 11abcd 7f000001 7f000001".replace(" ", ""))
    linux, embedded = both(programs.ROUTES, FRAME[:14] + ip + bytes(60))
    assert any(linux)
    assert words(embedded) == words(linux)


def test_lists_and_trees_of_objects() -> None:
    linux, embedded = both(programs.OBJECTS, FRAME)
    assert struct.unpack_from("<14q", linux) == (-1, 2, 4, 1, 3, -1, -1, 1, 2, 2, 5, 7, 9, -1)
    assert words(embedded) == words(linux)


def test_timers() -> None:
    """Set, fired, started by their own callback, cancelled."""
    found = []
    for kernel in (LinuxKernel(), EmbeddedKernel()):
        with kernel:
            loaded = Loaded(kernel, programs.TIMER)
            loaded.run(FRAME)
            deadline = time.monotonic() + 5
            while struct.unpack_from("<q", loaded.out, 16 * 8)[0] < 3 and time.monotonic() < deadline:
                time.sleep(0.01)
            loaded.run(FRAME)
            found.append(words(loaded.out))
    assert found[0][16][1] == (3).to_bytes(8, "little")
    assert found[1] == found[0]


def test_strings_from_user_memory() -> None:
    text = ctypes.create_string_buffer(b"user memory and more")
    linux, embedded = both(programs.USER_STRINGS, ctx=struct.pack("<Q", ctypes.addressof(text)))
    assert b"user memory and\0" in linux
    assert words(embedded) == words(linux)


def test_identity_of_the_caller() -> None:
    place = Path("/proc/self/ns/pid").stat()
    linux, embedded = both(programs.IDENTITY, ctx=struct.pack("<QQ", place.st_dev, place.st_ino))
    assert struct.unpack_from("<I", linux, 16 * 8) == (threading.get_native_id(),)
    assert words(embedded) == words(linux)


def test_copies_from_user_memory() -> None:
    """Also of what is there only in part: that is an error, and nothing but zeroes."""
    text = ctypes.create_string_buffer(b"user memory and more")
    pages = mmap.mmap(-1, 2 * mmap.PAGESIZE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(pages))
    ctypes.CDLL(None).mprotect(ctypes.c_void_p(start + mmap.PAGESIZE), ctypes.c_size_t(mmap.PAGESIZE), 0)
    ctx = struct.pack("<QQ", ctypes.addressof(text), start + mmap.PAGESIZE - 8)
    linux, embedded = both(programs.USER_MEMORY, ctx=ctx)
    assert b"user mem" in linux
    assert words(embedded) == words(linux)


def words(out: bytes) -> list[tuple[int, bytes]]:
    return [(i, out[i : i + 8]) for i in range(0, len(out), 8)]


@pytest.mark.parametrize("name", ["PROBE_READ", "SNPRINTF", "FORMATS"])
def test_user_memory(name: str) -> None:
    text = ctypes.create_string_buffer(b"user memory")
    linux, embedded = both(getattr(programs, name), ctx=struct.pack("<Q", ctypes.addressof(text)))
    assert b"user memory" in linux
    assert words(embedded) == words(linux)


def test_packets() -> None:
    linux, embedded = both(programs.CSUM, FRAME)
    assert any(linux)
    assert words(embedded) == words(linux)

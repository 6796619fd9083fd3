"""The index kept between processes: a kept one is used, and a torn, stale or foreign one is noticed."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from stingless.btf import kernel as module
from stingless.btf.index import dump, fingerprint, restore, type_offsets
from stingless.btf.kernel import KernelBtf, build_id
from stingless.btf.types import Btf, Kind
from stingless.btf.vmlinux import vmlinux_header
from stingless.errors import UnknownNameError
from stingless.private_cache import PrivateCache, cache_directory
from tests.btf_blobs import Blob

ID = "00112233445566778899aabbccddeeff00112233"


def blob_of(*names: str) -> bytes:
    blob = Blob()
    number = blob.integer()
    for i, name in enumerate(names):
        blob.record(name, 8, [("value", number, 32 * (i % 2))])
    return blob.bytes()


ONE, OTHER = blob_of("alpha", "beta"), blob_of("beta", "alpha")


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STINGLESS_CACHE", str(tmp_path))
    return tmp_path / "btf"


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each blob that is gone through."""
    found: list[int] = []

    def counted(data: bytes, *words: object) -> object:
        found.append(len(data))
        return type_offsets(data, *words)  # type: ignore[arg-type]

    monkeypatch.setattr("stingless.btf.types.type_offsets", counted)
    return found


def test_the_second_process_reads_the_index(directory: Path, scans: list[int]) -> None:
    for _ in range(3):
        btf = KernelBtf(ONE, ID)
        assert (btf["alpha"].id, btf["beta"].id, btf["int"].id) == (2, 3, 1)
        assert "gamma" not in btf and len(btf) == 4
        assert [found.name for found in btf] == ["int", "alpha", "beta"]
    assert len(scans) == 1
    assert [(p.name, p.stat().st_mode & 0o777) for p in directory.iterdir()] == [(f"index-{ID}", 0o600)]
    assert directory.stat().st_mode & 0o777 == 0o700


def test_a_blob_without_build_id_keeps_nothing(directory: Path) -> None:
    assert KernelBtf(ONE)["alpha"].id == 2
    assert not directory.exists()


def _torn(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-7])


def _zeroed(file: Path) -> None:
    file.write_bytes(bytes(len(file.read_bytes())))


def _flipped(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-5] ^= 1
    file.write_bytes(data)


def _writable(file: Path) -> None:
    file.chmod(0o666)


def _foreign(file: Path) -> None:
    """A whole index, of another kernel."""
    with PrivateCache("btf") as room:
        btf = KernelBtf(OTHER)
        room.put(file.name, dump(btf._named_index(), fingerprint(OTHER)))


def _older(file: Path) -> None:
    with PrivateCache("btf") as room:
        room.put(file.name, b"btfidx00" + (room.get(file.name) or b"")[8:])


def _fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize("spoil", [_torn, _zeroed, _flipped, _writable, _foreign, _older, _fifo])
def test_a_spoilt_index_is_made_anew(directory: Path, scans: list[int], spoil: Callable[[Path], None]) -> None:
    KernelBtf(ONE, ID)
    spoil(directory / f"index-{ID}")
    scans.clear()
    assert KernelBtf(ONE, ID)["alpha"].id == 2
    assert len(scans) == 1
    assert KernelBtf(ONE, ID)["beta"].id == 3
    assert len(scans) == 1


def test_restoring_checks_lengths() -> None:
    btf = KernelBtf(ONE)
    kept = dump(btf._named_index(), 5)
    assert restore(kept, 5) is not None
    assert restore(kept, 6) is None and restore(kept[:-4], 5) is None and restore(kept + bytes(4), 5) is None
    assert restore(b"", 5) is None and restore(None, 5) is None and restore(kept[:10], 5) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file of another user")
def test_nothing_is_taken_from_another_user(directory: Path, scans: list[int]) -> None:
    KernelBtf(ONE, ID)
    os.chown(directory / f"index-{ID}", 65534, 65534)
    KernelBtf(ONE, ID)
    os.chown(directory, 65534, 65534)
    KernelBtf(ONE, ID)
    assert len(scans) == 3


def test_rooms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STINGLESS_CACHE", "/somewhere")
    assert (cache_directory(), cache_directory("btf")) == (Path("/somewhere"), Path("/somewhere/btf"))
    monkeypatch.delenv("STINGLESS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert cache_directory("btf") == Path("/cache/stingless/btf")
    monkeypatch.setenv("STINGLESS_CACHE", "")
    assert cache_directory("btf") is None


def test_header_is_kept(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    btf = KernelBtf(ONE, ID)
    text = vmlinux_header(btf)
    assert "struct alpha {" in text
    monkeypatch.setattr("stingless.btf.vmlinux._made", lambda btf: "made again")
    assert vmlinux_header(btf) == text
    assert vmlinux_header(KernelBtf(ONE, ID[::-1])) == "made again"
    next(p for p in directory.iterdir() if p.match(f"header-*-{ID}")).write_bytes(b"torn")
    assert vmlinux_header(KernelBtf(ONE, ID)) == "made again"


def note(name: bytes, kind: int, content: bytes) -> bytes:
    def padded(data: bytes) -> bytes:
        return data + bytes(-len(data) % 4)

    return struct.pack("=III", len(name), len(content), kind) + padded(name) + padded(content)


def test_build_id_of_notes(tmp_path: Path) -> None:
    file = tmp_path / "notes"
    linux, xen = note(b"Linux\0", 3, b"no"), note(b"Xen\0", 1, b"abc")
    file.write_bytes(xen + linux + note(b"GNU\0", 1, b"abi") + note(b"GNU\0", 3, bytes.fromhex(ID)))
    assert build_id(file) == ID
    file.write_bytes(xen + linux)
    assert build_id(file) == ""
    file.write_bytes(struct.pack("=III", 4, 1 << 31, 3) + b"GNU\0")
    assert build_id(file) == ""
    assert build_id(tmp_path / "none") == ""


def test_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = KernelBtf(ONE)
    blob = Blob(base=base)
    blob.record("of_module", 8, [("alpha", 2, 0)])
    (tmp_path / "mod").write_bytes(blob.bytes())
    (tmp_path / "vmlinux").write_bytes(ONE)
    monkeypatch.setattr(module, "DIRECTORY", tmp_path)
    monkeypatch.setattr(module, "VMLINUX", tmp_path / "vmlinux")
    assert base.modules() == ["mod"]
    mod = base.module_btf("mod")
    assert mod["of_module"].members["alpha"].type == base["alpha"].id
    assert base.module_btf("mod") is mod
    with pytest.raises(UnknownNameError, match="nearest: mod"):
        base.module_btf("mood")
    monkeypatch.setattr(module, "DIRECTORY", tmp_path / "none")
    assert base.modules() == []


def test_functions() -> None:
    blob = Blob()
    proto = blob.proto(0)
    blob.add(Kind.FUNC, "vfs_read", proto)
    btf = KernelBtf(blob.bytes())
    assert btf.func_id("vfs_read") == 2
    with pytest.raises(UnknownNameError, match=r"kernel function .* 'vfs_reed'; the nearest: vfs_read"):
        btf.func_id("vfs_reed")
    assert isinstance(btf, Btf)

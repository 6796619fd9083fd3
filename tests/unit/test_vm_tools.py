"""The tools that build and describe a guest, as far as they need no guest."""

from __future__ import annotations

import lzma
import stat
import struct
import zlib
from pathlib import Path
from typing import ClassVar, NamedTuple

import pytest

from tests.vm import apt, fetch, missing
from tests.vm.compression import decompress
from tests.vm.cpio import CpioWriter
from tests.vm.kernel_image import bootable_image, payload
from tests.vm.kernels import STAMP, choose, default_kernel, fetched, load_kernels
from tests.vm.modules import closure, module_name, parse_dependencies
from tests.vm.qemu import Machine, command


class Entry(NamedTuple):
    mode: int
    device: tuple[int, int]
    data: bytes


def read_cpio(archive: bytes) -> dict[str, Entry]:
    """An independent reader of `newc`, which also checks the alignment."""
    entries: dict[str, Entry] = {}
    position = 0
    while True:
        assert archive[position : position + 6] == b"070701"
        fields = [int(archive[position + 6 + 8 * i : position + 14 + 8 * i], 16) for i in range(13)]
        mode, size, device, name_size = fields[1], fields[6], (fields[9], fields[10]), fields[11]
        name = archive[position + 110 : position + 110 + name_size]
        assert name.endswith(b"\0")
        start = (position + 110 + name_size + 3) & ~3
        if name == b"TRAILER!!!\0":
            return entries
        entries[name[:-1].decode()] = Entry(mode, device, archive[start : start + size])
        position = (start + size + 3) & ~3


def test_cpio_is_read_back() -> None:
    writer = CpioWriter()
    writer.directory("bin")
    writer.file("bin/tool", b"#!x", executable=True)
    writer.file("etc/odd", b"12345")
    writer.file("empty", b"")
    writer.character_device("dev/console", 5, 1)
    assert read_cpio(writer.finish()) == {
        "bin": Entry(stat.S_IFDIR | 0o755, (0, 0), b""),
        "bin/tool": Entry(stat.S_IFREG | 0o755, (0, 0), b"#!x"),
        "etc/odd": Entry(stat.S_IFREG | 0o644, (0, 0), b"12345"),
        "empty": Entry(stat.S_IFREG | 0o644, (0, 0), b""),
        "dev/console": Entry(stat.S_IFCHR | 0o600, (5, 1), b""),
    }


MODULES_DEP = """\
kernel/net/9p/9pnet.ko:
kernel/net/9p/9pnet_virtio.ko: kernel/net/9p/9pnet.ko kernel/drivers/virtio/virtio.ko
kernel/drivers/virtio/virtio.ko:
kernel/fs/9p/9p.ko.xz: kernel/fs/netfs/netfs.ko kernel/net/9p/9pnet.ko
kernel/fs/netfs/netfs.ko:
kernel/drivers/char/virtio-console.ko: kernel/drivers/virtio/virtio.ko
"""


def test_modules_come_after_what_they_need() -> None:
    dependencies = parse_dependencies(MODULES_DEP)
    order = closure(
        ["9p", "virtio_console", "9pnet_virtio", "overlay"], dependencies, ["kernel/fs/overlayfs/overlay.ko"]
    )
    assert sorted(order) == sorted(dependencies), "all are needed, each once, and a built-in one is left out"
    for path, needs in dependencies.items():
        assert all(order.index(needed) < order.index(path) for needed in needs)


def test_a_module_that_is_not_there() -> None:
    with pytest.raises(LookupError, match="no module virtiofs"):
        closure(["virtiofs"], parse_dependencies(MODULES_DEP), [])


@pytest.mark.parametrize("path", ["kernel/a/snd-hda.ko", "kernel/a/snd-hda.ko.xz", "snd_hda.ko.zst"])
def test_module_name(path: str) -> None:
    assert module_name(path) == "snd_hda"


@pytest.mark.parametrize("compress", [bytes, lzma.compress, lambda data: zlib.compress(data, wbits=31) + b"size"])
def test_decompress(compress: type[bytes]) -> None:
    assert decompress(compress(b"kernel" * 100)) == b"kernel" * 100


def bzimage(compressed: bytes) -> bytes:
    """Three setup sectors after the boot sector, then the payload 16 bytes into the protected-mode code."""
    head = bytearray(4 * 512)
    head[0x1F1] = 3
    head[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", head, 0x248, 16, len(compressed))
    return bytes(head) + b"\x90" * 16 + compressed + b"tail"


def test_kernel_is_unpacked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    elf = b"\x7fELF" + b"kernel" * 100
    image = tmp_path / "vmlinuz"
    image.write_bytes(bzimage(lzma.compress(elf)))
    assert payload(image.read_bytes()) == lzma.compress(elf)
    unpacked = bootable_image(image)
    assert unpacked.read_bytes() == elf
    written = unpacked.stat().st_mtime_ns
    assert bootable_image(image) == unpacked
    assert unpacked.stat().st_mtime_ns == written


def test_a_kernel_that_cannot_be_unpacked_is_booted_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    image = tmp_path / "vmlinuz"
    image.write_bytes(b"something else" * 100)
    assert bootable_image(image) == image


def test_kernel_list() -> None:
    kernels = load_kernels()
    assert default_kernel() == "6.1"
    assert [k.name for k in kernels.values() if k.default] == ["6.1"]
    for name, kernel in kernels.items():
        assert kernel.name == name
        assert kernel.suite
        assert kernel.package.startswith(f"linux-image-{name}."), "the package pins the version"


def test_choose() -> None:
    assert choose(["7.3,5.10", "6.1"]) == ["6.1", "5.10", "7.3"]
    assert choose(["all"]) == list(load_kernels())
    with pytest.raises(ValueError, match=r"no kernel 2\.6"):
        choose(["2.6"])


def test_the_stamp_makes_a_kernel_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    tree = tmp_path / "stingless" / "vm" / "6.1"
    (tree / "boot").mkdir(parents=True)
    assert fetched("6.1") is None
    (tree / STAMP).write_text('{"release": "6.1.0-1-amd64", "version": "6.1.1-1", "package": "linux-image"}')
    kernel = fetched("6.1")
    assert kernel is not None
    assert (kernel.release, kernel.tree) == ("6.1.0-1-amd64", tree)
    assert kernel.image == tree / "boot" / "vmlinuz-6.1.0-1-amd64"


def test_missing_says_what_and_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(missing, "missing_programs", list)
    assert missing.explain_missing("6.1") == (
        "no guest with kernel 6.1: kernel 6.1 is not fetched (run `make vm-deps`)"
    )
    assert (missing.explain_missing("5.10") or "").endswith("(run `make vm-deps KERNELS=5.10`)")
    monkeypatch.setattr(missing, "fetched", lambda name: object())
    assert missing.explain_missing("6.1") is None


def test_missing_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(missing, "find_busybox", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert missing.missing_programs() == [
        "qemu-system-x86_64 is not installed",
        "setpriv is not installed",
        "zstd is not installed",
        "busybox is not installed, or not a static one",
    ]
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert missing.missing_programs() == ["guests are x86-64 only and this is aarch64"]


@pytest.mark.parametrize(("segments", "static"), [((1, 1), True), ((1, 3), False)])
def test_static_programs_have_no_interpreter(tmp_path: Path, segments: tuple[int, ...], static: bool) -> None:
    header = bytearray(64)
    header[:5] = b"\x7fELF\x02"
    struct.pack_into("<Q", header, 0x20, 64)
    struct.pack_into("<HH", header, 0x36, 56, len(segments))
    program = tmp_path / "program"
    program.write_bytes(bytes(header) + b"".join(struct.pack("<I52x", kind) for kind in segments))
    assert missing.is_static(program) is static


def test_a_script_is_not_a_static_program(tmp_path: Path) -> None:
    (tmp_path / "script").write_text("#!/bin/sh\n")
    assert not missing.is_static(tmp_path / "script")


class FakeApt(apt.PrivateApt):
    PACKAGES: ClassVar = {
        "linux-image-7.3.4+deb13-amd64": "kmod, dracut | mkinit, linux-binary-7.3.4 (= 7.3.4-1), linux-base-7.3.4",
        "linux-image-7.3.10+deb13-amd64": "",
        "linux-image-7.3.20+deb13-cloud-amd64": "",
        "linux-binary-7.3.4": "linux-base-7.3.4 (= 7.3.4-1)",
        "linux-base-7.3.4": "linux-base (>= 4)",
    }

    def _run(self, *command: str, cwd: Path | None = None) -> str:
        if command[1] == "pkgnames":
            return "\n".join(self.PACKAGES)
        return f"Package: {command[-1]}\nDepends: {self.PACKAGES[command[-1]]}\nDescription: x\n more: text\n"


def test_the_newest_package_of_the_plain_flavour_is_taken(tmp_path: Path) -> None:
    fake = FakeApt(tmp_path, "suite", "mirror")
    assert fake.newest("linux-image-7.3.*[0-9]-amd64") == "linux-image-7.3.10+deb13-amd64"
    with pytest.raises(apt.AptError, match=r"suite has no package linux-image-9\.\*"):
        fake.newest("linux-image-9.*")


def test_split_packages_are_fetched_with_their_parts(tmp_path: Path) -> None:
    fake = FakeApt(tmp_path, "suite", "mirror")
    parts = fetch._parts(fake, "linux-image-7.3.4+deb13-amd64")
    assert sorted(parts) == ["linux-base-7.3.4", "linux-binary-7.3.4", "linux-image-7.3.4+deb13-amd64"]


def test_a_host_without_a_debian_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(apt.MIRROR_VARIABLE, raising=False)
    monkeypatch.setattr(apt, "_output", lambda command: "http://mirror.example/ubuntu/\n")
    with pytest.raises(apt.AptError, match=apt.MIRROR_VARIABLE):
        apt.find_mirror()
    monkeypatch.setattr(apt, "_output", lambda command: "http://mirror.example/debian/\n")
    assert apt.find_mirror() == "http://mirror.example/debian/"


def test_qemu_ends_with_its_parent_and_takes_any_path() -> None:
    machine = Machine(
        image=Path("vmlinux"),
        initramfs=Path("initrd"),
        console=Path("/srv/a,b/console"),
        memory_mib=512,
        ports={"out": 7},
        shares=[("rw0", Path("/srv/a,b"))],
    )
    arguments = command(machine)
    assert arguments[:3] == ["setpriv", "--pdeathsig", "KILL"]
    assert "file:/srv/a,,b/console" in arguments
    assert any("path=/srv/a,,b," in argument and "readonly=off" in argument for argument in arguments)
    assert any("path=/," in argument and "readonly=on" in argument for argument in arguments)
    assert "socket,id=out,fd=7" in arguments

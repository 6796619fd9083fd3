"""What is read of /proc and uname, from texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from stingless.errors import NotSupportedError, PrivilegeError
from stingless.target.kallsyms import addresses, has_symbol
from stingless.target.kconfig import parse_config
from stingless.target.release import kernel_version, parse_version


@pytest.mark.parametrize(
    ("release", "version", "signature", "expected"),
    [
        ("6.18.44-fc-v595", "#1 SMP", "", (6, 18, 44)),
        ("7.0-rc3", "#1 SMP", "", (7, 0, 0)),
        ("6.1.0-37-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.140-1 (2025-05-22)", "", (6, 1, 140)),
        ("5.4.0-12-generic", "#15-Ubuntu SMP", "Ubuntu 5.4.0-12.15-generic 5.4.8\n", (5, 4, 8)),
    ],
)
def test_versions(release: str, version: str, signature: str, expected: tuple[int, int, int]) -> None:
    assert parse_version(release, version, signature) == expected


def test_the_running_kernel_has_a_version() -> None:
    assert kernel_version() > (3, 0, 0)


def test_no_version() -> None:
    with pytest.raises(ValueError, match="'linux'"):
        parse_version("linux")


def test_config() -> None:
    text = '# CONFIG_A is not set\nCONFIG_B=y\nCONFIG_C="a=b"\n\nCONFIG_D=0x10\n'
    assert parse_config(text.splitlines()) == {"CONFIG_B": "y", "CONFIG_C": '"a=b"', "CONFIG_D": "0x10"}


SYMBOLS = """\
ffffffff81000000 T _stext
ffffffff81000010 t twice
ffffffff81000020 T vfs_read
ffffffff81000024 T vfs_readv
ffffffff81000030 t twice
ffffffff81000040 t local.llvm.1234567890
ffffffffc0000000 t of_module\t[module]
"""


def test_addresses(tmp_path: Path) -> None:
    path = tmp_path / "kallsyms"
    path.write_text(SYMBOLS)
    found = addresses({"_stext", "vfs_read", "twice", "local", "of_module", "absent", "stext"}, path)
    base = 0xFFFFFFFF81000000
    assert found == {
        "_stext": (base,),
        "vfs_read": (base + 0x20,),
        "twice": (base + 0x10, base + 0x30),
        "local": (base + 0x40,),
        "of_module": (0xFFFFFFFFC0000000,),
    }
    assert has_symbol("vfs_readv", path)
    assert not has_symbol("vfs_rea", path)


def test_a_long_list_of_symbols(tmp_path: Path) -> None:
    """Longer than what is read at once, with the wanted ones where pieces meet."""
    lines = [f"{0xFFFFFFFF81000000 + i:016x} t symbol_{i}" for i in range(100_000)]
    path = tmp_path / "kallsyms"
    path.write_text("\n".join(lines) + "\n")
    at = (1 << 20) // (len(lines[50_000]) + 1)
    wanted = {f"symbol_{i}": i for i in range(at - 50, at + 50)}
    assert addresses(wanted, path) == {name: (0xFFFFFFFF81000000 + i,) for name, i in wanted.items()}


def test_hidden_addresses(tmp_path: Path) -> None:
    path = tmp_path / "kallsyms"
    path.write_text("".join(f"{'0' * 16} {line.split(' ', 1)[1]}\n" for line in SYMBOLS.splitlines()))
    with pytest.raises(PrivilegeError, match=r"vfs_read.*kernel.kptr_restrict"):
        addresses({"vfs_read"}, path)
    assert addresses({"absent"}, path) == {}
    assert has_symbol("vfs_read", path)


def test_no_symbols(tmp_path: Path) -> None:
    with pytest.raises(NotSupportedError, match="CONFIG_KALLSYMS"):
        addresses({"x"}, tmp_path / "absent")

"""Which functions can take a kprobe, by what the kernel lists."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stingless.bcc import kernel_functions

SYMBOLS = """\
0000000000000010 T vfs_read
0000000000000020 t vfs_read.cold
0000000000000030 D vfs_data
0000000000000040 T __irqentry_text_start
0000000000000050 T vfs_irq
0000000000000060 T __irqentry_text_end
0000000000000070 W vfs_weak
0000000000000080 T __init_begin
0000000000000090 T vfs_init
00000000000000a0 T __init_end
00000000000000b0 T perf_vfs
00000000000000c0 T vfs_forbidden
00000000000000d0 t vfs_read
00000000000000e0 t vfs_module\t[mod]
00000000000000f0 T _kbl_addr_vfs
"""


@pytest.fixture(autouse=True)
def symbols(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = tmp_path / "kallsyms"
    path.write_text(SYMBOLS)
    monkeypatch.setattr(kernel_functions, "_KALLSYMS", path)
    monkeypatch.setattr(kernel_functions, "_blacklist", lambda: frozenset({b"vfs_forbidden"}))
    kernel_functions._candidates.cache_clear()
    yield path
    kernel_functions._candidates.cache_clear()


def test_what_cannot_be_probed_is_left_out() -> None:
    assert kernel_functions.kprobe_functions(b".*vfs_") == {b"vfs_read", b"vfs_weak", b"vfs_module"}
    assert kernel_functions.kprobe_functions(b"vfs_re") == {b"vfs_read"}
    assert kernel_functions.kprobe_functions(b"read") == set()


def test_sections_whose_end_comes_first(symbols: Path) -> None:
    symbols.write_text(
        "01 T __irqentry_text_end\n02 T __irqentry_text_start\n03 T vfs_open\n04 T __init_begin\n05 T vfs_init\n"
    )
    kernel_functions._candidates.cache_clear()
    assert kernel_functions.kprobe_functions(b"vfs") == {b"vfs_open"}

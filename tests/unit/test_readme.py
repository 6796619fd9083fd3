"""The README's code runs, and its table of examples is complete."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.S)


def test_the_deck_in_ten_lines(tmp_path: Path) -> None:
    script = tmp_path / "hello.py"
    script.write_text(BLOCKS[0])
    command = ["bash", "-c", "for i in 1 2 3; do /bin/true; done"]
    words = ["run", "--kernel", "embedded", str(script), "--", *command]
    done = subprocess.run([sys.executable, "-m", "stingless", *words], capture_output=True, text=True, check=True)
    assert done.stdout.count("bpf_trace_printk: Hello world\n") == 3
    assert f"stingless run hello.py -- bash -c '{command[-1]}'" in README


def test_objects(tmp_path: Path) -> None:
    (tmp_path / "opens.bpf.c").write_text((ROOT / "examples/objects/opens.bpf.c").read_text())
    script = tmp_path / "opens.py"
    script.write_text(BLOCKS[1])
    words = ["run", "--kernel", "embedded", str(script), "--", "cat", "/etc/hostname"]
    done = subprocess.run(
        [sys.executable, "-m", "stingless", *words], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert re.search(r"^\d+ cat /etc/hostname$", done.stdout, re.M)
    assert "stingless run opens.py -- cat /etc/hostname" in README


def test_the_test_without_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_xdp.bpf.c").write_text(
        "#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\n"
        'SEC("xdp") int my_xdp(struct xdp_md *ctx) { return XDP_PASS; }\nchar _license[] SEC("license") = "GPL";'
    )
    monkeypatch.chdir(tmp_path)
    exec(BLOCKS[2], {"packet": bytes(64)})
    assert len(BLOCKS) == 3


def test_every_example_is_named() -> None:
    for path in (ROOT / "examples/deck").glob("*.py"):
        assert f"`{path.name}`" in README


def test_named_files_exist() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target

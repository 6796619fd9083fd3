"""The README's code runs, and its table of examples is complete."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

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


def test_the_test_without_root() -> None:
    names: dict[str, Any] = {
        "source": "#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\n"
        'SEC("xdp") int my_xdp(struct xdp_md *ctx) { return XDP_PASS; }\nchar _license[] SEC("license") = "GPL";',
        "packet": bytes(64),
    }
    exec(BLOCKS[1], names)
    assert len(BLOCKS) == 2


def test_every_example_is_named() -> None:
    for path in (ROOT / "examples/deck").glob("*.py"):
        assert f"`{path.name}`" in README


def test_named_files_exist() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target

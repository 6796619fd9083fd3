"""`stingless build SCRIPT -o DIR`, and the script running from what it saved, with no compiler."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
from time import sleep
from bcc import BPF
TEXT = r'''
BPF_HASH(seen, u32);
int count(void *ctx) {{
    u32 key = NUMBER;
    seen.increment(key);
    return 0;
}}
'''
number = sys.argv[1] if sys.argv[1:] else "7"
b = BPF(text=TEXT.replace("NUMBER", number){flags})
b.attach_kprobe(event=b.get_syscall_fnname("openat"), fn_name="count")
{after}
print("keys:", [k.value for k in b["seen"].keys()])
"""
SLEEP = """
try:
    sleep(99999999)
except KeyboardInterrupt:
    pass
"""


def stingless(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stingless", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | environment,
    )


def script(folder: Path, flags: str = "", after: str = SLEEP) -> Path:
    path = folder / "tool.py"
    path.write_text(SCRIPT.format(flags=flags, after=after))
    return path


WITHOUT_COMPILER = {"STINGLESS_CLANG": "/nonexistent", "STINGLESS_CACHE": ""}
COMMAND = ("--", "cat", "/dev/null")


def test_saved_objects_run_without_a_compiler(tmp_path: Path) -> None:
    tool = script(tmp_path)
    built = stingless("build", tool, "-o", tmp_path / "objects")
    assert built.returncode == 0, built.stderr
    assert built.stdout.split() == [str(path) for path in (tmp_path / "objects").iterdir()]
    run = ("run", "--kernel", "embedded", "--objects", tmp_path / "objects", tool)
    done = stingless(*run, *COMMAND, **WITHOUT_COMPILER)
    assert "keys: [7]" in done.stdout, done.stderr


def test_each_text_has_its_object(tmp_path: Path) -> None:
    tool, objects = script(tmp_path), tmp_path / "objects"
    for args in ((), ("--", "8")):
        assert stingless("build", tool, "-o", objects, *args).returncode == 0
    assert len(list(objects.iterdir())) == 2
    run = ("run", "--kernel", "embedded", "--objects", objects, tool)
    assert "keys: [8]" in stingless(*run, "8", *COMMAND, **WITHOUT_COMPILER).stdout
    other = stingless(*run, "9", *COMMAND, **WITHOUT_COMPILER)
    assert other.returncode == 77
    assert "has 2 objects, and none is of this text" in other.stderr


def test_flags_are_part_of_what_an_object_is_found_by(tmp_path: Path) -> None:
    objects = tmp_path / "objects"
    assert stingless("build", script(tmp_path, ', cflags=["-DX=1"]'), "-o", objects).returncode == 0
    run = ("run", "--kernel", "embedded", "--objects", objects, script(tmp_path, ', cflags=["-DX=2"]'))
    assert "none is of this text" in stingless(*run, *COMMAND, **WITHOUT_COMPILER).stderr


@pytest.mark.parametrize(
    ("after", "says"),
    [
        ("b['seen'].clear()", ""),
        ("b.perf_buffer_poll()", ""),
        ("print(len(b.funcs['count'].nothing))", "ended where it missed what it had attached"),
    ],
)
def test_the_script_ends_where_it_would_use_its_programs(tmp_path: Path, after: str, says: str) -> None:
    done = stingless("build", script(tmp_path, after=after), "-o", tmp_path / "objects")
    assert done.returncode == 0, done.stderr
    assert says in done.stderr
    assert "keys:" not in done.stdout


def test_a_script_without_extension_is_known_by_its_first_line(tmp_path: Path) -> None:
    tool = tmp_path / "opens"
    tool.write_text("#!/usr/bin/env python3\n" + script(tmp_path).read_text())
    assert stingless("build", tool, "-o", tmp_path / "objects").returncode == 0


def test_what_cannot_be_built_says_why(tmp_path: Path) -> None:
    tool, objects = script(tmp_path), tmp_path / "objects"
    assert "need a directory: -o DIR" in stingless("build", tool).stderr
    assert "are for C" in stingless("build", tool, "-o", objects, "-D", "X").stderr
    assert "no script" in stingless("build", tmp_path / "other.py", "-o", objects).stderr
    tool.write_text("raise SystemExit('needs a pid')")
    assert "made no BPF() object and exited with needs a pid" in stingless("build", tool, "-o", objects).stderr
    tool.write_text("from bcc import BPF\nBPF(text='int f(void *ctx) { return x; }')")
    done = stingless("build", tool, "-o", objects)
    assert done.returncode == 1
    assert "main.c:1" in done.stderr
    (tmp_path / "file").write_text("")
    assert "cannot make the directory" in stingless("build", script(tmp_path), "-o", tmp_path / "file").stderr


def test_save_and_object_file(tmp_path: Path) -> None:
    from stingless import BPF
    from stingless.embedded.kernel import EmbeddedKernel
    from stingless.errors import ObjectError

    path = tmp_path / "counts.bpf.o"
    with EmbeddedKernel() as kernel:
        with BPF(text="BPF_ARRAY(counts, u64, 3);", kernel=kernel) as bpf:
            bpf.save(path)
        with BPF(object_file=path, kernel=kernel) as again:
            assert len(again["counts"]) == 3
        with BPF(text="", kernel=kernel) as empty, pytest.raises(ObjectError, match="no program to save"):
            empty.save(path)

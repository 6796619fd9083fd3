"""The cache of compiled objects: hits are exact, and nothing is taken from where others could write."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stingless import BPF
from stingless.compile.bcc import BccRun
from stingless.compile.cache import ObjectCache, object_key
from stingless.embedded.kernel import EmbeddedKernel
from stingless.private_cache import cache_directory

TEXT = "BPF_HASH(h);\nint f(void *ctx) { return 0; }"


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "below" / "objects"
    monkeypatch.setenv("STINGLESS_CACHE", str(path))
    return path


@pytest.fixture
def cache(directory: Path) -> Iterator[ObjectCache]:
    opened = ObjectCache()
    yield opened
    opened.close()


def test_what_was_put_is_got(cache: ObjectCache, directory: Path) -> None:
    assert cache.get("a") is None
    cache.put("a", b"object")
    assert cache.get("a") == b"object"
    assert directory.stat().st_mode & 0o777 == 0o700
    assert [(p.name, p.stat().st_mode & 0o777) for p in directory.iterdir()] == [("a", 0o600)]


def test_a_program_is_compiled_once(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = []

    class Counted(BccRun):
        def __init__(self, *words: Any) -> None:
            runs.append(words)
            super().__init__(*words)

    monkeypatch.setattr("stingless.compile.bcc.BccRun", Counted)
    specs = []
    for text in (TEXT, TEXT, TEXT + " ", TEXT):
        with EmbeddedKernel() as kernel, BPF(text=text, kernel=kernel) as bpf:
            specs.append(bpf.spec)
    assert len(runs) == 2
    assert specs[0] == specs[1] == specs[3]
    assert sum(path.is_file() for path in directory.iterdir()) == 2


def test_keys_differ_by_all_that_matters() -> None:
    variants: list[tuple[str, str, list[str]]] = [(TEXT, "a.c", []), (TEXT, "b.c", []), (TEXT, "a.c", ["-DX"])]
    keys = [object_key(*words) for words in [*variants, ("", "a.c", [])]]
    assert None not in keys and len(set(keys)) == 4
    assert object_key(TEXT, "a.c", []) == keys[0]


@pytest.mark.parametrize(
    ("text", "cflags"),
    [
        ('#include "there_is_no.h"', []),
        ("#define X <x.h>\n#include X", []),
        (TEXT, ["-include", "there_is_no.h"]),
        (TEXT, ["@flags"]),
    ],
)
def test_texts_that_take_in_files_we_do_not_see_are_compiled_each_time(text: str, cflags: list[str]) -> None:
    assert object_key(text, "a.c", cflags) is None


def test_headers_of_the_users_own_are_part_of_the_key(tmp_path: Path) -> None:
    keys = []
    for number in (1, 2, 1):
        (tmp_path / "x.h").write_text(f"#define NUMBER {number}\n")
        included = f'#include "x.h"\n{TEXT}'
        for flags, text in ((["-I", str(tmp_path)], included), (["-include", f"{tmp_path}/x.h"], TEXT)):
            keys.append(object_key(text, "a.c", flags))
    assert None not in keys
    assert keys[:2] == keys[4:] and len(set(keys)) == 4


def test_angle_brackets_are_cached() -> None:
    assert object_key("#include <linux/bpf.h>\n#include  <uapi/linux/ptrace.h>", "a.c", [])


def test_a_directory_that_others_may_write_is_not_used(directory: Path) -> None:
    directory.mkdir(parents=True)
    directory.chmod(0o777)
    opened = ObjectCache()
    opened.put("a", b"object")
    assert opened.get("a") is None
    assert list(directory.iterdir()) == []
    opened.close()


def test_a_link_is_not_followed(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    directory.parent.mkdir()
    directory.symlink_to(tmp_path / "elsewhere")
    opened = ObjectCache()
    opened.put("a", b"object")
    assert list((tmp_path / "elsewhere").iterdir()) == []
    opened.close()


@pytest.mark.parametrize("spoil", ["mode", "content", "short", "link"])
def test_spoilt_files_are_not_used(cache: ObjectCache, directory: Path, spoil: str) -> None:
    cache.put("a", b"object")
    file = directory / "a"
    if spoil == "mode":
        file.chmod(0o666)
    elif spoil == "content":
        file.write_bytes(file.read_bytes()[:-1] + b"X")
    elif spoil == "short":
        file.write_bytes(b"")
    else:
        file.rename(directory / "b")
        file.symlink_to(directory / "b")
    assert cache.get("a") is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file of another user")
def test_files_of_other_users_are_not_used(cache: ObjectCache, directory: Path) -> None:
    cache.put("a", b"object")
    os.chown(directory / "a", 65534, 65534)
    assert cache.get("a") is None
    os.chown(directory, 65534, 65534)
    again = ObjectCache()
    assert again.get("a") is None
    again.close()


def test_the_oldest_go(cache: ObjectCache, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ObjectCache, "entries", 3)
    for number in range(6):
        cache.put(f"k{number}", b"x")
        os.utime(directory / f"k{number}", (number, number))
    assert sorted(p.name for p in directory.iterdir()) == ["k3", "k4", "k5"]


def test_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STINGLESS_CACHE", "")
    assert cache_directory() is None
    opened = ObjectCache()
    opened.put("a", b"object")
    assert opened.get("a") is None


def test_users_own_headers(tmp_path: Path) -> None:
    (tmp_path / "mine.h").write_text("#define ANSWER 42\n")
    source = tmp_path / "prog.c"
    source.write_text('#include "mine.h"\nint f(struct xdp_md *ctx) { return ANSWER; }\n')
    with EmbeddedKernel() as kernel, BPF(src_file=str(source), kernel=kernel) as bpf:
        assert bpf.load_func("f", BPF.XDP).program.run(bytes(64)).retval == 42

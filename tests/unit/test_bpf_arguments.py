"""What `BPF()` says of arguments that it cannot use: before there is a kernel, and so the same on both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stingless import BPF
from stingless.errors import CompileError

F = "int f(void *ctx) { return 0; }"


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({}, ValueError, "exactly one of text=, src_file= and object_file="),
        ({"text": "", "src_file": "x.c"}, ValueError, "exactly one"),
        ({"text": F, "src_file": "x.c"}, ValueError, "exactly one"),
        ({"text": 3}, TypeError, "str or bytes, not 3"),
        ({"text": F, "cflags": "-DX=1"}, TypeError, r"cflags is a list of arguments for clang: \['-DX=1'\]"),
        ({"text": b"int x;\n/* \xff */"}, CompileError, "main.c:2: byte 0xff is not UTF-8"),
        ({"src_file": "no-such.c"}, FileNotFoundError, "no-such.c"),
    ],
)
def test_refused(arguments: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        BPF(**arguments)


def test_source_file_that_is_not_utf8(tmp_path: Path) -> None:
    source = tmp_path / "old.c"
    source.write_bytes(b"/* caf\xe9 */\n" + F.encode())
    with pytest.raises(CompileError, match=r"old\.c:1: byte 0xe9 is not UTF-8; .*iconv"):
        BPF(src_file=str(source))

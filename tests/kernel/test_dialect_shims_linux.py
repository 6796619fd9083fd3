"""Shims of bcc's dialect against the running kernel's types: every function and every constant compiles."""

from __future__ import annotations

from pathlib import Path

import pytest

from stingless.btf.kernel import VMLINUX
from stingless.compile import compile_bcc
from stingless.compile.declared.index import Declaration
from stingless.compile.declared.store import shims
from stingless.obj.reader import read_object
from tests.ir_programs import no_tracepoints

pytestmark = pytest.mark.skipif(not VMLINUX.exists(), reason="this kernel has no BTF")
# Made of bits that this or that kernel does not have, and structs, which are no numbers.
_NO_NUMBERS = {"REQ_WRITE", "REQ_POLLED", "GLOBAL_ROOT_UID", "INVALID_UID"}


def _all() -> list[Declaration]:
    index = shims()
    return [index[number] for number in range(index.count)]


def test_functions() -> None:
    names = sorted({each.names[0] for each in _all() if each.text.startswith("static")})
    assert len(names) > 100
    sums = " ".join(f"x += (u64)&{name};" for name in names)
    spec = read_object(compile_bcc(f"int f(void *ctx) {{ u64 x = 0; {sums} return x > 1; }}", no_tracepoints))
    assert "f" in spec.programs


def test_constants() -> None:
    constants = [each for each in _all() if each.text.startswith("#") and "(" not in each.text.split()[1]]
    macros = {each.names[0] for each in constants if not each.conditions}
    names = sorted(name for name in macros - _NO_NUMBERS if name.isupper())
    assert len(names) > 300
    text = "\n".join(f"u64 f_{name}(void *ctx) {{ return (u64)({name}); }}" for name in names)
    assert len(read_object(compile_bcc(text, no_tracepoints)).programs) == len(names)


def test_every_topic_says_what_it_is_for() -> None:
    from stingless.compile.toolchain import BCC_HEADERS

    topics = sorted(Path(BCC_HEADERS / "kernel").glob("*.h"))
    assert len(topics) > 10
    for topic in topics:
        assert topic.read_text().startswith("/* "), topic

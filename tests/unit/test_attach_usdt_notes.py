"""Static probes: the forms of arguments, the layout of descriptions, and notes that are not as they should be."""

from __future__ import annotations

import contextlib
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stingless.errors import ObjectError
from stingless.symbols.usdt import CONST, REG, REG_DEREF, SIB, Argument, arguments, parse, probe, probes
from stingless.usdt_specs import packed
from tests import usdt_program

X86, ARM = "x86_64", "aarch64"


@pytest.mark.parametrize(
    ("machine", "text", "wanted"),
    [
        (X86, "-4@$-5", Argument(CONST, -5, size=4, signed=True)),
        (X86, "8@$0x10", Argument(CONST, 16)),
        (X86, "8@%rax", Argument(REG, 0, 80)),
        (X86, "-4@%edi", Argument(REG, 0, 112, size=4, signed=True)),
        (X86, "1@%al", Argument(REG, 0, 80, size=1)),
        (X86, "1@%sil", Argument(REG, 0, 104, size=1)),
        (X86, "2@%r10w", Argument(REG, 0, 56, size=2)),
        (X86, "2@%bx", Argument(REG, 0, 40, size=2)),
        (X86, "8@(%rsp)", Argument(REG_DEREF, 0, 152)),
        (X86, "-4@-20(%rbp)", Argument(REG_DEREF, -20, 32, size=4, signed=True)),
        (X86, "1@-96(%rbp,%rax,8)", Argument(SIB, -96, 32, 80, 3, size=1)),
        (X86, "1@(%rbp,%rax)", Argument(SIB, 0, 32, 80, 0, size=1)),
        (ARM, "-4@x3", Argument(REG, 0, 24, size=4, signed=True)),
        (ARM, "4@w30", Argument(REG, 0, 240, size=4)),
        (ARM, "8@[sp]", Argument(REG_DEREF, 0, 248)),
        (ARM, "8@[x1, 60]", Argument(REG_DEREF, 60, 8)),
        (ARM, "-8@-7", Argument(CONST, -7, signed=True)),
    ],
)
def test_forms_of_arguments(machine: str, text: str, wanted: Argument) -> None:
    assert arguments(text, machine) == (wanted,)
    assert arguments(f"4@{'%eax' if machine == X86 else 'w0'} {text}", machine)[1] == wanted


@pytest.mark.parametrize(
    "text", ["8f@%xmm0", "8@%xmm0", "8@symbol(%rip)", "3@%rax", "8", "@", "8@", "8@%", "8@(%rax", "8@(%rax,%rbx,3)"]
)
def test_arguments_that_programs_cannot_read(text: str) -> None:
    with pytest.raises(ObjectError, match="argument"):
        arguments(text, X86)


@given(st.text(st.sampled_from("-@%$()[], 0123456789abrxspf"), max_size=30), st.sampled_from([X86, ARM]))
def test_any_text_is_an_argument_or_refused(text: str, machine: str) -> None:
    try:
        found = arguments(text, machine)
    except ObjectError:
        return
    if len(found) <= 12:
        assert len(packed(found, 1)) == 208


def test_layout_of_a_description() -> None:
    """As `struct __bpf_usdt_spec` in <bpf/usdt.bpf.h>."""
    data = packed([Argument(SIB, -96, 32, 80, 3, 1, True)], 1 << 63)
    assert len(data) == 12 * 16 + 16
    value, bits, register, signed, shift = struct.unpack_from("=qIhBB", data)
    assert (value, register, signed, shift) == (-96, 32, 1, 56)
    assert (bits & 255, bits >> 8 & 0xFFF, bits >> 20 & 15) == (SIB, 80, 3)
    assert struct.unpack_from("=Qh", data, 192) == (1 << 63, 1)
    with pytest.raises(ObjectError, match="13 arguments"):
        packed([Argument(REG, 0)] * 13, 0)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import os

    out = tmp_path_factory.mktemp("usdt") / "library.so"
    source = usdt_program.source(os.uname().machine).encode()
    command = ["gcc", "-w", "-O1", "-shared", "-fPIC", "-x", "c", "-", "-o", str(out)]
    try:
        subprocess.run(command, input=source, check=True)
    except FileNotFoundError:
        pytest.skip("no C compiler")
    return out


def test_places(library: Path) -> None:
    first, second = probe(str(library), "st", "twice")
    assert first.offset != second.offset
    assert first.arguments.startswith("4@")
    assert not probes(str(library)).fixed


def test_damaged_files(library: Path) -> None:
    data = library.read_bytes()

    @example(37, b"\0\0\x80", False)
    @given(st.integers(0, len(data)), st.binary(min_size=1, max_size=9), st.booleans())
    def damaged(at: int, part: bytes, cut: bool) -> None:
        with contextlib.suppress(ObjectError):
            parse(data[:at] if cut else data[:at] + part + data[at + len(part) :])

    damaged()


def test_no_elf_file(tmp_path: Path) -> None:
    for content in (b"", b"#!/bin/sh\n", b"\x7fELF\x02\x01" + bytes(10)):
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(ObjectError):
            probes(str(tmp_path / "file"))

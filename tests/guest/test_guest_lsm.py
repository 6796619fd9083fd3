"""BPF LSM of a real kernel: a program that denies one thing to this process alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stingless._gen.uapi import AttachType, ProgramType
from stingless.asm import opcodes as op
from stingless.asm.instruction import exit_, jump, load, mov_imm
from stingless.btf.kernel import kernel_btf
from stingless.errors import UnknownNameError
from stingless.events import Tracing
from stingless.linux.kernel import LinuxKernel
from tests.linux_support import of_process, program

ME = os.getpid()


@pytest.fixture
def kernel() -> Iterator[LinuxKernel]:
    with LinuxKernel() as k:
        yield k


def test_file_open_denies_one_file_to_this_process(kernel: LinuxKernel, tmp_path: Path) -> None:
    """The file is told by its inode's number: file->f_inode->i_ino, read by BTF pointers."""
    secret, other = tmp_path / "secret", tmp_path / "other"
    secret.write_text("s")
    other.write_text("o")
    btf = kernel_btf()
    body = [
        load(op.DW, 1, 6, 0),
        load(op.DW, 1, 1, btf["file"].members["f_inode"].offset),
        load(op.DW, 7, 1, btf["inode"].members["i_ino"].offset),
        jump(op.JEQ, 7, secret.stat().st_ino, 2),
        mov_imm(0, 0),
        exit_(),
        mov_imm(0, -1),
        exit_(),
    ]
    spec = program(
        ProgramType.LSM,
        of_process(ME, body),
        section="lsm/file_open",
        attach_type=AttachType.LSM_MAC,
        target="file_open",
    )
    link = kernel.attach(kernel.load_program(spec, {}), Tracing())
    with pytest.raises(PermissionError, match="Operation not permitted"):
        secret.read_text()
    assert other.read_text() == "o"
    show = [sys.executable, "-S", "-c", f"print(open({str(secret)!r}).read())"]
    assert subprocess.run(show, capture_output=True, text=True, check=True).stdout == "s\n"
    link.close()
    assert secret.read_text() == "s"


def test_unknown_hook(kernel: LinuxKernel) -> None:
    with pytest.raises(UnknownNameError, match="no LSM hook named 'file_opn'; the nearest: file_open"):
        kernel.load_program(
            program(ProgramType.LSM, [mov_imm(0, 0), exit_()], attach_type=AttachType.LSM_MAC, target="file_opn"), {}
        )

"""fentry and fexit on functions of a real kernel, filtered to this process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from stingless._gen.uapi import AttachType, ProgramType
from stingless.asm import opcodes as op
from stingless.asm.instruction import exit_, load, mov_imm
from stingless.errors import UnknownNameError
from stingless.events import Tracing
from stingless.linux.kernel import LinuxKernel
from tests.linux_support import COUNTS, count, of_process, program, store_value, unlink_in_tmpfs, value

ME = os.getpid()


@pytest.fixture
def kernel() -> Iterator[LinuxKernel]:
    with LinuxKernel() as k:
        yield k


def test_fentry_counts(kernel: LinuxKernel) -> None:
    counts = kernel.create_map(COUNTS)
    spec = program(
        ProgramType.TRACING, of_process(ME, count()), attach_type=AttachType.TRACE_FENTRY, target="vfs_unlink"
    )
    link = kernel.attach(kernel.load_program(spec, {"counts": counts}), Tracing())
    for _ in range(4):
        unlink_in_tmpfs()
    assert value(counts) == 4
    link.close()
    unlink_in_tmpfs()
    assert value(counts) == 4


def test_fexit_has_arguments_and_result(kernel: LinuxKernel, tmp_path: Path) -> None:
    """vfs_read(file, buf, count, pos): the context holds the four arguments, then the result."""
    (tmp_path / "nine").write_bytes(b"123456789")
    seen = []
    for slot in (2, 4):
        counts = kernel.create_map(COUNTS)
        code = of_process(ME, [load(op.DW, 7, 6, 8 * slot), *store_value(7)])
        spec = program(ProgramType.TRACING, code, attach_type=AttachType.TRACE_FEXIT, target="vfs_read")
        link = kernel.attach(kernel.load_program(spec, {"counts": counts}), Tracing())
        fd = os.open(tmp_path / "nine", os.O_RDONLY)
        os.read(fd, 1234)
        link.close()
        os.close(fd)
        seen.append(value(counts))
    assert seen == [1234, 9]


def test_unknown_function(kernel: LinuxKernel) -> None:
    code = [mov_imm(0, 0), exit_()]
    with pytest.raises(UnknownNameError, match=r"nearest: .*\bvfs_unlink\b"):
        kernel.load_program(
            program(ProgramType.TRACING, code, attach_type=AttachType.TRACE_FENTRY, target="vfs_unlinkk"), {}
        )

"""Loaded programs: run with BPF_PROG_TEST_RUN, pin, ask what the kernel made of them.

Minimum kernel: test runs from 4.12 on.  Privileges: CAP_BPF.  Source: net/bpf/test_run.c.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from stingless._gen.uapi import ProgramType
from stingless._sys import bpf_map, bpf_prog
from stingless._sys.syscall import Fd
from stingless.asm import opcodes as op
from stingless.asm.instruction import decode
from stingless.errors import LoadError, NotSupportedError, PrivilegeError, StinglessError
from stingless.kernel import ProgramInfo, RunContext, RunResult, check_repeat, run_inputs
from stingless.linux.maps import LinuxMap
from stingless.linux.refusals import ENOTSUPP, privilege
from stingless.obj.spec import ProgramSpec
from stingless.owned import Owned

if TYPE_CHECKING:
    from stingless.linux.kernel import LinuxKernel

BPF_F_TEST_RUN_ON_CPU = 1
_CONTEXT_ONLY = {ProgramType.RAW_TRACEPOINT, ProgramType.SYSCALL, ProgramType.TRACING}


class LinuxProgram(Owned):
    """A loaded program.  See `stingless.kernel.Program`."""

    def __init__(
        self, kernel: LinuxKernel, spec: ProgramSpec, maps: Mapping[str, LinuxMap], fd: Fd, cgroup_id: int = 0
    ) -> None:
        """`cgroup_id`: the cgroup that the loaded code is confined to."""
        self.kernel = kernel
        self.cgroup_id = cgroup_id
        self.maps = maps
        self._spec = spec
        self._fd = fd

    @property
    def spec(self) -> ProgramSpec:
        return self._spec

    @property
    def fd(self) -> int:
        """The file descriptor: what the value of a PROG_ARRAY holds."""
        return self._fd.fileno()

    @property
    def info(self) -> ProgramInfo:
        """Raises `PrivilegeError` when its BTF may not be read."""
        from stingless.linux.program_info import program_info

        return program_info(self.fd)

    def pin(self, path: str | Path) -> None:
        """Keep it under a path of a bpffs.  Raises `FileExistsError` and other `OSError`s."""
        from stingless.linux import pins

        pins.pin(self.fd, path, f"program {self._spec.name!r}")

    def run(
        self,
        data: bytes | None = None,
        ctx: bytes | RunContext | None = None,
        repeat: int = 1,
        *,
        cpu: int | None = None,
    ) -> RunResult:
        """See `stingless.kernel.Program`.  `cpu`: where a RAW_TRACEPOINT program runs (Linux 5.10)."""
        data, ctx = run_inputs(self._spec, data, ctx)
        check_repeat(repeat)
        context_only = self._spec.type in _CONTEXT_ONLY
        # Test runs may add head room and tail: an skb grows to 64 KiB at most.
        room = len(data) + (64 << 10) if data is not None else 0
        try:
            result = bpf_prog.prog_test_run(
                self.fd,
                data,
                ctx,
                0 if context_only else repeat,
                room,
                not context_only,
                0 if cpu is None else BPF_F_TEST_RUN_ON_CPU,
                cpu or 0,
            )
        except OSError as e:
            raise self._not_run(e.errno or 0, data, ctx) from None
        return RunResult(*result)

    def _not_run(self, code: int, data: bytes | None, ctx: bytes | None) -> StinglessError:
        what = f"program {self._spec.name!r} ({self._spec.type.name})"
        if code in (ENOTSUPP, errno.ENOTSUP):
            advice = "attach it to an event instead, or run it on the embedded kernel"
            return NotSupportedError(f"a test run of {self._spec.type.name} programs", "", advice, code)
        if code == errno.EPERM:
            return privilege(f"a test run of {what}", ("CAP_BPF",))
        given = ", ".join(
            f"{n}: {'none' if b is None else f'{len(b)} B'}" for n, b in (("data", data), ("context", ctx))
        )
        if code == errno.EINVAL and data is not None and len(data) < 14:
            return LoadError(f"{what} was not run ({given}): a packet has an Ethernet header, 14 bytes at least", code)
        return LoadError(f"{what} was not run ({given})", code)

    def _free(self) -> None:
        self._fd.close()


def prints(spec: ProgramSpec) -> bool:
    """Whether it calls bpf_trace_printk() or bpf_trace_vprintk()."""
    code = decode(spec.code)
    printing = (6, 177)  # Helper.trace_printk and trace_vprintk; a start needs no more of that enumeration
    return any(i.opcode == op.JMP | op.CALL and i.src == 0 and i.imm in printing for i in code)


def open_program(kernel: LinuxKernel, source: str | Path | int) -> LinuxProgram:
    """A program that is there already: by the path of its pin, or by its id.  Its spec has what the kernel tells: the
    code is as the verifier left it.  Raises `FileNotFoundError`, `PrivilegeError`, `LoadError`."""
    what = f"program {source}" if isinstance(source, int) else f"what is pinned at {source}"
    try:
        fd = bpf_prog.prog_fd_by_id(source) if isinstance(source, int) else bpf_map.obj_get(str(source))
    except OSError as e:
        if e.errno == errno.ENOENT:
            raise FileNotFoundError(errno.ENOENT, f"there is no {what}") from None
        if e.errno in (errno.EPERM, errno.EACCES):
            needs = "CAP_SYS_ADMIN" if isinstance(source, int) else "permission to read and write its file"
            raise PrivilegeError(f"opening {what} needs {needs}", e.errno) from None
        raise LoadError(f"opening {what}", e.errno or 0) from None
    try:
        if not bpf_prog.is_program(fd.fileno()):
            raise LoadError(f"{what} is not a program", errno.EINVAL)
        info = bpf_prog.prog_info(fd.fileno())
        license = "GPL" if info.gpl_compatible else "not GPL-compatible"
        spec = ProgramSpec(info.name, "", ProgramType(info.type), info.translated, license)
    except BaseException:
        fd.close()
        raise
    return LinuxProgram(kernel, spec, {}, fd)

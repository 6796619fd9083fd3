"""Programs by bpf(2): load with a log only when there is something to explain, run with BPF_PROG_TEST_RUN.

Minimum kernel: 4.4; test runs from 4.12 on.  Privileges: CAP_BPF, and CAP_PERFMON for tracing or CAP_NET_ADMIN for
network types.  Source: kernel/bpf/syscall.c, `bpf_prog_load()`; net/bpf/test_run.c.
"""

from __future__ import annotations

import errno
import re
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING

from stingless._gen.uapi import AttachType, ProgramType
from stingless._sys import bpf
from stingless._sys.syscall import Fd
from stingless.asm import opcodes as op
from stingless.asm.instruction import decode
from stingless.errors import LoadError, NotSupportedError, StinglessError, VerifierError
from stingless.kernel import RunResult
from stingless.linux.maps import LinuxMap
from stingless.linux.refusals import ENOTSUPP, privilege, program_refused
from stingless.obj.spec import ProgramSpec
from stingless.owned import Owned

if TYPE_CHECKING:
    from stingless.linux.kernel import LinuxKernel

BPF_F_SLEEPABLE = 1 << 4
_FIRST_LOG, _LAST_LOG = 64 << 10, 16 << 20
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
    def info(self) -> bpf.ProgramInfo:
        return bpf.prog_info(self.fd)

    def run(self, data: bytes | None = None, ctx: bytes | None = None, repeat: int = 1) -> RunResult:
        context_only = self._spec.type in _CONTEXT_ONLY
        # Test runs may add head room and tail: an skb grows to 64 KiB at most.
        room = len(data) + (64 << 10) if data is not None else 0
        try:
            result = bpf.prog_test_run(self.fd, data, ctx, 0 if context_only else repeat, room, not context_only)
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


def resolved_code(spec: ProgramSpec, maps: Mapping[str, LinuxMap]) -> bytes:
    """The code with the file descriptors of maps in the instructions that load their addresses."""
    code = bytearray(spec.code)
    for ref in spec.map_refs:
        at = ref.insn * 8
        pseudo = op.PSEUDO_MAP_FD if ref.offset is None else op.PSEUDO_MAP_VALUE
        code[at + 1] = code[at + 1] & 0x0F | pseudo << 4
        struct.pack_into("<i", code, at + 4, maps[ref.map].fd)
        struct.pack_into("<I", code, at + 12, ref.offset or 0)
    return bytes(code)


def attach_type_id(spec: ProgramSpec) -> int:
    """The BTF id of the kernel function that an fentry, fexit or LSM program is for; 0 for other programs."""
    if spec.type not in (ProgramType.TRACING, ProgramType.LSM) or not spec.attach_target:
        return 0
    from stingless.btf.kernel import kernel_btf

    name = spec.attach_target
    if spec.type is ProgramType.LSM and not name.startswith("bpf_lsm_"):
        name = "bpf_lsm_" + name
    if spec.attach_type is AttachType.TRACE_ITER and not name.startswith("bpf_iter_"):
        name = "bpf_iter_" + name
    return kernel_btf().func_id(name)


def load(spec: ProgramSpec, maps: Mapping[str, LinuxMap], btf: Fd | None) -> Fd:
    """Verify and load.  Raises `VerifierError`, `LoadError`, `PrivilegeError`, `NotSupportedError`."""
    code = resolved_code(spec, maps)
    target = attach_type_id(spec)
    func_info = line_info = None
    if btf is not None and spec.func_info:
        packed = b"".join(struct.pack("=II", f.insn, f.type_id) for f in spec.func_info)
        func_info = bpf.Records(packed, 8)
        if spec.line_info:
            lines = (struct.pack("=IIII", i.insn, i.file_off, i.line_off, i.line_col) for i in spec.line_info)
            line_info = bpf.Records(b"".join(lines), 16)

    def attempt(log: bpf.Log | None = None) -> Fd:
        return bpf.prog_load(
            spec.type,
            code,
            spec.license,
            spec.name,
            expected_attach_type=spec.attach_type or 0,
            attach_btf_id=target,
            btf_fd=btf.fileno() if btf is not None else 0,
            func_info=func_info,
            line_info=line_info,
            flags=BPF_F_SLEEPABLE if spec.section.split("/")[0].endswith(".s") else 0,
            log=log,
            log_level=0 if log is None else 1,
        )

    silent = errno.EAGAIN
    for _ in range(5):
        try:
            return attempt()
        except OSError as e:
            silent = e.errno or 0
        if silent != errno.EAGAIN:  # a signal interrupted the verifier
            break
    size, text, failed = _FIRST_LOG, "", silent
    while True:
        log = bpf.log_buffer(size)
        try:
            return attempt(log)
        except OSError as e:
            failed, text = e.errno or 0, bpf.log_text(log)
        if failed != errno.ENOSPC or size >= _LAST_LOG:
            break
        size *= 4
    if failed == errno.ENOSPC:
        failed = silent
    if not text.strip():
        raise program_refused(spec, failed)
    from stingless.explain import verifier_error

    refused = verifier_error(spec, text, failed)
    raise _without_helper(refused) or refused


def _without_helper(refused: VerifierError) -> NotSupportedError | None:
    """For a helper whose number this kernel does not know; one that it denies to the program type is an "unknown func"
    to it, and stays a matter of the verifier."""
    from stingless._gen.helpers import Helper

    found = re.match(r"invalid func \S+#(\d+)$", refused.summary)
    name = next((h.name for h in Helper if found is not None and h == int(found[1])), "")
    if not name:
        return None
    where = f"program {refused.program!r} calls it{f' at {refused.source}' if refused.source else ''}"
    advice = f"{where}; take a newer kernel, or try the embedded one: `stingless run --kernel embedded`"
    return NotSupportedError(f"helper bpf_{name}()", "", advice)

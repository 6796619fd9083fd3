"""BPF_PROG_LOAD: silent at first, and with a log only when there is something to explain.

Minimum kernel: 4.4; what a program asks for may need a later one.  Privileges: CAP_BPF, and CAP_PERFMON for tracing or
CAP_NET_ADMIN for network types; CAP_SYS_ADMIN for those that use modules' functions or replace another's.
Source: kernel/bpf/syscall.c, `bpf_prog_load()`.
"""

from __future__ import annotations

import contextlib
import errno
import re
import struct
from collections.abc import Mapping, Sequence

from stingless._gen.uapi import ProgramType
from stingless._sys import bpf_prog
from stingless._sys.limits import raise_memlock
from stingless._sys.syscall import Fd
from stingless.asm import opcodes as op
from stingless.errors import LoadError, NotSupportedError, VerifierError
from stingless.linux import btf_objects
from stingless.linux.maps import LinuxMap
from stingless.obj.spec import ProgramSpec

_FIRST_LOG, _LAST_LOG = 64 << 10, 16 << 20


def resolved_code(spec: ProgramSpec, maps: Mapping[str, LinuxMap], modules: Sequence[int] = ()) -> bytes:
    """The code with file descriptors in the instructions that load addresses of maps, or of variables of the modules
    whose BTF has the descriptors `modules` (in the order of `spec.kfunc_modules`)."""
    code = bytearray(spec.code)
    for ref in spec.map_refs:
        at = ref.insn * 8
        pseudo = op.PSEUDO_MAP_FD if ref.offset is None else op.PSEUDO_MAP_VALUE
        code[at + 1] = code[at + 1] & 0x0F | pseudo << 4
        struct.pack_into("<i", code, at + 4, maps[ref.map].fd)
        struct.pack_into("<I", code, at + 12, ref.offset or 0)
    if modules:
        for at in range(0, len(code), 8):
            if code[at] == op.LD_IMM64 and code[at + 1] >> 4 == op.PSEUDO_BTF_ID:
                (index,) = struct.unpack_from("<I", code, at + 12)
                struct.pack_into("<I", code, at + 12, modules[index - 1] if index else 0)
    return bytes(code)


def load(spec: ProgramSpec, maps: Mapping[str, LinuxMap], btf: Fd | None, target: int | None = None) -> Fd:
    """Verify and load.  `target` is the descriptor of the program that an EXT program, or an fentry or fexit one, is
    for.  Raises `VerifierError`, `LoadError`, `PrivilegeError`, `NotSupportedError`, `UnknownNameError`."""
    with contextlib.ExitStack() as opened:
        return _attempt(opened, spec, maps, btf, target).load()


def verifier_log(spec: ProgramSpec, maps: Mapping[str, LinuxMap], btf: Fd | None, level: int) -> str:
    """What the verifier says of a program that it takes: at branches (`level` 1) or at each instruction (2).  Raises as
    `load`."""
    with contextlib.ExitStack() as opened:
        return _attempt(opened, spec, maps, btf, None).log(level)


def _attempt(
    opened: contextlib.ExitStack, spec: ProgramSpec, maps: Mapping[str, LinuxMap], btf: Fd | None, target: int | None
) -> _Attempt:
    if spec.core_relocations or spec.extern_refs:  # on its own, or what stood in the way before is reported now
        from stingless.obj.resolve import resolve_program
        from stingless.target.running import RunningKernel

        spec = resolve_program(spec, RunningKernel())
    what = f"program {spec.name!r}"

    def module(name: str) -> int:
        fd = btf_objects.open_module(name, what)
        opened.callback(fd.close)
        return fd.fileno()

    modules = [module(name) for name in spec.kfunc_modules]
    if target is not None:
        id_, fd = btf_objects.function_id(target, spec.attach_target, what), target
    else:
        spec = _for_kernel(spec)
        id_, fd = spec.attach_btf_id, module(spec.attach_module) if spec.attach_module else 0
    return _Attempt(spec, resolved_code(spec, maps, modules), btf, id_, fd, (0, *modules) if modules else ())


def _for_kernel(spec: ProgramSpec) -> ProgramSpec:
    """With the BTF id of its target in the kernel, also when nobody resolved it before."""
    if spec.type is ProgramType.EXT:
        raise LoadError(
            f"program {spec.name!r} replaces function {spec.attach_target!r} of another program: say of which, "
            f"`load(..., extends={{{spec.name!r}: program}})`, or `load_program(spec, maps, target=program)`",
            errno.EINVAL,
        )
    if spec.attach_btf_id or not spec.attach_target:
        return spec
    from stingless.obj.attach_ids import with_attach_id
    from stingless.target.running import RunningKernel

    return with_attach_id(spec, RunningKernel())


class _Attempt:
    def __init__(
        self, spec: ProgramSpec, code: bytes, btf: Fd | None, attach_id: int, attach_fd: int, fds: Sequence[int]
    ) -> None:
        self._spec = spec
        self._code = code
        self._btf = btf.fileno() if btf is not None else 0
        self._attach = attach_id, attach_fd
        self._fds = fds
        self._functions = self._lines = None
        if btf is not None and spec.func_info:
            functions = b"".join(struct.pack("=II", f.insn, f.type_id) for f in spec.func_info)
            self._functions = bpf_prog.Records(functions, 8)
            if spec.line_info:
                lines = (struct.pack("=IIII", i.insn, i.file_off, i.line_off, i.line_col) for i in spec.line_info)
                self._lines = bpf_prog.Records(b"".join(lines), 16)

    def _try(self, log: bpf_prog.Log | None = None, level: int = 1) -> Fd:
        spec = self._spec
        return bpf_prog.prog_load(
            spec.type,
            self._code,
            spec.license,
            spec.name,
            expected_attach_type=spec.attach_member if spec.attach_member >= 0 else spec.attach_type or 0,
            attach_btf_id=self._attach[0],
            attach_fd=self._attach[1],
            fd_array=self._fds,
            btf_fd=self._btf,
            func_info=self._functions,
            line_info=self._lines,
            flags=spec.flags,
            log=log,
            log_level=0 if log is None else level,
        )

    def log(self, level: int) -> str:
        size = _FIRST_LOG
        while True:
            log = bpf_prog.log_buffer(size)
            try:
                self._try(log, level).close()
            except OSError as e:
                if e.errno == errno.ENOSPC and size < _LAST_LOG:
                    size *= 4
                    continue
                if e.errno != errno.ENOSPC:
                    self.load().close()  # says why
                    raise
            return bpf_prog.log_text(log)

    def load(self) -> Fd:
        silent = errno.EAGAIN
        for _ in range(5):
            try:
                return self._try()
            except OSError as e:
                silent = e.errno or 0
            # EAGAIN: a signal interrupted the verifier.  EPERM: before Linux 5.11 programs counted as locked memory.
            if silent != errno.EAGAIN and not (silent == errno.EPERM and raise_memlock()):
                break
        size, text, failed = _FIRST_LOG, "", silent
        while True:
            log = bpf_prog.log_buffer(size)
            try:
                return self._try(log)
            except OSError as e:
                failed, text = e.errno or 0, bpf_prog.log_text(log)
            if failed != errno.ENOSPC or size >= _LAST_LOG:
                break
            size *= 4
        if failed == errno.ENOSPC:
            failed = silent
        from stingless.explain import verifier_error
        from stingless.explain.log import NO_REASON

        refused = verifier_error(self._spec, text, failed)
        if refused.summary == NO_REASON:
            from stingless.linux.program_refusals import program_refused

            raise program_refused(self._spec, failed)
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

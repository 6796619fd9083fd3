"""What the kernel has, as its symbols and its BTF tell: scripts choose their programs by these."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from stingless.errors import StinglessError

_KALLSYMS = Path("/proc/kallsyms")


def has_btf() -> bool:
    return Path("/sys/kernel/btf/vmlinux").exists()


@cache
def _symbols(*names: str) -> frozenset[str]:
    """Those of the names that are symbols of the kernel."""
    wanted = {f" {name}\n".encode(): name for name in names}
    found = set()
    try:
        with _KALLSYMS.open("rb") as lines:
            for line in lines:
                at = line.find(b" ", 17)
                if name := wanted.get(line[at:]):
                    found.add(name)
                    if len(found) == len(names):
                        break
    except OSError:
        return frozenset()
    return frozenset(found)


def _on_linux() -> bool:
    """The embedded kernel calls no program from functions of the kernel below it."""
    from stingless import session

    try:
        return session.current().kernel.name == "linux"
    except StinglessError:
        return False


@cache
def trampolines() -> bool:
    """Tried: a program that does nothing is loaded for a function that nobody calls, and attached for a moment.  Some
    kernels have all that it takes, and refuse."""
    if not has_btf() or not _on_linux() or not _symbols("bpf_trampoline_link_prog"):
        return False
    from stingless._gen.uapi import AttachType, ProgramType
    from stingless.asm.instruction import encode, exit_, mov_imm
    from stingless.events import Tracing
    from stingless.linux.kernel import LinuxKernel
    from stingless.obj.spec import ProgramSpec

    code = encode([mov_imm(0, 0), exit_()])
    spec = ProgramSpec(
        "probe",
        "",
        ProgramType.TRACING,
        code,
        attach_type=AttachType.TRACE_FENTRY,
        attach_target="bpf_fentry_test1",
    )
    kernel = LinuxKernel()
    try:
        kernel.attach(kernel.load_program(spec, {}), Tracing())
    except (StinglessError, OSError):
        return False
    finally:
        kernel.close()
    return True


def modify_return() -> bool:
    """Linux 5.7."""
    return trampolines() and bool(_symbols("bpf_modify_return_test"))


def lsm() -> bool:
    return has_btf() and _on_linux() and bool(_symbols("bpf_lsm_bpf"))


def raw_tracepoints() -> bool:
    from stingless import session

    if session.current().kernel.name != "linux":
        return True  # the embedded kernel has them
    return bool(_symbols("bpf_find_raw_tracepoint") or _symbols("bpf_get_raw_tracepoint"))


def raw_tracepoints_of_modules() -> bool:
    return bool(_symbols("bpf_trace_modules"))


def struct_has_field(struct: str, field: str) -> int:
    """1 or 0; -1 where there is no such struct, or no BTF to look it up in."""
    from stingless.btf.kernel import kernel_btf
    from stingless.btf.types import Kind

    try:
        btf = kernel_btf()
    except (StinglessError, OSError):
        return -1
    found = btf.find(struct, Kind.STRUCT)
    if found is None:
        return -1
    todo, seen = [found], set()
    while todo:
        record = todo.pop()
        for member in record.members:
            if member.name == field:
                return 1
            if not member.name and (inner := btf.resolve(member.type)).id not in seen:
                seen.add(inner.id)
                todo.append(inner)
    return 0

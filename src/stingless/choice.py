"""Which kernel to use: Linux where it can load and attach, else the embedded one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stingless._gen.uapi import ProgramType
from stingless.asm.instruction import encode, exit_, mov_imm
from stingless.errors import StinglessError
from stingless.frozen import frozen
from stingless.kernel import Kernel
from stingless.obj.spec import ProgramSpec

if TYPE_CHECKING:
    from stingless.linux.kernel import LinuxKernel

KERNELS = ("auto", "linux", "embedded")


@frozen
class Choice:
    """`why` tells why it is not Linux ("" when it is, or when embedded was asked for)."""

    name: str
    kernel: Kernel
    why: str = ""


def _linux() -> LinuxKernel:
    from stingless.linux.kernel import LinuxKernel

    return LinuxKernel()


def _embedded() -> Kernel:
    from stingless.embedded.kernel import EmbeddedKernel

    return EmbeddedKernel()


def choose_kernel(name: str) -> Choice:
    """`auto` tries: a program that does nothing is loaded and attached for a moment.  Raises `ValueError` for another
    name than those in `KERNELS`."""
    if name not in KERNELS:
        raise ValueError(f"no kernel named {name!r}; there are: {', '.join(KERNELS)}")
    if name == "embedded":
        return Choice(name, _embedded())
    linux = _linux()
    why = "" if name == "linux" else _why_not(linux)
    if not why:
        return Choice("linux", linux)
    linux.close()
    return Choice("embedded", _embedded(), why)


def _why_not(kernel: LinuxKernel) -> str:
    """Why this kernel cannot load and attach ("" when it can)."""
    code = encode([mov_imm(0, 0), exit_()])
    try:
        program = kernel.load_program(ProgramSpec("probe", "", ProgramType.RAW_TRACEPOINT, code), {})
        try:
            if not kernel.attaches(program):
                from stingless.events import RawTracepoint  # the classes of events take long to make

                kernel.attach(program, RawTracepoint("sys_enter")).close()  # tells why
        finally:
            program.close()
    except (StinglessError, OSError) as error:
        return str(error).partition(";")[0]  # what to do about it is done
    return ""

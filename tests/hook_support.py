"""C programs attached by their sections, for the tests of hooks."""

from __future__ import annotations

import os
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from stingless.attach import event_of
from stingless.compile.driver import compile_object
from stingless.linux.kernel import LinuxKernel
from stingless.linux.links import LinuxLink
from stingless.linux.programs import LinuxProgram
from stingless.obj.reader import read_object
from stingless.obj.spec import ObjectSpec

HEAD = r"""
#include <linux/bpf.h>
#if defined(__TARGET_ARCH_x86)
#define __KERNEL__ /* registers by the kernel's names: CO-RE looks for them in its struct */
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};
#else
#include <linux/ptrace.h>
#endif
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
char LICENSE[] SEC("license") = "GPL";
long hits, last;
#define MINE() ((bpf_get_current_pid_tgid() >> 32) == ME)
"""


@cache
def compiled(text: str) -> ObjectSpec:
    return read_object(compile_object(f"#define ME {os.getpid()}\n{HEAD}{text}"))


class Hooks:
    """An object's maps and programs.  The C text has ME, the number of this process, `hits` and `last`."""

    def __init__(self, kernel: LinuxKernel, text: str) -> None:
        self.kernel = kernel
        self.spec = kernel.resolve(compiled(text))
        self.maps = {name: kernel.create_map(each) for name, each in self.spec.maps.items()}
        self._loaded: dict[str, LinuxProgram] = {}

    def program(self, name: str = "prog", target: LinuxProgram | None = None) -> LinuxProgram:
        if name not in self._loaded:
            self._loaded[name] = self.kernel.load_program(self.spec.programs[name], self.maps, target)
        return self._loaded[name]

    def attach(self, name: str = "prog", /, **where: Any) -> LinuxLink:
        program = self.program(name)
        return self.kernel.attach(program, event_of(program.spec, **where))

    def variable(self, name: str, code: str = "q") -> int:
        """A global's value."""
        where = self.spec.variable_specs[name]
        content = self.maps[where.map].lookup(bytes(4))
        assert content is not None
        value: int = struct.unpack_from("=" + code, content, where.offset)[0]
        return value

    @property
    def hits(self) -> int:
        return self.variable("hits")

    @property
    def last(self) -> int:
        return self.variable("last")


@contextmanager
def c_program(text: str, *flags: str) -> Iterator[Path]:
    """A program or library from C, by the machine's compiler, in a directory of its own."""
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "made"
        command = ["gcc", "-O1", "-w", "-x", "c", "-", "-o", str(out), *flags]
        subprocess.run(command, input=text.encode(), check=True)
        yield out

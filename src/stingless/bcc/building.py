"""Running a script for its programs alone: they are compiled and saved, and nothing is loaded or attached.

The script runs, with its arguments, up to where it would wait for events or read a table; until then, what it attaches
is not attached.  So what it does before, it does.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import stingless
import stingless.bcc
import stingless.bpf
from stingless.bcc.module import Function
from stingless.bcc.names import Name, text_of
from stingless.bcc.saved import file_name
from stingless.bpf import BPF
from stingless.obj.spec import ObjectSpec

_NOTHING = ("attach_", "detach_", "remove_", "load_funcs", "free_")
_END = ("trace_", "perf_buffer_", "ring_buffer_", "kprobe_poll", "get_table", "decode_table")


class Built(BaseException):
    """The script has come to where it would use its programs.  Not an `Exception`: scripts catch those."""


def _nothing(*_args: object, **_named: object) -> None:
    return None


def _end(*_args: object, **_named: object) -> None:
    raise Built


class SavingBpf(BPF):
    """`BPF` that saves its object in `directory` and does nothing else.  What `BPF` answers of this machine is true."""

    directory = Path()
    written: list[Path]

    def _compile(self, source: str, name: str, cflags: Sequence[str]) -> ObjectSpec:
        from stingless.cli.output import write

        path = self.directory / file_name(source, cflags)
        data = self._compiled(source, name, cflags)
        if data is not None:
            write(path, data)
            self.written.append(path)
        return self._read(data, name, source)

    def _load(self, spec: ObjectSpec) -> None:
        self.spec = spec

    def load_func(
        self, func_name: Name, prog_type: int, device: Name | None = None, attach_type: int | None = -1
    ) -> Function:
        return Function(self, text_of(func_name), _NoProgram())  # type: ignore[arg-type]

    def cleanup(self) -> None:
        self._closed = True

    close = cleanup

    def __getitem__(self, name: Name) -> Any:
        raise Built


class _NoProgram:
    fd = -1


for _name in dir(BPF):
    if _name.startswith(_NOTHING):
        setattr(SavingBpf, _name, staticmethod(_nothing))
    elif _name.startswith(_END):
        setattr(SavingBpf, _name, staticmethod(_end))


def begin(directory: Path) -> list[Path]:
    """From now on every `BPF` of this process saves its object in `directory`; returns the list of what was written,
    which grows."""
    SavingBpf.directory = directory
    SavingBpf.written = []
    for module in (stingless, stingless.bcc, stingless.bpf):
        vars(module)["BPF"] = SavingBpf
    time.sleep = _end
    return SavingBpf.written

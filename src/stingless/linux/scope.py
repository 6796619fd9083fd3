"""A command of our own in a cgroup of its own, and programs that see nothing else.

Minimum kernel: 4.18 (`bpf_get_current_cgroup_id()`), a cgroup v2 hierarchy.  Privileges: write access to our cgroup.
Source: kernel/bpf/helpers.c, `bpf_get_current_cgroup_id()`.

The helper tells the cgroup that the task is in, not those above: a descendant that moves to another cgroup is lost.
So is what the kernel does for the command in another task (a kernel thread, an interrupt in a neighbour).
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from stingless._gen.uapi import AttachType, ProgramType
from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction, call, exit_, ld_imm64, mov, mov_imm
from stingless.errors import ClosedError
from stingless.linux import guard, guardian
from stingless.obj.spec import ProgramSpec
from stingless.owned import Owned

SCOPED_TYPES = {
    ProgramType.KPROBE,
    ProgramType.TRACEPOINT,
    ProgramType.RAW_TRACEPOINT,
    ProgramType.PERF_EVENT,
    ProgramType.TRACING,
}


_GET_CURRENT_CGROUP_ID = 80  # of Helper; a start needs no more of that enumeration


def applies(spec: ProgramSpec) -> bool:
    """Whether a program is of a kind that is scoped: it runs for whatever task does something."""
    return spec.type in SCOPED_TYPES and spec.attach_type is not AttachType.TRACE_ITER


def prologue(cgroup_id: int) -> list[Instruction]:
    """Instructions that return 0 unless the current task is in that cgroup; the context stays in r1."""
    return [
        mov(6, 1),
        call(_GET_CURRENT_CGROUP_ID),
        *ld_imm64(2, cgroup_id),
        Instruction(op.JMP | op.JEQ | op.X, 0, 2, 2),
        mov_imm(0, 0),
        exit_(),
        mov(1, 6),
    ]


def own_cgroup() -> Path | None:
    """Our directory in the cgroup v2 hierarchy, or None where none is mounted."""
    own = next(
        (line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")), None
    )
    if own is None:
        return None
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        if rest.split()[0] == "cgroup2":
            root, point = fields.split()[3:5]
            if own == root or own.startswith(root.rstrip("/") + "/"):
                return Path(point) / own[len(root.rstrip("/")) :].lstrip("/")
    return None


def create_cgroup() -> tuple[Path | None, str]:
    """A new cgroup under our own, or None and why there is none."""
    parent = own_cgroup()
    if parent is None:
        return None, "no cgroup v2 hierarchy is mounted"
    number = 0
    while True:
        made = parent / f"stingless-{os.getpid()}-{number}"
        try:
            made.mkdir(0o700)
        except FileExistsError:
            number += 1
        except OSError as e:
            return None, f"no cgroup can be made in {parent}: {e.strerror}"
        else:
            return made, ""


class LinuxCommand(Owned):
    """See `stingless.kernel.Command`."""

    def __init__(self, argv: Sequence[str], cgroup: Path | None) -> None:
        """Raises `OSError` when there is no such command, or no guardian can be started."""
        if not argv:
            raise ValueError("no command was given")
        path = shutil.which(argv[0]) or argv[0]  # what is not there is told by release()
        self._name = argv[0]
        self._cgroup = cgroup
        self._pid = -1
        self._status: int | None = None
        self._released = self._gone = False
        self._received = b""
        self._lock = threading.RLock()
        library = str(Path(__file__).parents[2])
        self._process, self._socket = guard.start(["command", str(cgroup or ""), library, path, *argv])

    @property
    def pid(self) -> int:
        return self._pid

    @property
    def cgroup_id(self) -> int:
        """As `bpf_get_current_cgroup_id()` gives it; 0 without a cgroup."""
        return self._cgroup.stat().st_ino if self._cgroup is not None else 0

    def release(self) -> None:
        with self._lock:
            if self._closed:
                raise ClosedError(f"the command {self._name!r} is closed")
            if self._released:
                return
            self._released = True
            self._socket.sendall(b"release\n")
            word, number = self._message(None) or ("", 0)
            if word == "pid":
                self._pid = number
            elif word == "error":
                raise OSError(number, os.strerror(number), self._name)
            else:
                raise ChildProcessError(f"the process that guards {self._name!r} died")

    def wait(self, timeout: float | None = None) -> int | None:
        deadline = None if timeout is None else time.monotonic() + timeout
        while self._status is None and not self._gone:
            left = None if deadline is None else max(deadline - time.monotonic(), 0)
            if self._message(left) is None and not self._gone:
                return None
        if self._status is None and not self._closed:
            raise ChildProcessError(f"the process that guards {self._name!r} died")
        return self._status

    def _message(self, timeout: float | None) -> tuple[str, int] | None:
        """The guardian's next line; None when none came in time, or (with `_gone`) when there will be none."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._lock:
                line, found, rest = self._received.partition(b"\n")
                if found:
                    self._received = rest
                    word, number = line.decode().split()
                    if word == "status":
                        self._status = int(number)
                    return word, int(number)
                if self._gone:
                    return None
                if select.select([self._socket], [], [], 0)[0]:
                    data = self._socket.recv(256)
                    self._received += data
                    self._gone = not data
                    continue
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return None
            poll = select.poll()
            poll.register(self._socket.fileno(), select.POLLIN)
            poll.poll(None if left is None else left * 1000 + 1)

    def _free(self) -> None:
        with contextlib.suppress(OSError):  # when it is dead already
            self._socket.shutdown(socket.SHUT_WR)  # the guardian ends the command, tells its status, and ends
        self._process.wait()
        with self._lock:
            while self._message(0) is not None or not self._gone:
                pass
            self._socket.close()
        if self._cgroup is not None and self._cgroup.exists():  # the guardian was killed
            guardian.destroy_cgroup(self._cgroup)

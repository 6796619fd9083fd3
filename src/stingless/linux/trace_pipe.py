"""trace_pipe: the lines that bpf_trace_printk() writes.

Minimum kernel: 4.1.  Privileges: access to tracefs.  Source: kernel/trace/trace.c, `tracing_open_pipe()`.

There is one pipe for the whole system: it holds the lines of every program, a line that one reader takes is gone for
the others, and since Linux 6.6 it has one reader at a time.  So what is older than our own programs is dropped, by a
line of our own that `mark()` puts in when the first program that prints is loaded; and when the pipe is taken, the
same events are read from a trace instance of our own, which `Watchdog` removes should we be killed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import time
from collections import deque

from stingless._sys.syscall import Fd
from stingless.errors import NotSupportedError
from stingless.linux.refusals import privilege
from stingless.linux.tracefs import Tracefs
from stingless.owned import Owned

_PRINTK = "events/bpf_trace/bpf_trace_printk/enable"


def mark(tracefs: Tracefs) -> bytes | None:
    """Write a line to the trace by which a later reader knows what is older; None when that is not possible."""
    text = f"stingless {os.getpid()} {os.urandom(6).hex()}".encode()
    try:
        file = tracefs.open("trace_marker", os.O_WRONLY)
    except OSError:
        return None
    try:
        os.write(file.fileno(), text)
    except OSError:
        return None
    finally:
        file.close()
    return text


class TracePipe(Owned):
    """See `stingless.kernel.TraceReader`."""

    def __init__(self, file: Fd, mark: bytes | None, instance: Instance | None = None) -> None:
        self._file = file
        self._instance = instance
        self._lines: deque[str] = deque()
        self._partial = b""
        self._poll = select.poll()
        self._poll.register(file.fileno(), select.POLLIN)
        if instance is None:
            self._drop_older(mark)

    def fileno(self) -> int:
        """Readable when there are new lines."""
        return self._file.fileno()

    def _read(self) -> bool:
        try:
            data = os.read(self._file.fileno(), 1 << 16)
        except BlockingIOError:
            return False
        *lines, self._partial = (self._partial + data).split(b"\n")
        self._lines.extend(line.decode(errors="replace") for line in lines)
        return bool(data)

    def _drop_older(self, mark: bytes | None) -> None:
        """Forget the lines up to the mark.  Without it all are newer: the pipe is first in, first out."""
        until = time.monotonic() + 1  # others may go on writing
        while self._read() and time.monotonic() < until:
            pass
        if mark is None:
            self._lines.clear()
            return
        kept = list(self._lines)
        for i, line in enumerate(kept):
            if line.endswith(mark.decode()):
                self._lines = deque(kept[i + 1 :])
                return

    def readline(self, timeout_ms: int = -1) -> str | None:
        deadline = None if timeout_ms < 0 else time.monotonic() + timeout_ms / 1000
        while not self._lines:
            if self._read():
                continue
            left = -1 if deadline is None else round((deadline - time.monotonic()) * 1000)
            if deadline is not None and left <= 0:
                return None
            self._poll.poll(left)
        return self._lines.popleft()

    def _free(self) -> None:
        self._file.close()
        if self._instance is not None:
            self._instance.close()


class Instance:
    """A trace instance that holds only bpf_trace_printk() events, from now on."""

    def __init__(self, tracefs: Tracefs) -> None:
        self.name = f"instances/stingless-{os.getpid()}-{os.urandom(3).hex()}"
        self._tracefs = tracefs
        tracefs.mkdir(self.name)
        from stingless.linux.guard import Watchdog

        self._watchdog = Watchdog(tracefs.fd, self.name)
        enable = tracefs.open(f"{self.name}/{_PRINTK}", os.O_WRONLY)
        os.write(enable.fileno(), b"1")
        enable.close()

    def close(self) -> None:
        self._watchdog.close()
        with contextlib.suppress(FileNotFoundError):
            self._tracefs.rmdir(self.name)


def open_trace(tracefs: Tracefs, mark: bytes | None) -> TracePipe:
    """Raises `PrivilegeError`, `NotSupportedError`."""
    instance = None
    try:
        try:
            return TracePipe(tracefs.open("trace_pipe", os.O_RDONLY | os.O_NONBLOCK), mark)
        except OSError as e:
            if e.errno != errno.EBUSY:
                raise
        instance = Instance(tracefs)
        file = tracefs.open(f"{instance.name}/trace_pipe", os.O_RDONLY | os.O_NONBLOCK)
        return TracePipe(file, None, instance)
    except OSError as e:
        if instance is not None:
            instance.close()
        if e.errno in (errno.EPERM, errno.EACCES):
            raise privilege("reading trace_pipe", ("CAP_SYS_ADMIN",)) from None
        raise NotSupportedError("reading trace_pipe", "", "another reader may hold it", e.errno or 0) from None

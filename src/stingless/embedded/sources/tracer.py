"""Events of a command and all its descendants, by ptrace(2) and seccomp(2): no privileges needed.

System calls that a program was attached to before the command was released are trapped by a seccomp filter; all others
run at full speed.  A program attached later for another call makes every call stop, which is slower, until it is
detached.

Limits:

* `bpf_get_smp_processor_id()` gives the CPU that the tracer runs on; the tracee stopped there or nearby.
* A task's name, user and group as programs see them are at most 10 ms old (its own PR_SET_NAME shows at once when a
  program that asks for names was attached before the release).
* 32-bit and x32 system calls are not seen.
* Without CAP_SYS_ADMIN the filter needs no_new_privs: set-user-ID programs in the tree (sudo, ping) gain no privileges.
* A task has one tracer: debuggers and strace cannot work inside the tree.
* Programs that use shadow stacks (CET) fault on uretprobes.
* os.wait() and waitpid(-1) in another thread would steal the tracer's events: wait for pids.
* A probe attached while the command runs, or a sample, interrupts a thread; a few calls (epoll_wait(2) and others that
  signal(7) says are never restarted) then fail with EINTR, as they do after SIGSTOP and SIGCONT.
"""

from __future__ import annotations

import atexit
import errno
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stingless._sys.tracer import Report
from stingless._sys.tracer import Tracer as NativeTracer
from stingless.embedded.sources.targets import target_of
from stingless.errors import ClosedError, NotSupportedError, PrivilegeError
from stingless.events import Event
from stingless.owned import Owned

if TYPE_CHECKING:
    from stingless.embedded.kernel import EmbeddedKernel
    from stingless.embedded.objects.known import KnownObjects
    from stingless.embedded.programs import EmbeddedProgram


class TracerLink(Owned):
    """See `stingless.kernel.Link`."""

    socket = -1

    def __init__(self, tracer: Tracer, program: EmbeddedProgram, event: Event, number: int, note: str) -> None:
        self._tracer = tracer
        self._program = program.handle  # lives as long as it is attached
        self._number = number
        self.event = event
        self.note = note

    def _free(self) -> None:
        self._tracer.detach(self._number)

    def __repr__(self) -> str:
        return f"<TracerLink {self.event}{' (closed)' if self._closed else ''}>"


class TracedCommand:
    """See `stingless.kernel.Command`."""

    def __init__(self, native: NativeTracer, argv: Sequence[str], unread: Callable[[], None]) -> None:
        if not argv:
            raise ValueError("a command needs a name")
        self._native = native
        self._unread = unread
        self.argv = tuple(argv)
        self.pid = -1
        self._owner = os.getpid()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._lock = threading.Lock()
        self._started = threading.Event()
        self._exited = threading.Event()
        self._status = 0
        self._error = 0

    def release(self) -> None:
        with self._lock:
            if self._thread is None:
                if self._closed:
                    raise ClosedError(f"the command {self.argv[0]!r} was ended")
                path = _executable(self.argv[0])
                self._thread = threading.Thread(target=self._trace, args=(path,), name="stingless-tracer", daemon=True)
                self._thread.start()
        self._started.wait()
        if self._error == errno.EPERM:
            why = (
                "this process is traced itself, and a task has one tracer; run it outside of strace, a debugger or"
                " another `stingless run --kernel embedded`"
                if _is_traced()
                else "ptrace(2) or seccomp(2) is refused here; in a container, run it with a seccomp profile that"
                " allows them"
            )
            raise PrivilegeError(f"the command {self.argv[0]!r} cannot be traced: {why}", errno.EPERM)
        if self._error:
            raise OSError(self._error, os.strerror(self._error), self.argv[0])

    def _trace(self, path: bytes) -> None:
        """The thread that ptrace(2) belongs to."""
        try:
            self.pid = self._native.start(path, [os.fsencode(each) for each in self.argv], os.environb)
            while (report := self._native.run()) is not Report.DONE:
                if report is Report.EXEC_FAILED:
                    self._error = self._native.error or errno.ECHILD
                    self._started.set()
                elif report is Report.STARTED:
                    self._started.set()
                elif report is Report.UNREAD:
                    self._unread()
                else:
                    self._status = os.waitstatus_to_exitcode(self._native.status)
                    self._exited.set()
        except OSError as error:
            self._error = error.errno or errno.ECHILD
        finally:
            self._started.set()
            self._exited.set()

    def wait(self, timeout: float | None = None) -> int | None:
        if not self._exited.wait(timeout):
            return None
        return self._status if self._status >= 0 else 128 - self._status

    def close(self) -> None:
        if os.getpid() != self._owner:
            return  # a fork of this process: the command is not its own
        with self._lock:
            self._closed = True
            if self._thread is not None:
                self._native.close()
                self._thread.join()


class Tracer:
    """The event source of one `EmbeddedKernel`."""

    def __init__(self, kernel: EmbeddedKernel) -> None:
        self._native = NativeTracer()
        self._objects: list[KnownObjects] = []
        self._command: TracedCommand | None = None
        self._closed = False
        self._lock = threading.Lock()

    def spawn(self, argv: Sequence[str]) -> TracedCommand:
        """The one command of this kernel, held until its `release()`."""
        self._open()
        if self._command is not None:
            raise NotSupportedError("a second command on one embedded kernel", advice="make another kernel object")
        self._command = TracedCommand(self._native, argv, self._look)
        atexit.register(self._command.close)
        return self._command

    def attach(self, program: EmbeddedProgram, event: Event) -> TracerLink:
        """Raises `AttachError`.  When the command runs, the program sees it from the return of this call on."""
        self._open()
        target = target_of(event)
        if program.objects is not None and program.objects not in self._objects:
            self._objects.append(program.objects)
        number = self._native.attach(
            program.handle.address,
            target.kind,
            number=target.number,
            pid=target.pid,
            cpu=target.cpu,
            period=target.period,
            file=target.file,
            path=target.path,
            code=target.code,
            counter=target.counter,
            cookie=getattr(event, "cookie", 0),
        )
        notes = [target.note] if target.note else []
        if self._command is None:
            notes.append(f"{event} waits for a command to trace: `stingless run SCRIPT -- COMMAND`")
        return TracerLink(self, program, event, number, "; ".join(notes))

    def _look(self) -> None:
        for each in self._objects:
            each.look()

    def detach(self, number: int) -> None:
        """The program does not run any more when this returns."""
        with self._lock:
            if not self._closed:
                self._native.detach(number)

    @property
    def counts(self) -> tuple[int, int]:
        """(how often tasks stopped, how often programs ran)"""
        self._open()
        return self._native.counts

    def close(self) -> None:
        """End the command and all its descendants."""
        if self._command is not None:
            self._command.close()
            atexit.unregister(self._command.close)
        with self._lock:
            if not self._closed:
                self._closed = True
                self._native.destroy()

    def _open(self) -> None:
        if self._closed:
            raise ClosedError("the tracer is closed")


def _is_traced() -> bool:
    try:
        return "\nTracerPid:\t0\n" not in Path("/proc/self/status").read_text()
    except OSError:
        return False


def _executable(name: str) -> bytes:
    """As execvp(3) finds it.  Raises `OSError` (ENOENT, EACCES)."""
    if "/" in name:
        return os.fsencode(name)
    refused = errno.ENOENT
    for directory in os.get_exec_path():
        path = os.path.join(directory or ".", name)  # noqa: PTH118 -- "./name" must stay that
        if os.path.isfile(path):  # noqa: PTH113
            if os.access(path, os.X_OK):
                return os.fsencode(path)
            refused = errno.EACCES
    raise OSError(refused, os.strerror(refused), name)

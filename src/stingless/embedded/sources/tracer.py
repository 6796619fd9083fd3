"""Events of a command and all its descendants, or of a process of the same user, by ptrace(2): no privileges needed.

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
* A process that was there before is attached to without a filter: while programs are attached to system calls, all its
  calls stop.  It is left as it was found; were this process killed by SIGKILL meanwhile, breakpoints would stay in it.
* Programs that use shadow stacks (CET) fault on uretprobes.
* os.wait() and waitpid(-1) in another thread would steal the tracer's events, and so would a wait for a traced process
  that is a child of this one: wait for other pids, and by `wait()` of what `spawn()` and `follow()` give.
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
                begin = self._prepare()
                self._thread = threading.Thread(target=self._trace, args=(begin,), name="stingless-tracer", daemon=True)
                self._thread.start()
        self._started.wait()
        if self._error:
            raise self._refused(self._error)

    def _prepare(self) -> Callable[[], int]:
        """What the tracing thread begins with; it gives the pid."""
        path = _executable(self.argv[0])
        return lambda: self._native.start(path, [os.fsencode(each) for each in self.argv], os.environb)

    def _refused(self, error: int) -> OSError:
        if error != errno.EPERM:
            return OSError(error, os.strerror(error), self.argv[0])
        why = (
            "this process is traced itself, and a task has one tracer; run it outside of strace, a debugger or"
            " another `stingless run --kernel embedded`"
            if _tracer_of("self")
            else "ptrace(2) or seccomp(2) is refused here; in a container, run it with a seccomp profile that"
            " allows them"
        )
        return PrivilegeError(f"the command {self.argv[0]!r} cannot be traced: {why}", errno.EPERM)

    def _trace(self, begin: Callable[[], int]) -> None:
        """The thread that ptrace(2) belongs to."""
        try:
            self.pid = begin()
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


class FollowedProcess(TracedCommand):
    """A process that was there already.  `release()` attaches to it, `close()` leaves it as it was found."""

    def __init__(self, native: NativeTracer, pid: int, unread: Callable[[], None]) -> None:
        super().__init__(native, (f"process {pid}",), unread)
        self._asked = pid

    def _prepare(self) -> Callable[[], int]:
        def follow() -> int:
            self._native.follow(self._asked)
            return self._asked

        return follow

    def _refused(self, error: int) -> OSError:
        if error == errno.ESRCH:
            return ProcessLookupError(error, f"there is no process {self._asked}")
        if error != errno.EPERM:
            return OSError(error, os.strerror(error), self.argv[0])
        tracer = _tracer_of(str(self._asked))
        why = (
            f"process {tracer} traces it, and a task has one tracer"
            if tracer
            else "it is this process, and none traces itself; have another one trace it (`stingless run --pid`)"
            if self._asked == os.getpid()
            else "it is another user's, it gained privileges, or kernel.yama.ptrace_scope allows one's own children"
            " only; start the command with `stingless run SCRIPT -- COMMAND` instead"
        )
        return PrivilegeError(f"process {self._asked} cannot be traced: {why}", errno.EPERM)


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
        return self._take(TracedCommand(self._native, argv, self._look))

    def follow(self, pid: int) -> FollowedProcess:
        """A process of the same user, with all its threads and what it starts from then on: attached to by `release()`,
        so that programs attached before see all that follows."""
        followed = FollowedProcess(self._native, pid, self._look)
        self._take(followed)
        return followed

    def _take(self, command: TracedCommand) -> TracedCommand:
        self._open()
        if self._command is not None:
            raise NotSupportedError(
                "a second command or process on one embedded kernel", advice="make another kernel object"
            )
        self._command = command
        atexit.register(command.close)
        return command

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
        if self._command is None and target.pid > 0:
            self.follow(target.pid).release()
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
        """End the command and all its descendants; leave a process that was there before."""
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


def _tracer_of(pid: str) -> int:
    """The pid of the process that traces it; 0: none, or it cannot be told."""
    try:
        thread = _number(pid, "TracerPid")
        return _number(str(thread), "Tgid") if thread else 0
    except OSError:
        return 0


def _number(pid: str, line: str) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().partition(f"\n{line}:\t")[2].partition("\n")[0] or 0)


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

"""The kernel that a script's programs run on, and the command that `stingless run` traces with it.

Outside of `stingless run` there is a kernel and no command.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Protocol

from stingless.choice import choose_kernel
from stingless.kernel import Command, Kernel

_QUIET = 0.15  # seconds without a new record after the command's end that count as "all is read"
_READING = 2.0  # seconds that a stream may take to read on what is there
_PATIENCE = 1.0  # seconds after the last attachment after which the script is taken to have attached all it wants
_LONGEST = 15.0  # ... also when it goes on computing
_BUSY = 0.004  # seconds of CPU time in a fifth of a second: it computes; on a busy machine a script gets little


class Stream(Protocol):
    """A stream of events that the script reads."""

    @property
    def unread(self) -> bool:
        """Whether there are events that the script has not had.  Asked by another thread."""


class Session:
    """One kernel, and perhaps one command: held until the script waits for events; its end calls `on_end`, once, when
    what it caused has been read."""

    def __init__(
        self, kernel: Kernel, command: Command | None = None, on_end: Callable[[], None] = lambda: None
    ) -> None:
        self.kernel = kernel
        self.command = command
        self.status: int | None = None
        self.error: OSError | None = None
        self._on_end = on_end
        self._released = False
        self._lock = threading.Lock()
        self._last_record = 0.0
        self._last_attach = 0.0
        self._streams: weakref.WeakSet[Stream] = weakref.WeakSet()

    def attached(self) -> None:
        """A probe was attached.  A script that then never waits for events gets its command after a
        second in which it has nothing to do."""
        if self.command is None or self._released:
            return
        first, self._last_attach = not self._last_attach, time.monotonic()
        if first:
            threading.Thread(target=self._release_when_idle, name="stingless-release", daemon=True).start()

    def _release_when_idle(self) -> None:
        while not self._released:
            waited = time.monotonic() - self._last_attach
            if waited < _PATIENCE:
                time.sleep(_PATIENCE - waited)
                continue
            used = time.process_time()
            time.sleep(0.2)
            if time.process_time() - used < _BUSY or waited > _LONGEST:
                self.waiting()

    def waiting(self) -> None:
        """The script is about to wait for events: all its probes are attached, so the command may start."""
        if self.command is None or self._released:
            return
        with self._lock:
            if self._released:
                return
            self._released = True
            try:
                self.command.release()
            except OSError as error:
                self.error = error
        threading.Thread(target=self._watch, args=(self.command,), name="stingless-command", daemon=True).start()

    def _watch(self, command: Command) -> None:
        if self.error is None:
            self.status = command.wait()
            ended = time.monotonic()
            while time.monotonic() - max(ended, self._last_record) < (_READING if self._unread() else _QUIET):
                time.sleep(_QUIET / 3)
        self._on_end()

    def reads(self, stream: Stream) -> None:
        """The script has opened a stream: it gets the time to read what is in it."""
        self._streams.add(stream)

    def _unread(self) -> bool:
        return any(stream.unread for stream in list(self._streams))

    def record_seen(self) -> None:
        """A reader got a record, so there may be more."""
        self._last_record = time.monotonic()


_current: Session | None = None


def current() -> Session:
    """The process's session; the kernel is chosen by $STINGLESS_KERNEL (linux, embedded, auto) at first use."""
    global _current
    if _current is None:
        choice = choose_kernel(os.environ.get("STINGLESS_KERNEL", "auto"))
        if choice.why:
            print(f"stingless: using the embedded kernel: {choice.why}", file=sys.stderr)
        atexit.register(choice.kernel.close)  # what registers later, as a BPF object does, is closed before it
        _current = Session(choice.kernel)
    return _current


def start(session: Session) -> None:
    """Make `session` the process's own."""
    global _current
    _current = session


def attached(kernel: Kernel) -> None:
    """A program was attached on `kernel`: the process's session, if that is its kernel, hears of it."""
    if _current is not None and _current.kernel is kernel:
        _current.attached()


def opened(stream: Stream) -> None:
    """A stream was opened: the process's session, if there is one, hears of it."""
    if _current is not None:
        _current.reads(stream)


def waiting() -> None:
    """Somebody is about to wait for events: the process's session, if there is one, hears of it."""
    if _current is not None:
        _current.waiting()


def record_seen() -> None:
    """Events came: the process's session, if there is one, hears of it."""
    if _current is not None:
        _current.record_seen()

"""A small process beside a script: it holds COMMAND until it is released, and cleans up when the script has died.

Run as `python -I -S guardian.py PARENT SOCKET remove FD NAME` or `... command CGROUP LIBRARY PATH ARGV...`; it imports
nothing of this package unless there is no cgroup.  It ends when its parent does, also by kill -9, or closes the socket:

remove:   waits for that, then removes the directory NAME, unless it was told to stand down.
command:  on "release" runs PATH in the cgroup and tells "pid N" or "error ERRNO"; when that ends, "status N".  At its
          own end it kills all that is left in the cgroup, with descendants of every generation, and removes the cgroup.
          Without a cgroup (CGROUP is "") it becomes their subreaper, and kills the tree of processes below it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path

# What the terminal sends to the whole process group is for COMMAND and the script; the guardian outlives both.
SIGNALS = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM)
_RESTORED = (signal.SIGPIPE, signal.SIGXFSZ)  # Python ignores them
_REMOVAL_SECONDS = 5.0


class Lost(Exception):
    """The parent died or closed the socket."""


class Guardian:
    def __init__(self, parent: int, control: socket.socket) -> None:
        self.control = control
        # A signal that was ignored when we were started (nohup) stays so for COMMAND.
        self.dispositions = {
            s: signal.SIG_IGN if signal.getsignal(s) is signal.SIG_IGN else signal.SIG_DFL for s in SIGNALS
        }
        for s in SIGNALS:
            signal.signal(s, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # guard.start() blocked them
        self.poll = select.poll()
        self.poll.register(control.fileno(), select.POLLIN)
        self.parent = os.pidfd_open(parent) if os.getppid() == parent else -1
        if self.parent >= 0:
            self.poll.register(self.parent, select.POLLIN)

    def word(self) -> str:
        """The next line from the parent, or "" when another watched descriptor became readable.  Raises `Lost`."""
        if self.parent < 0 or os.getppid() == 1:
            raise Lost
        ready = [fd for fd, _ in self.poll.poll()]
        if self.parent in ready:
            raise Lost
        if self.control.fileno() in ready:
            try:
                line = self.control.recv(64)
            except ConnectionResetError:  # it died with a message of ours unread
                line = b""
            if not line:
                raise Lost
            return line.decode().strip()
        return ""

    def tell(self, line: str) -> None:
        with contextlib.suppress(OSError):
            self.control.sendall(line.encode() + b"\n")


def remove(guardian: Guardian, fd: int, name: str) -> None:
    try:
        if guardian.word() == "stand down":
            return
    except Lost:
        pass
    deadline = time.monotonic() + _REMOVAL_SECONDS
    while time.monotonic() < deadline:  # EBUSY while the files that the dead parent had open are being closed
        try:
            os.rmdir(name, dir_fd=fd)
            return
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.01)


class Child:
    """COMMAND."""

    def __init__(self, guardian: Guardian, cgroup: str, path: str, argv: list[str]) -> None:
        self.guardian, self.cgroup, self.path, self.argv = guardian, cgroup, path, argv
        self.pid = 0
        self.pidfd = -1

    def release(self) -> None:
        failure_read, failure_write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self._become(failure_write)
        os.close(failure_write)
        # It has stopped itself: it enters the cgroup between two system calls, and the next one is its execve().
        os.waitpid(self.pid, os.WUNTRACED)
        self.pidfd = os.pidfd_open(self.pid)
        self.guardian.poll.register(self.pidfd, select.POLLIN)
        if self.cgroup:
            Path(self.cgroup, "cgroup.procs").write_text(str(self.pid))
        os.kill(self.pid, signal.SIGCONT)
        failure = os.read(failure_read, 16)
        os.close(failure_read)
        self.guardian.tell(f"error {failure.decode()}" if failure else f"pid {self.pid}")

    def _become(self, failure: int) -> None:
        try:
            for number, action in self.guardian.dispositions.items():
                signal.signal(number, action)
            for number in _RESTORED:
                signal.signal(number, signal.SIG_DFL)
            environment = dict(os.environ)
            os.kill(os.getpid(), signal.SIGSTOP)
            os.execve(self.path, self.argv, environment)
        except OSError as e:
            os.write(failure, str(e.errno).encode())
        except ValueError:  # an empty name
            os.write(failure, str(errno.ENOENT).encode())
        finally:
            os._exit(127)

    def ended(self) -> bool:
        """Whether it has ended; if so, that was told."""
        if self.pidfd < 0 or not select.select([self.pidfd], [], [], 0)[0]:
            return False
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.guardian.poll.unregister(self.pidfd)
        os.close(self.pidfd)
        self.pidfd = -1
        self.guardian.tell(f"status {status if status >= 0 else 128 - status}")
        return True

    def destroy(self) -> None:
        if self.cgroup:
            destroy_cgroup(Path(self.cgroup))
        else:
            while pids := descendants(os.getpid()):
                for pid in pids:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                self.ended()
                with contextlib.suppress(ChildProcessError):
                    while os.waitpid(-1, os.WNOHANG)[0]:
                        pass
                time.sleep(0.001)
        self.ended()


def destroy_cgroup(cgroup: Path) -> None:
    deadline = time.monotonic() + _REMOVAL_SECONDS
    while cgroup.exists() and time.monotonic() < deadline:
        for directory, _, _ in os.walk(cgroup, topdown=False):
            kill_cgroup(Path(directory))
            with contextlib.suppress(OSError):  # EBUSY until the last of them is gone
                Path(directory).rmdir()
        time.sleep(0.001)


def kill_cgroup(cgroup: Path) -> None:
    try:
        (cgroup / "cgroup.kill").write_text("1")  # Linux 5.14
    except OSError:
        with contextlib.suppress(OSError):
            for pid in (cgroup / "cgroup.procs").read_text().split():
                os.kill(int(pid), signal.SIGKILL)


def descendants(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found[1:]


def command(guardian: Guardian, cgroup: str, library: str, path: str, argv: list[str]) -> None:
    if not cgroup:
        sys.path.insert(0, library)
        from stingless._sys.subreaper import become_subreaper

        become_subreaper()
    child = Child(guardian, cgroup, path, argv)
    try:
        while True:
            if guardian.word() == "release":
                child.release()
            child.ended()
    except Lost:
        pass
    finally:
        child.destroy()


def main(arguments: list[str]) -> None:
    parent, control, task, *rest = arguments
    connection = socket.socket(fileno=int(control))
    connection.set_inheritable(False)
    guardian = Guardian(int(parent), connection)
    if task == "remove":
        remove(guardian, int(rest[0]), rest[1])
    else:
        command(guardian, rest[0], rest[1], rest[2], rest[3:])


if __name__ == "__main__":
    main(sys.argv[1:])

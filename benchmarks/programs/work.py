"""Small things that the tools of bcc can see: `work.py KIND [ARGUMENT]`."""

from __future__ import annotations

import ctypes
import gc
import mmap
import os
import pty
import select
import signal
import socket
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path


def tcp(family: int = socket.AF_INET, host: str = "127.0.0.1") -> None:
    """A connection, 64 KiB each way, and its end."""
    with socket.create_server((host, 0), family=family) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                while data := connection.recv(65536):
                    connection.sendall(data)

        thread = threading.Thread(target=serve)
        thread.start()
        with socket.create_connection(server.getsockname()[:2]) as client:
            for _ in range(4):
                client.sendall(b"x" * 16384)
                left = 16384
                while left:
                    left -= len(client.recv(left))
        thread.join()


def tcp6() -> None:
    tcp(socket.AF_INET6, "::1")


def refused() -> None:
    """A connection to a port where nobody listens."""
    with socket.socket() as s:
        s.connect_ex(("127.0.0.1", 9))


def unanswered() -> None:
    """SYNs that nobody answers: sent again after a second.  The address is made unreachable by a dummy interface."""
    os.system("ip link add gone type dummy; ip addr add 10.99.0.1/24 dev gone; ip link set gone up; "
              "ip neigh replace 10.99.0.2 lladdr 02:00:00:00:00:01 dev gone nud permanent")  # fmt: skip
    with socket.socket() as s:
        s.settimeout(3.5)
        with suppress(OSError):
            s.connect(("10.99.0.2", 80))
    os.system("ip link del gone")


def bind() -> None:
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", 0))
        s.listen(3)


def names() -> None:
    """The C library is asked for an address."""
    for name in ("localhost", "localhost"):
        socket.getaddrinfo(name, 80)
        socket.gethostbyname(name)


def files(directory: str = "/dev/shm") -> None:
    """Make, write, read, rename and remove files."""
    for number in range(20):
        path = Path(directory, f"work-{os.getpid()}-{number}")
        path.write_bytes(b"x" * 8192)
        path.read_bytes()
        other = path.with_suffix(".new")
        path.rename(other)
        with other.open("r+b") as file:
            file.write(b"y")
            os.fsync(file.fileno())
        time.sleep(0.01)
        other.unlink()


def threads() -> None:
    """Threads that wait for a lock and for each other."""
    lock = threading.Lock()

    def work() -> None:
        for _ in range(20):
            with lock:
                time.sleep(0.005)

    many = [threading.Thread(target=work, name=f"worker{n}") for n in range(4)]
    for thread in many:
        thread.start()
    for thread in many:
        thread.join()


def spin(seconds: str = "2") -> None:
    """Two busy processes and a sleepy one."""
    children = []
    for busy in (True, True, False):
        if not (child := os.fork()):
            end = time.monotonic() + float(seconds)
            while time.monotonic() < end:
                sum(range(1000)) if busy else time.sleep(0.01)
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)


def signals() -> None:
    signal.signal(signal.SIGUSR1, lambda *_: None)
    for _ in range(3):
        os.kill(os.getpid(), signal.SIGUSR1)


def oom() -> None:
    """A process in a cgroup of 24 MiB asks for more."""
    root = Path("/sys/fs/cgroup")
    (root / "cgroup.subtree_control").write_text("+memory")
    group = root / "work"
    group.mkdir(exist_ok=True)
    (group / "memory.max").write_text(str(24 << 20))
    child = os.fork()
    if not child:
        (group / "cgroup.procs").write_text(str(os.getpid()))
        hoard = [bytearray(1 << 20) for _ in range(64)]
        os._exit(len(hoard))
    os.waitpid(child, 0)
    group.rmdir()


def shm() -> None:
    libc = ctypes.CDLL(None)
    libc.shmat.restype = ctypes.c_void_p
    number = libc.shmget(0, 4096, 0o1600)
    at = libc.shmat(number, None, 0)
    libc.shmdt(ctypes.c_void_p(at))
    libc.shmctl(number, 0, None)


def passes() -> None:
    """A descriptor goes through a Unix socket."""
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other, Path("/etc/hostname").open() as file:
        socket.send_fds(one, [b"x"], [file.fileno()])
        _, fds, _, _ = socket.recv_fds(other, 10, 1)
        for fd in fds:
            os.close(fd)


def shell() -> None:
    """An interactive shell is given two lines."""
    child, terminal = pty.fork()
    if not child:
        os.environ["TERM"] = "dumb"
        os.execv("/bin/bash", ["bash", "--norc", "-i"])
    for line in (b"echo hello\n", b"exit\n"):
        deadline = time.monotonic() + 1.5
        while (left := deadline - time.monotonic()) > 0:
            if select.select([terminal], [], [], left)[0]:
                try:
                    os.read(terminal, 4096)
                except OSError:
                    break
        os.write(terminal, line)
    time.sleep(0.5)
    os.close(terminal)
    os.waitpid(child, 0)


def typist() -> None:
    """Writes to a terminal of its own, the first that is free, for two minutes."""
    _, terminal = pty.openpty()
    end = time.monotonic() + 120
    while time.monotonic() < end:
        os.write(terminal, b"typed\r\n")
        time.sleep(0.1)


def allocate() -> None:
    """For tools that look at one process: allocates, reads, calls, for two minutes."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    kept = []
    end = time.monotonic() + 120
    while time.monotonic() < end:
        kept.append(libc.malloc(1000))
        libc.strlen(b"hello")
        Path("/etc/hostname").read_text()
        gc.collect()
        _called(3)
        time.sleep(0.05)


def _called(depth: int) -> None:
    if depth:
        _called(depth - 1)


def pages() -> None:
    """A mapped file is read, page by page."""
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
        file.truncate(1 << 20)
        with mmap.mmap(file.fileno(), 0) as mapped:
            for at in range(0, 1 << 20, 4096):
                mapped[at] = 1


def shut() -> None:
    """A connection ends with data that nobody has read: the kernel resets it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        there, _ = server.accept()
        client.sendall(b"x" * 1000)
        time.sleep(0.05)
        there.close()
        client.close()


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])

"""One guest from its start to its end."""

from __future__ import annotations

import os
import selectors
import shlex
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from . import initramfs
from .kernel_image import bootable_image
from .kernels import fetched
from .missing import explain_missing, find_busybox
from .qemu import Machine, command
from .warm import warm

Sink = Callable[[bytes], object]

_PORTS = ("control", "out", "err")
# What still comes after the command's status: the ends of its output, then QEMU's own end.
_POWER_OFF_SECONDS = 5.0


class GuestError(RuntimeError):
    """The guest could not be started, or ended without the command's status."""


class Guest:
    """Boots `kernel` and runs `argv` in it, as root, in `cwd`. A context manager; leaving it ends QEMU.

    Nothing happens in the background: the owner calls `pump` until `running` is false. `returncode` is then the
    command's, or None if the guest ended without one.
    """

    def __init__(
        self,
        kernel: str,
        argv: Sequence[str],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        rw: Sequence[Path] = (),
        memory_mib: int = 2048,
        on_stdout: Sink = lambda data: None,
        on_stderr: Sink = lambda data: None,
    ) -> None:
        self._kernel = kernel
        self._command = _script(argv, cwd or Path.cwd(), {"HOME": str(Path.home()), "LANG": "C.UTF-8", **(env or {})})
        self._shares = [(f"rw{number}", path.resolve()) for number, path in enumerate(rw)]
        self._memory_mib = memory_mib
        self._sinks: dict[str, Sink] = {"control": self._on_control, "out": on_stdout, "err": on_stderr}
        self._control = b""
        self._selector = selectors.DefaultSelector()
        self._directory: Path | None = None
        self._qemu: subprocess.Popen[bytes] | None = None
        self._power_off_by: float | None = None
        self.returncode: int | None = None
        self.boot_seconds: float | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def running(self) -> bool:
        return self._qemu is not None

    def pump(self, seconds: float) -> None:
        """Wait up to `seconds` for the guest to say something, and pass it on."""
        if self._qemu is None:
            return
        for key, _ in self._selector.select(seconds):
            port: socket.socket = key.fileobj  # type: ignore[assignment]
            if not self._read(key.data, port):
                self._selector.unregister(port)
                port.close()
        late = self._power_off_by is not None and time.monotonic() > self._power_off_by
        if late or self._qemu.poll() is not None:
            self._end()

    def console_tail(self, characters: int = 4000) -> str:
        """The end of the kernel's console and of QEMU's own messages; empty after `close`."""
        if self._directory is None:
            return ""
        texts = [(self._directory / name) for name in ("qemu", "console")]
        return "".join(p.read_text(errors="replace") for p in texts if p.exists()).replace("\r", "")[-characters:]

    def close(self) -> None:
        """End the guest at once. May be called again."""
        self._end()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    def _start(self) -> None:
        present, busybox = fetched(self._kernel), find_busybox()
        if (reason := explain_missing(self._kernel)) is not None or present is None or busybox is None:
            raise GuestError(reason)
        self._directory = Path(tempfile.mkdtemp(prefix="stingless-vm-"))
        files = {
            "settings": f"release={present.release}\ntree={shlex.quote(str(present.tree))}\n",
            "mounts": "".join(f"share {tag} {shlex.quote(str(path))}\n" for tag, path in self._shares),
            "command": self._command,
        }
        archive = self._directory / "initramfs"
        archive.write_bytes(
            initramfs.base_archive(present.modules, busybox).read_bytes() + initramfs.run_archive(files)
        )
        image = bootable_image(present.image)
        warm(image)
        theirs = {name: self._open_port(name) for name in _PORTS}
        try:
            machine = Machine(
                image=image,
                initramfs=archive,
                console=self._directory / "console",
                memory_mib=self._memory_mib,
                ports={name: end.fileno() for name, end in theirs.items()},
                shares=self._shares,
            )
            with (self._directory / "qemu").open("wb") as log:
                self._started = time.monotonic()
                self._qemu = subprocess.Popen(
                    command(machine),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=list(machine.ports.values()),
                    # Ctrl-C is for us: we end QEMU after we have read what it still has to say.
                    process_group=0,
                )
        finally:
            for end in theirs.values():
                end.close()

    def _open_port(self, name: str) -> socket.socket:
        """Our end of the port goes to the selector, QEMU's is returned."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self._selector.register(ours, selectors.EVENT_READ, name)
        return theirs

    def _read(self, name: str, port: socket.socket) -> bool:
        """Pass on what is there; False at the end of the stream."""
        try:
            data = port.recv(1 << 16)
        except BlockingIOError:
            return True
        except ConnectionError:
            return False
        if data:
            self._sinks[name](data)
        return bool(data)

    def _on_control(self, data: bytes) -> None:
        *lines, self._control = (self._control + data).split(b"\n")
        for line in lines:
            match line.split():
                case [b"ready"]:
                    self.boot_seconds = time.monotonic() - self._started
                case [b"status", status]:
                    self.returncode = int(status)
                    self._power_off_by = time.monotonic() + _POWER_OFF_SECONDS

    def _end(self) -> None:
        if self._qemu is not None:
            self._qemu.kill()
            self._qemu.wait()
            self._qemu = None
        for key in list((self._selector.get_map() or {}).values()):
            # QEMU is gone and its end is closed, so this stops after what is left in the socket.
            port: socket.socket = key.fileobj  # type: ignore[assignment]
            while self._read(key.data, port):
                pass
            port.close()
        self._selector.close()


def _script(argv: Sequence[str], cwd: Path, env: Mapping[str, str]) -> str:
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in env.items())
    return f"{exports}cd {shlex.quote(os.fspath(cwd))} || exit 126\nexec {shlex.join(argv)}\n"

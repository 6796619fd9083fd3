"""The processes that outlive a killed script just long enough to clean up after it: see `guardian.py`."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from stingless.linux.guardian import SIGNALS

GUARDIAN = Path(__file__).with_name("guardian.py")


def start(arguments: Sequence[str], fds: Sequence[int] = ()) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """A guardian of this process, and our end of the socket to it."""
    ours, theirs = socket.socketpair()
    # Ctrl-C must not end it before it has set its signals up, nor us between its start and our knowing of it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        # Isolated and without site: it starts in some 10 ms and imports nothing of ours.
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(GUARDIAN), str(os.getpid()), str(theirs.fileno()), *arguments],
            pass_fds=[theirs.fileno(), *fds],
        )
        return process, ours
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Watchdog:
    """Removes a directory (`name` in the directory `fd`) should this process die without having done so."""

    def __init__(self, fd: int, name: str) -> None:
        self._process, self._socket = start(["remove", str(fd), name], [fd])

    def close(self) -> None:
        """Stand down: the caller removes the directory itself."""
        self._socket.sendall(b"stand down\n")
        self._socket.close()
        self._process.wait()

"""Run one command as root in a guest: `python -m tests.vm.run [-k 6.1] [--rw DIR] -- CMD [ARG...]`.

The guest sees the host's file system; what it writes there is its own and is lost, but for the directories of --rw.
Output and exit status are the command's; 124 stands for a timeout and 125 for a guest that died.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .guest import Guest, GuestError, Sink
from .kernels import default_kernel, load_kernels

TIMEOUT_STATUS = 124
DIED_STATUS = 125


@dataclass(frozen=True)
class GuestResult:
    returncode: int
    stdout: str
    stderr: str
    boot_seconds: float


class GuestTimeoutError(GuestError, TimeoutError):
    """The command did not end in time."""


def run_guest(
    kernel: str,
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 600.0,
    rw: Sequence[Path] = (),
    memory_mib: int = 2048,
    on_stdout: Sink | None = None,
    on_stderr: Sink | None = None,
) -> GuestResult:
    """Run `argv` in a guest and wait for it. The sinks get the output while it comes.

    `env` is all the environment the command has beside PATH, HOME and LANG. Raises GuestError, with the end of the
    console, when the guest cannot be started or dies, and GuestTimeoutError after `timeout` seconds, boot included.
    """
    stdout, stderr = bytearray(), bytearray()
    guest = Guest(
        kernel,
        argv,
        cwd=cwd,
        env=env,
        rw=rw,
        memory_mib=memory_mib,
        on_stdout=_tee(stdout, on_stdout),
        on_stderr=_tee(stderr, on_stderr),
    )
    end = time.monotonic() + timeout
    with guest:
        while guest.running:
            left = end - time.monotonic()
            if left <= 0 and guest.returncode is None:
                raise GuestTimeoutError(f"kernel {kernel}: no end after {timeout:g} s\n{guest.console_tail()}")
            guest.pump(min(max(left, 0.1), 0.5))
        if guest.returncode is None:
            raise GuestError(f"kernel {kernel}: the guest ended without an exit status\n{guest.console_tail()}")
        return GuestResult(
            guest.returncode,
            stdout.decode(errors="replace"),
            stderr.decode(errors="replace"),
            guest.boot_seconds or 0.0,
        )


def _tee(buffer: bytearray, sink: Sink | None) -> Callable[[bytes], None]:
    def receive(data: bytes) -> None:
        buffer.extend(data)
        if sink is not None:
            sink(data)

    return receive


def _writer(fd: int) -> Sink:
    """Writes through at once, also what is not text."""
    stream = open(fd, "wb", buffering=0, closefd=False)  # noqa: SIM115 - the descriptor is not ours to close
    return stream.write


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.vm.run", description="Run one command in a guest.")
    parser.add_argument("-k", "--kernel", default=default_kernel(), choices=list(load_kernels()))
    parser.add_argument("-e", "--env", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("-m", "--memory", type=int, default=2048, metavar="MIB")
    parser.add_argument("--rw", type=Path, action="append", default=[], metavar="DIR", help="the guest may write here")
    parser.add_argument("--timeout", type=float, default=600.0, metavar="SECONDS")
    parser.add_argument("-v", "--verbose", action="store_true", help="tell how long it took")
    parser.add_argument("command", nargs="+")
    args = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the guest is cleaned up
    start = time.monotonic()
    try:
        result = run_guest(
            args.kernel,
            args.command,
            env=dict(entry.split("=", 1) for entry in args.env),
            timeout=args.timeout,
            rw=args.rw,
            memory_mib=args.memory,
            on_stdout=_writer(1),
            on_stderr=_writer(2),
        )
    except GuestError as error:
        print(error, file=sys.stderr)
        return TIMEOUT_STATUS if isinstance(error, TimeoutError) else DIED_STATUS
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    if args.verbose:
        total = time.monotonic() - start
        print(f"kernel {args.kernel}: booted in {result.boot_seconds:.2f} s, {total:.2f} s in all", file=sys.stderr)
    return result.returncode


if __name__ == "__main__":
    sys.exit(main())

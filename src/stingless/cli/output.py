"""What commands print and write."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def show(text: str, status: int = 0) -> int:
    """Print to standard output; returns the exit status: `status`, or 1 when that could not be written."""
    try:
        print(text, end="" if text.endswith("\n") else "\n", flush=True)
    except OSError as error:
        # What is left in the buffer is not to be written at the end of the process.
        os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):  # with that the reader, such as head, has enough
            print(f"stingless: cannot write to standard output: {error.strerror}", file=sys.stderr)
            return 1
    return status


def write(output: Path, data: bytes) -> None:
    """In one step where `output` is, or will be, an ordinary file; links and devices are written through.  Raises
    `OSError` that names the file."""
    if output.is_symlink() or (output.exists() and not output.is_file()):
        try:
            output.write_bytes(data)
        except OSError as error:  # of a device that is full, without its name
            raise OSError(error.errno, error.strerror, str(output)) from None
        return
    temporary = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        temporary.write_bytes(data)
        temporary.replace(output)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(output)) from None
    finally:
        temporary.unlink(missing_ok=True)

"""`stingless build SCRIPT -o DIR`: the programs of a bcc script to object files, for machines without a compiler."""

from __future__ import annotations

import runpy
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from stingless.errors import StinglessError


def is_script(path: Path) -> bool:
    """Is this file Python, by its name or its first line?"""
    if path.suffix:
        return path.suffix == ".py"
    try:
        with path.open("rb") as file:
            return b"python" in file.readline(200)
    except OSError:
        return False


def build_script(script: Path, args: Sequence[str], directory: Path) -> int:
    """Run the script for its programs, and tell what was saved.  Returns the exit status."""
    from stingless.bcc.alias import install

    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print(f"stingless build: cannot make the directory {directory}: {error.strerror}", file=sys.stderr)
        return 2
    from stingless.bcc import building

    install()
    written = building.begin(directory)
    sys.argv = [str(script), *args]
    sys.path.insert(0, str(script.resolve().parent))
    status: object = 0
    try:
        runpy.run_path(str(script), run_name="__main__")
    except building.Built:
        pass
    except SystemExit as done:
        status = done.code
    except StinglessError as error:
        print(f"stingless build: {script}: {error}", file=sys.stderr)
        return 1
    except Exception as error:
        if not written:
            traceback.print_exception(error)
            return 1
        line = traceback.extract_tb(error.__traceback__)[-1].lineno
        print(
            f"stingless build: {script} ended where it missed what it had attached, line {line}: {error}",
            file=sys.stderr,
        )
    for path in dict.fromkeys(written):
        print(path)
    if written:
        return 0
    asked = f" with the arguments {' '.join(args)}" if args else ""
    ended = f" and exited with {status}" if status else ""
    print(f"stingless build: {script} made no BPF() object{asked}{ended}", file=sys.stderr)
    return 1

"""Runs a test's body in a process of its own, as this user and, for root, also as one without privileges.

A network lab moves its process into other namespaces, for good when the user is not root, so it is no place for pytest.
"""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_NOBODY = 65534
USERS = ("self", "ordinary")

_ENTER = "from stingless.testing import net\nwith net.lab(): pass"


def run(
    arguments: list[str], user: str = "self", kernel: str = "auto", timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run Python with this process's import path, as `user` (one of USERS)."""
    other = user == "ordinary" and os.geteuid() == 0
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(_ROOT), *filter(None, sys.path)]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "STINGLESS_KERNEL": kernel,
    }
    return subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=environment,
        cwd="/",
        check=False,
        user=_NOBODY if other else None,
        group=_NOBODY if other else None,
        extra_groups=[] if other else None,
    )


@cache
def _refusal(user: str) -> str:
    """Why there is no lab for this user ("" when there is)."""
    if user == "ordinary" and os.geteuid():
        return "the tests run as an ordinary user anyway"
    try:
        if user == "ordinary" and run(["-c", "import stingless.testing.net"], user).returncode:
            return "an ordinary user cannot read this checkout or its Python"
    except PermissionError:
        return "an ordinary user cannot run this Python"
    done = run(["-c", _ENTER], user)
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


def run_check(check: Callable[[], None], user: str) -> None:
    """Run `check`, a function of a test file, in a fresh interpreter.  It must succeed and leave no word on stderr."""
    if why := _refusal(user):
        pytest.skip(why)
    code = "from tests.lab_checks import main; main()"
    done = run(["-c", code, check.__code__.co_filename, check.__name__], user)
    if done.returncode or done.stderr:
        pytest.fail(f"{check.__name__} as {user}: status {done.returncode}\n{done.stdout}{done.stderr}", pytrace=False)


def run_script(script: Path, user: str, kernel: str) -> str:
    """Run a script that enters a lab, on one kernel, and return what it prints.  It must succeed."""
    if why := _refusal(user):
        pytest.skip(why)
    done = run([str(script)], user, kernel)
    if done.returncode:
        pytest.fail(f"{script.name} as {user}: status {done.returncode}\n{done.stdout}{done.stderr}", pytrace=False)
    return done.stdout


def main() -> None:
    file, name = sys.argv[1:]
    runpy.run_path(file)[name]()

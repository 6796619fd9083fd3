"""`stingless run`: a bcc script, with or without a command under its eye.

The command is held until the script waits for events, so that nothing of it is missed; when it ends, the script ends as
Ctrl-C would end it, and the command's exit status is returned.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from stingless import session
from stingless.bcc import alias, saved
from stingless.choice import KERNELS, choose_kernel
from stingless.errors import NotSupportedError, PrivilegeError, StinglessError, VerifierError
from stingless.kernel import Command, Kernel

_NOT_FOUND, _NOT_EXECUTABLE = 127, 126  # as a shell returns them
CANNOT = 77  # the script needs a privilege or a feature that is not there (what automake calls a skipped test)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="stingless run",
        usage="stingless run [--kernel linux|embedded|auto] [--system-wide] [--objects DIR] [--pid PID] SCRIPT"
        " [ARGS ...] [-- COMMAND ...]",
        description="Run a bcc script (`from bcc import BPF` is stingless). With a COMMAND, its programs see that "
        "command and its descendants only; the script ends when the command does, whose exit status is returned.",
    )
    parser.add_argument("--kernel", choices=KERNELS, default=os.environ.get("STINGLESS_KERNEL", "auto"))
    parser.add_argument(
        "--system-wide", action="store_true", help="with a COMMAND on Linux: do not confine the programs to it"
    )
    parser.add_argument("--objects", metavar="DIR", help="take the script's programs from DIR (see stingless build)")
    parser.add_argument(
        "--pid", type=int, help="on the embedded kernel: trace this process of yours, as it runs, instead of a COMMAND"
    )
    parser.add_argument("script", help="the script to run")
    parser.add_argument("args", nargs=argparse.REMAINDER, help="its arguments, then -- and the command to trace")
    return parser


def main(argv: Sequence[str]) -> int:
    words, command = _split(argv)
    options = _parser().parse_args(words)
    script = Path(options.script)
    if not script.is_file():
        print(f"stingless run: no script {options.script!r}", file=sys.stderr)
        return 2
    if options.objects is not None:
        if not Path(options.objects).is_dir():
            print(f"stingless run: no directory {options.objects!r}", file=sys.stderr)
            return 2
        os.environ[saved.VARIABLE] = options.objects
    try:
        choice = choose_kernel(options.kernel)
    except StinglessError as error:
        print(f"stingless run: {error}", file=sys.stderr)
        return 1
    print(f"stingless: kernel: {choice.name}" + (f" (not Linux: {choice.why})" if choice.why else ""), file=sys.stderr)
    if options.system_wide:
        choice.kernel.scoped = False
    if options.pid is not None and (command or choice.name != "embedded"):
        print(
            "stingless run: --pid is for the embedded kernel (--kernel embedded), and goes without a command",
            file=sys.stderr,
        )
        return 2
    try:
        return _run(choice.kernel, script, options.args, command, options.pid)
    finally:
        choice.kernel.close()


def _split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    words = list(argv)
    if "--" not in words:
        return words, []
    at = words.index("--")
    return words[:at], words[at + 1 :]


def _run(kernel: Kernel, script: Path, args: Sequence[str], command: Sequence[str], pid: int | None = None) -> int:
    _interruptible()
    ended = threading.Event()
    main_thread = threading.get_ident()

    def end() -> None:
        ended.set()
        if running.is_set():
            signal.pthread_kill(main_thread, signal.SIGINT)

    running = threading.Event()
    try:
        traced = _follow(kernel, pid) if pid is not None else kernel.spawn(command) if command else None
    except (StinglessError, OSError) as error:
        print(f"stingless run: cannot start {command[0]!r}: {error}", file=sys.stderr)
        return 1
    if traced is not None and kernel.scope_note:
        print(f"stingless: {kernel.scope_note}", file=sys.stderr)
    now = session.Session(kernel, traced, end)
    session.start(now)
    running.set()
    try:
        status = _script(script, args, ended)
        running.clear()
        if pid is not None:
            if now.error is not None:
                print(f"stingless run: {now.error}", file=sys.stderr)
            return status or bool(now.error)
        if traced is None:
            return status
        if status and now.status is None and now.error is None:
            return status  # the script failed: its command is ended by `close()`
        now.waiting()
        if not ended.is_set():
            _await(ended)
        if now.error is not None:
            print(f"stingless run: cannot run {command[0]!r}: {now.error.strerror or now.error}", file=sys.stderr)
            return _NOT_FOUND if isinstance(now.error, FileNotFoundError) else _NOT_EXECUTABLE
        return status or now.status or 0
    finally:
        running.clear()
        if traced is not None:
            traced.close()


def _follow(kernel: Kernel, pid: int) -> Command:
    from stingless.embedded.kernel import EmbeddedKernel

    assert isinstance(kernel, EmbeddedKernel)
    return kernel.follow(pid)


def _await(ended: threading.Event) -> None:
    """The script is done before its command: let the command finish.  Ctrl-C reaches it too."""
    while not ended.is_set():
        try:
            ended.wait()
        except KeyboardInterrupt:
            continue


def _script(script: Path, args: Sequence[str], ended: threading.Event) -> int:
    """Run the script as `python SCRIPT ARGS` would.  Returns its exit status."""
    import runpy

    sys.argv = [str(script), *args]
    sys.path.insert(0, str(script.resolve().parent))
    alias.install()
    real_sleep, real_user = _release_on_sleep(), os.geteuid
    if session.current().kernel.name == "embedded":
        os.geteuid = _as_root(script)
    try:
        runpy.run_path(str(script), run_name="__main__")
    except KeyboardInterrupt:
        if ended.is_set():
            return 0
        print("stingless run: interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    except SystemExit as done:
        if done.code is None or isinstance(done.code, int):
            return done.code or 0
        print(done.code, file=sys.stderr)
        return 1
    except StinglessError as error:
        _explain(error, script)
        return CANNOT if isinstance(error, PrivilegeError | NotSupportedError) else 1
    except BaseException as error:
        import traceback

        trace = error.__traceback__
        traceback.print_exception(type(error), error, _from_script(trace, script))
        return 1
    finally:
        os.geteuid = real_user
        time.sleep = real_sleep  # type: ignore[assignment]  # what cleans up now may sleep, and must not start the command
        sys.stdout.flush()
    return 0


def _as_root(script: Path) -> Callable[[], int]:
    """os.geteuid() for scripts that refuse to start when they are not root: here they need not be."""
    real, path = os.geteuid, str(script)

    def geteuid() -> int:
        return 0 if sys._getframe(1).f_code.co_filename == path else real()

    return geteuid


def _explain(error: StinglessError, script: Path) -> None:
    import traceback

    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == script]
    where = f"{script}:{frames[-1].lineno}: " if frames else ""
    text = error.render() if isinstance(error, VerifierError) else str(error)
    print(f"{where}{type(error).__name__}: {text}", file=sys.stderr)


def _from_script(trace: TracebackType | None, script: Path) -> TracebackType | None:
    """The traceback from the script's own first frame on."""
    at = trace
    while at is not None and Path(at.tb_frame.f_code.co_filename) != script:
        at = at.tb_next
    return at or trace


def _interruptible() -> None:
    """A shell starts background jobs with SIGINT ignored; the command's end must end the script all the same."""
    if signal.getsignal(signal.SIGINT) in (signal.SIG_IGN, None):
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _release_on_sleep() -> Callable[[float], None]:
    """A script that sleeps has attached its probes.  `from time import sleep` in the script gets this one too, since it
    runs later than this.  Returns the real one."""
    real = time.sleep

    def sleep(seconds: float, /) -> None:
        if threading.current_thread() is threading.main_thread():
            session.current().waiting()
        real(seconds)

    time.sleep = sleep  # type: ignore[assignment]
    return real

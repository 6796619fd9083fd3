"""The command `stingless`: one file a sub-command, loaded when it is called."""

from __future__ import annotations

import importlib
import signal
import sys
from collections.abc import Sequence

from stingless.cli.output import show

COMMANDS = {
    "run": "run a bcc script, on Linux or on the embedded kernel, and a command under its eye",
    "build": "compile a program in plain eBPF C to an object file",
    "btf": "show a kernel's or an object's types, or declare them in C (vmlinux.h)",
    "packets": "run a packet program over a capture or live packets, and write what goes on",
    "raw": "run raw eBPF instructions on a piece of memory, checked and, if you like, traced",
    "doctor": "tell what this machine can do, and for each no, why and what to do",
    "demo": "run the example programs of the deck, one after another",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        return show(usage(), 0 if words else 2)
    if words[0] in ("-V", "--version"):
        from stingless import __version__

        return show(f"stingless {__version__}")
    if words[0] not in COMMANDS:
        import difflib

        near = difflib.get_close_matches(words[0], COMMANDS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        print(f"stingless: no command {words[0]!r}{hint}\n\n{usage()}", file=sys.stderr)
        return 2
    try:
        command = importlib.import_module(f"stingless.cli.{words[0]}")
        return int(command.main(words[1:]))
    except KeyboardInterrupt:
        print(f"stingless {words[0]}: interrupted", file=sys.stderr)
        return 128 + signal.SIGINT


def usage() -> str:
    lines = [f"  {name:<8} {text}" for name, text in COMMANDS.items()]
    return "\n".join(["usage: stingless COMMAND ...", "", *lines, "", "stingless COMMAND --help tells more."])

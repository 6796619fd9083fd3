"""The errors that stingless raises.

```
StinglessError
├── CompileError(ValueError)        the C text was refused; .diagnostics on the user's own lines
├── ObjectError(ValueError)         an ELF object or its BTF is malformed or asks for what we do not have
├── LoadError(OSError)              a kernel refused a map or a program; .errno
│   └── VerifierError               the verifier refused a program; .log .summary .insn .source .hint .diagnostic
├── AttachError(OSError)            a program could not be attached to an event; .errno
├── PrivilegeError(PermissionError) a capability is missing; says which
├── NotSupportedError(OSError)      this kernel or machine lacks a feature; .feature .since
├── UnknownNameError(KeyError)      no map, function or event of that name; .name .near
├── MapError(OSError)               a map operation failed; .errno
├── ProgramFault(RuntimeError)      a checked run was stopped; .reason .insn .address
└── ClosedError(ValueError)         the object was closed before
```

Each says what was asked, what was found, and what to do next.
"""

from __future__ import annotations

import errno as _errno
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from stingless.frozen import frozen

if TYPE_CHECKING:
    from stingless.explain.diagnostic import Diagnostic


class StinglessError(Exception):
    """Base of all errors of this package."""


@frozen
class CompilerMessage:
    """One message of the compiler, on a line of the user's own text."""

    file: str
    line: int
    column: int
    severity: str  # "error", "warning" or "note"
    message: str
    source: str = ""

    def __str__(self) -> str:
        head = f"{self.file}:{self.line}:{self.column}: {self.severity}: {self.message}"
        return f"{head}\n    {self.source}" if self.source else head


class CompileError(StinglessError, ValueError):
    """The compiler refused the C text. `diagnostics` holds its messages, `output` the raw text."""

    def __init__(self, message: str, diagnostics: Sequence[CompilerMessage] = (), output: str = "") -> None:
        super().__init__(message)
        self.diagnostics = tuple(diagnostics)
        self.output = output


class ObjectError(StinglessError, ValueError):
    """An object file or its BTF is malformed, or needs what this version does not read."""


class _OsError(StinglessError, OSError):
    """An error that carries an errno, with a message of its own."""

    def __init__(self, message: str, errno: int = 0) -> None:
        super().__init__(errno, message)
        self.message = message

    def __str__(self) -> str:
        if not self.errno:
            return self.message
        name = _errno.errorcode.get(self.errno, str(self.errno))
        return f"{self.message} ({name}: {os.strerror(self.errno)})"


class LoadError(_OsError):
    """A kernel refused to create a map or to load a program."""


class VerifierError(LoadError):
    """The verifier refused a program.

    `log` is the verifier's whole log, `summary` its verdict in one line, `insn` the index of the refused instruction
    (or None), `source` the C line as "file:line: text" (or ""), `hint` what to do, `diagnostic` all of that and more
    (None when nothing explained it).  `str()` is short; `render()` is complete.
    """

    def __init__(
        self,
        message: str,
        errno: int = _errno.EACCES,
        *,
        program: str = "",
        log: str = "",
        summary: str = "",
        insn: int | None = None,
        source: str = "",
        state: str = "",
        hint: str = "",
        diagnostic: Diagnostic | None = None,
    ) -> None:
        super().__init__(message, errno)
        self.program = program
        self.log = log
        self.summary = summary
        self.insn = insn
        self.source = source
        self.state = state
        self.hint = hint
        self.diagnostic = diagnostic

    def __str__(self) -> str:
        return self.message

    def render(self) -> str:
        """The whole explanation: verdict, C line, what the verifier knew, what to do, and the log."""
        parts = [self.message]
        if self.source:
            parts.append(f"  at {self.source}")
        if self.state:
            parts.append(f"  the verifier knew: {self.state}")
        if self.hint:
            parts.append(f"  what to do: {self.hint}")
        if self.log:
            parts += ["  log:", *("    " + line for line in self.log.rstrip().splitlines())]
        return "\n".join(parts)


class AttachError(_OsError):
    """A program could not be attached to an event."""


class PrivilegeError(_OsError, PermissionError):
    """The caller lacks a capability that the operation needs."""


class NotSupportedError(_OsError):
    """This kernel or machine lacks `feature`; `since` names the kernel that brought it ("" when not known)."""

    def __init__(self, feature: str, since: str = "", advice: str = "", errno: int = _errno.EOPNOTSUPP) -> None:
        message = f"{feature} is not supported here"
        if since:
            message += f" (needs Linux {since})"
        if advice:
            message += f": {advice}"
        super().__init__(message, errno)
        self.feature = feature
        self.since = since

    def __str__(self) -> str:
        return self.message


def nearest(name: str, names: Sequence[str], count: int = 40) -> Sequence[str]:
    """The `count` names that share most three-letter pieces with `name`: quick enough for all of kallsyms, for which
    difflib takes minutes.  Fewer than 500 names are given back as they are."""
    if len(names) < 500:
        return names

    def pieces(text: str) -> set[str]:
        return {text[i : i + 3] for i in range(len(text) - 2)}

    wanted = pieces(name)
    ranked = []
    for other in names:
        if abs(len(other) - len(name)) <= max(len(name) // 2, 3):
            theirs = pieces(other)
            if shared := len(wanted & theirs):
                ranked.append((shared / len(wanted | theirs), other))
    import heapq

    return [other for _, other in heapq.nlargest(count, ranked)]


class UnknownNameError(StinglessError, KeyError):
    """There is no map, function or event of that name."""

    def __init__(self, kind: str, name: str, known: Iterable[str] = (), advice: str = "") -> None:
        names = sorted(set(known))
        self.name = name
        import difflib

        self.near = tuple(difflib.get_close_matches(name, nearest(name, names), n=3, cutoff=0.5))
        message = f"no {kind} named {name!r}"
        if self.near:
            message += f"; the nearest: {', '.join(self.near)}"
        elif names:
            shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
            message += f"; there are: {shown}"
        if advice:
            message += f"; {advice}"
        self.message = message
        super().__init__(message)

    def __str__(self) -> str:
        return self.message


class MapError(_OsError):
    """A map operation failed.  `done`: how many entries of a bulk operation went before."""

    done = 0


class ProgramFault(StinglessError, RuntimeError):
    """The embedded kernel stopped a run that it checks: `reason` says what instruction `insn` did, `address` is what it
    accessed (None: it did something else)."""

    def __init__(self, reason: str, insn: int, address: int | None = None) -> None:
        self.reason, self.insn, self.address = reason, insn, address
        at = "" if address is None else f", at {address:#x}"
        super().__init__(f"instruction {insn}: {reason}{at}")


class ClosedError(StinglessError, ValueError):
    """The object was closed before."""

"""`VerifierLog`: a verifier's log as one structure, whoever printed it.

Steps are in the order of the log.  A verifier follows one path to its end and comes back to a branch for the next one:
`Step.previous` tells which step came before on the same path, and `VerifierLog.path()` gives the one that ends at the
verdict.  All of it is plain data; `stingless.explain.log.parse_log()` makes it.
"""

from __future__ import annotations

from collections.abc import Mapping

from stingless.explain.operation import Operation, operation
from stingless.explain.value import Value
from stingless.frozen import frozen

Registers = Mapping[str, Value]  # by the log's names: "R0" to "R10", and stack slots of 8 bytes: "fp-8", "fp-16", ...


@frozen(slots=True)
class SourceLine:
    """A line of C as the log shows it: text without indentation; file and line since Linux 6.9 ("" and 0 before)."""

    text: str
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}" if self.line else self.text


@frozen(slots=True, eq=False)
class Step:
    """One instruction followed.  `insn` is its index in the program, `frame` the depth of calls.

    `before` and `after` are what is known of the registers and stack of that frame, as far as the log tells: what it
    does not show is not in them.  `shown` are the names whose values the log printed at this step.  `previous` is the
    index of the step before it on its path (-1: none).  `notes` are the verifier's own remarks that follow
    (mark_precise and older forms of backtracking)."""

    index: int
    insn: int
    opcode: int  # -1: the log has none (an instruction that libbpf or we describe in words, PREVAIL)
    text: str
    source: SourceLine | None
    frame: int
    before: Registers
    after: Registers
    shown: frozenset[str]
    previous: int
    log_line: int  # index into `VerifierLog.lines`
    notes: tuple[str, ...] = ()

    @property
    def operation(self) -> Operation:
        """What the instruction does, read from its text."""
        return operation(self.text, self.opcode)


@frozen(slots=True)
class Branch:
    """The verifier came back to the jump `origin` and follows its other way, to `target`.  `step` is the index of the
    first step of that way (the number of steps when the path was known, and none followed)."""

    origin: int
    target: int
    step: int
    pruned: bool = False


@frozen(slots=True)
class FrameChange:
    """A call of a sub-program (`entered`) or a return from one, after step `step`."""

    step: int
    entered: bool
    frame: int  # that is left or entered: the callee's depth


@frozen
class Statistics:
    """The last line of a log.  Numbers are -1 when the log does not tell them; the time is in microseconds."""

    processed: int
    limit: int = -1
    max_states_per_insn: int = -1
    total_states: int = -1
    peak_states: int = -1
    mark_read: int = -1
    time_usec: int = -1
    stack_depth: tuple[int, ...] = ()


@frozen
class Site:
    """A place that Linux 7.3's report shows: `label` is what it says of it ("error: ...", "branch: ...")."""

    function: str
    file: str
    line: int
    column: int
    text: str
    insn: int  # -1: not told
    label: str


@frozen
class KernelReport:
    """What Linux 7.3 and later say after the verdict."""

    category: str  # "Register Type Safety"
    rule: str  # "Invalid dereference"
    reason: str
    at: Site | None
    path: tuple[Site, ...]
    suggestion: str


@frozen(eq=False)
class VerifierLog:
    """`dialect` is "linux" (Linux's form, which the embedded verifier prints too), "prevail", or "" (nothing known).

    `verdict` are the lines that say why; none when the program was accepted or the log does not tell.  `function` is
    the global function that was verified on its own when the log ended ("" for the program itself).  `end` is the index
    of the last step of the path that the verdict ended (-1: no instruction of it was followed).  A log may be cut:
    `lost_start` (since Linux 6.4 the end of a log that is too long is kept), `lost_end` (before)."""

    dialect: str
    lines: tuple[str, ...]
    steps: tuple[Step, ...]
    branches: tuple[Branch, ...] = ()
    calls: tuple[FrameChange, ...] = ()
    verdict: tuple[str, ...] = ()
    report: KernelReport | None = None
    statistics: Statistics | None = None
    function: str = ""
    end: int = -1
    lost_start: bool = False
    lost_end: bool = False

    @property
    def truncated(self) -> bool:
        return self.lost_start or self.lost_end

    @property
    def last(self) -> Step | None:
        """The step that the verdict is about, if any was followed."""
        return self.steps[self.end] if self.end >= 0 else None

    def path(self, end: int | None = None) -> list[Step]:
        """The steps from the program's start to step `end` (by default the verdict's), without those of other ways."""
        found: list[Step] = []
        at = self.end if end is None else end
        while 0 <= at < len(self.steps):
            step = self.steps[at]
            found.append(step)
            at = step.previous
        found.reverse()
        return found

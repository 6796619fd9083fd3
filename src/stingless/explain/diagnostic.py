"""`Diagnostic`: one refusal of a program, in the terms of its C source, whoever refused it.

All renderers (`stingless.explain.text`, `stingless.explain.json`, the HTML report) draw from this and nothing else.
"""

from __future__ import annotations

from stingless.frozen import field, frozen

DOCS = "https://stingless.readthedocs.io/en/latest/verifier-errors.html"


@frozen
class Span:
    """A place in the source.  `line` and `column` count from 1; 0 means that it is not known, which is so for logs of
    kernels before 6.9 without the object.  `length` is how many characters it covers (0: not known).  `text` is the
    whole line, with its indentation if the object tells it.  `function` is the (sub-)program."""

    file: str
    line: int
    column: int = 0
    length: int = 0
    text: str = ""
    function: str = ""

    def __str__(self) -> str:
        where = self.file or "?"
        if self.line:
            where += f":{self.line}"
            if self.column:
                where += f":{self.column}"
        return where


@frozen
class Event:
    """Something that happened to a value: `text` is a clause in source terms ("comes from bpf_map_lookup_elem() and may
    be NULL").  `kind` is "origin", "copy", "spill", "fill", "change", "check", "call", "release" or "use"."""

    kind: str
    insn: int
    text: str
    span: Span | None = None
    value: str = ""  # what the verifier knew after it, in its words


@frozen
class History:
    """Where a register's value came from, oldest event first.  `name` is the C variable's, or "" when it is not known
    for certain; `state` says what the verifier knows of it, `value` the same in the verifier's words."""

    register: str
    name: str
    state: str
    value: str
    events: tuple[Event, ...] = ()

    @property
    def shown(self) -> str:
        """The variable's name, or the register's."""
        return self.name or self.register


@frozen
class Turn:
    """A conditional jump on the path to the refusal.  `taken`: whether the instruction jumped; `holds`: whether the C
    condition was true (None: not known)."""

    insn: int
    taken: bool
    text: str
    span: Span | None = None
    holds: bool | None = None


@frozen
class Edit:
    """A change of the user's own text: the lines `old`, from line `line` of `file` on, become `new` (no `old`: `new` is
    inserted before that line).  `note` says what it leaves to decide."""

    file: str
    line: int
    old: tuple[str, ...]
    new: tuple[str, ...]
    note: str = ""

    def diff(self) -> str:
        """As a unified diff's lines: "@@ -14 @@", then those that go with "-" and those that come with "+"."""
        where = f"@@ {self.file}:{self.line} @@" if self.line else "@@ @@"
        return "\n".join([where, *("-" + line for line in self.old), *("+" + line for line in self.new)])


@frozen
class Diagnostic:
    """`rule` is a stable id ("null-dereference"), "unknown" when no rule knows the words.  `message` is one line that
    needs no knowledge of registers where that is possible; `reason` tells why the verifier cannot allow it.  `hint` is
    what to do, `edit` the same as a change of the text (None when none is certain).  `link` leads to the docs.
    `verdict` are the verifier's own words.  `registers` are those that the verdict is about, the main one first."""

    rule: str
    message: str
    program: str = ""
    insn: int | None = None
    span: Span | None = None
    label: str = ""  # what to say under the marked place
    registers: tuple[History, ...] = ()
    path: tuple[Turn, ...] = ()
    reason: str = ""
    hint: str = ""
    edit: Edit | None = None
    link: str = ""
    verdict: tuple[str, ...] = ()
    instruction: str = ""  # the disassembly of `insn`
    notes: tuple[str, ...] = field(default=())

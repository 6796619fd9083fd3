"""A verifier's log in its parts: verdict, refused instruction, C line, and the state of the register it names.

Reads the form that Linux prints since 4.9 (log level 1) and that the embedded verifier prints too.
"""

from __future__ import annotations

import re

from stingless.frozen import frozen

NO_REASON = "no reason given"
_INSN = re.compile(r"^(?P<index>\d+): \([0-9a-f]{2}\) ")
_SOURCE = re.compile(r"^; (?P<text>.*?)(?: @ (?P<where>[^@]+:\d+))?$")
_TAIL = re.compile(r"^(processed \d+ insns|peak_states|verification time|stack depth|max_states|$)")
_STATE = re.compile(r"^( *R\d+(_\w+)?=|cur state|old state)")
_REGISTER = re.compile(r"\b[Rr](?P<number>\d+)\b")
_TRACE = re.compile(
    r"^(\d+: |from \d+ to \d+|; |arg#|func#|Func#|Validating|mark_precise|last_idx|regs=|parent |caller|frame)"
)


@frozen
class ParsedLog:
    """`register` is the name ("R0") of the register that the verdict speaks of ("" when none) and `state` the last
    state that the log shows for it."""

    verdict: str
    insn: int | None
    source: str
    register: str
    state: str


def parse_log(log: str) -> ParsedLog:
    """Never raises: what the log does not tell is left empty."""
    lines = log.splitlines()
    insn, source = None, ""
    for line in lines:
        if match := _INSN.match(line):
            insn = int(match["index"])
        elif line.startswith("; ") and (match := _SOURCE.match(line)):
            source = f"{match['where']}: {match['text'].strip()}" if match["where"] else match["text"].strip()
    verdict = "; ".join(_verdict(lines))
    named = _REGISTER.search(verdict)
    register = f"R{named['number']}" if named else ""
    return ParsedLog(verdict or NO_REASON, insn, source, register, _last_state(lines, register))


def _verdict(lines: list[str]) -> list[str]:
    """What follows the trace: the first line is the verdict, a second one often tells more of it."""
    start = max((i + 1 for i, line in enumerate(lines) if _INSN.match(line) or _TRACE.match(line)), default=0)
    said = [line.strip() for line in lines[start:] if not _TAIL.match(line) and not _STATE.match(line)]
    return said[:2]


def _last_state(lines: list[str], register: str) -> str:
    if not register:
        return ""
    pattern = re.compile(rf"\b{register}(?:_[rwP]+)?=(?P<state>[^\s(]+(?:\([^)]*\))?)")
    for line in reversed(lines):
        found = pattern.findall(line)
        if found:
            return str(found[-1])
    return ""

"""`parse_log()`: any verifier's log as a `VerifierLog`.

Reads Linux's form in the wordings of 5.4 to 7.x at levels 1 and 2, which the embedded verifier prints too, the report
that 7.3 appends, and PREVAIL's.  What surrounds a log (other loaders' messages) is `stingless.explain.find`'s matter.
"""

from __future__ import annotations

import re

from stingless.asm.opcodes import LD_IMM64
from stingless.explain.operation import operation
from stingless.explain.report import BEGIN, read_report
from stingless.explain.trace import (
    Branch,
    FrameChange,
    KernelReport,
    Registers,
    SourceLine,
    Statistics,
    Step,
    VerifierLog,
)
from stingless.explain.value import Value

NO_REASON = "no reason given"
_INSN = re.compile(r"(\d+): \(([0-9a-f]{2})\) ([^;]*?)(?: +;(?: (.*))?| (\d+): ((?:frame\d+: )?(?:R\d|fp-|refs=).*))?$")
_WORDS = re.compile(r"(\d+): (<.*>)$")  # libbpf's words in place of an instruction that it could not resolve
_KNOWN = re.compile(r"(\d+):(?: (.*))?$")
_FROM = re.compile(r"from (\d+) to (\d+)(?: \(speculative execution\))?: ?(.*)$")
_CALLER = re.compile(r"to caller at (\d+):$")
_SOURCE = re.compile(r"; ?(?P<text>.*?)(?: @ (?P<file>[^@]+):(?P<line>\d+))?$")
_FRAME = re.compile(r"frame(\d+): ?")
_IS_STATE = re.compile(r" *(?:frame\d+:|R\d+(?:_\w+)?=|fp-\d+(?:_\w+)?=|refs=|cb$)")
_VALUE = re.compile(r"\b(R\d+|fp-\d+|refs)(?:_[a-zA-Z]+)?=([^\s(]*(?:\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))?)")
_NOTE = re.compile(
    r"mark_precise|last_idx|first_idx|regs=|parent |propagating|\(\d+\) frame|\(\d+\) live|frame \d+: propagating"
)
_TRACE = re.compile(
    r"func#\d|Func#\d|topo_order|subprog#|stack use/def|Live regs|Validating |caller|callee|returning from|to caller"
    r"|cur state:|old state:|arg#\d+ reference type\('|arg#\d+ type is not a struct|Unrecognized arg#"
    r"|updated insn\(|BPF program name|stack depth (\d|\+)| *\d+: [.0-9]{10}[. ]| *\d+: \([0-9a-f]{2}\) "
    r"|cb$|mark_|verification time|peak_states|max_states|=+$|-+ "
)
_VALIDATING = re.compile(r"Validating (\w+)\(\) func#\d+")
_SAFE = re.compile(r"Func#\d+ (?:\('(\w+)'\) )?is safe")
_PROCESSED = re.compile(r"processed (\d+) insns(?: \(limit (\d+)\))?")
_COUNT = re.compile(r"(max_states_per_insn|total_states|peak_states|mark_read) (\d+)")
_TIME = re.compile(r"verification time (\d+) usec")
_STACK = re.compile(r"stack depth ([\d+]+)$")
_EXIT = 0x95
_MAX_FRAMES = 16  # Linux allows 8
_EMPTY: dict[str, Value] = {}


def parse_log(log: str | bytes) -> VerifierLog:
    """Never raises: what the log does not tell is left empty."""
    text = log.decode("utf-8", "replace") if isinstance(log, bytes) else log
    return _Parser(text).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        # Not splitlines(): a C string in a source line may hold what it takes for an end of line.
        self._lines = [line.rstrip("\r\0") for line in text.split("\n")]
        while self._lines and not self._lines[-1].strip():
            self._lines.pop()
        self._steps: list[Step] = []
        self._branches: list[Branch] = []
        self._calls: list[FrameChange] = []
        self._said: list[str] = []  # since the last step
        self._safe = False  # the path came to a state that was followed before
        self._source: SourceLine | None = None
        self._frames: list[Registers] = [_EMPTY]  # known now, of each frame
        self._after: list[list[Registers]] = []  # the callers' part of what was known after each step
        self._previous = -1
        self._values: dict[str, dict[str, Value]] = {}
        self._taken: set[int] = set()  # steps of jumps whose other way was followed since
        self._report: KernelReport | None = None
        self._statistics: dict[str, int] = {}
        self._stack: tuple[int, ...] = ()
        self._function = ""
        self._note: list[str] = []

    def parse(self) -> VerifierLog:
        lines, at = self._lines, 0
        while at < len(lines):
            line = lines[at]
            if line.startswith(BEGIN):
                self._report, at = read_report(lines, at)
                continue
            if line:
                self._line(line, at)
            at += 1
        self._flush_notes()
        known = self._steps or self._statistics or self._report
        statistics = None
        if "processed" in self._statistics:
            statistics = Statistics(stack_depth=self._stack, **self._statistics)
        return VerifierLog(
            "linux" if known else "",
            tuple(lines),
            tuple(self._steps),
            tuple(self._branches),
            tuple(self._calls),
            tuple(self._said),
            self._report,
            statistics,
            self._function,
            self._previous,
            bool(self._steps) and self._steps[0].insn != 0 and not self._began(),
            bool(known) and statistics is None,
        )

    def _began(self) -> bool:
        """Whether the first line is one that a log begins with."""
        first = next((line for line in self._lines if line), "")
        return bool(_TRACE.match(first)) or first.startswith("; ")

    def _line(self, line: str, at: int) -> None:
        first = line[0]
        if first.isdigit():
            if (found := _INSN.match(line)) or (found := _WORDS.match(line)):
                return self._step(found, at)
            if found := _KNOWN.match(line):
                return self._known_at(int(found[1]), found[2] or "", at)
        elif first == ";":
            self._set_source(line)
            return None
        elif first == " " and _IS_STATE.match(line):
            self._state(line)
            return None
        elif first == "f":
            if found := _FROM.match(line):
                return self._from(int(found[1]), int(found[2]), found[3])
            if _IS_STATE.match(line):
                self._state(line)
                return None
        elif first == "R" and _IS_STATE.match(line):
            self._state(line)
            return None
        return self._other(line)

    def _step(self, found: re.Match[str], at: int) -> None:
        self._flush_notes()
        self._said.clear()
        insn = int(found[1])
        if found.re is _WORDS:
            opcode, text, shown, more = -1, found[2], "", None
        else:
            opcode, text = int(found[2], 16), found[3].rstrip()
            shown, more = found[4] or "", found[5]
        if self._ended():
            self._resume(insn)
        before = self._frames[-1]
        step = Step(
            len(self._steps), insn, opcode, text, self._source, len(self._frames) - 1, before, _EMPTY, frozenset(),
            self._previous, at,
        )  # fmt: skip
        self._steps.append(step)
        self._previous = step.index
        self._frames[-1] = self._without_written(step, before)
        self._after.append(self._frames[:-1])
        self._settle(self._frames[-1], frozenset())
        if _IS_STATE.match(shown):
            self._state(shown)
        elif shown:
            self._set_source("; " + shown)
        if more is not None:  # since 6.0, at level 1: the verifier took up the jump's other way here
            self._known_at(int(more), found[6], at)

    def _without_written(self, step: Step, before: Registers) -> Registers:
        """What stays known after an instruction of which the log may show nothing."""
        done = operation(step.text, step.opcode)
        gone = {f"R{number}" for number in done.writes}
        if done.kind in ("store", "atomic"):
            gone |= self._stored(before, done.dst, done.offset, done.size)
        if not gone or not any(name in before for name in gone):
            return before
        return {name: value for name, value in before.items() if name not in gone}

    @staticmethod
    def _stored(before: Registers, base: int, offset: int, size: int) -> set[str]:
        pointer = before.get(f"R{base}")
        start = 0 if base == 10 else pointer.offset if pointer is not None and pointer.kind == "fp" else None
        if start is None:
            return set()
        low = start + offset
        return {f"fp{slot}" for slot in range(low // 8 * 8, low + max(size, 1), 8)}

    def _settle(self, after: Registers, shown: frozenset[str]) -> None:
        """The last step has its state."""
        step = self._steps[-1]
        self._steps[-1] = Step(
            step.index, step.insn, step.opcode, step.text, step.source, step.frame, step.before, after,
            step.shown | shown, step.previous, step.log_line, step.notes,
        )  # fmt: skip

    def _known_at(self, insn: int, text: str, at: int) -> None:
        """`N: STATE`, before instruction N; `N: safe` is a way that was followed before."""
        if text == "safe":
            self._source, self._safe = None, True
            return
        if not text or not _IS_STATE.match(text):
            self._other(f"{insn}: {text}")
            return
        last = self._steps[-1] if self._steps and self._previous == len(self._steps) - 1 else None
        if last is not None and (self._ended() or not self._follows(last, insn)):
            self._resume(insn)  # 5.x says no more of it at level 2
        self._state(text)

    def _ended(self) -> bool:
        """Whether the path that was followed came to its end."""
        if not self._steps or self._previous != len(self._steps) - 1:
            return False
        last = self._steps[-1]
        return self._safe or (last.opcode == _EXIT and last.frame == len(self._frames) - 1)

    def _follows(self, step: Step, insn: int) -> bool:
        """Whether `insn` can be next after this step."""
        done = step.operation
        following = step.insn + (2 if step.opcode == LD_IMM64 else 1)
        if done.kind in ("jump", "goto"):
            ways = {following} if done.kind == "jump" or done.name == "may_goto" else set()
            return done.target is None or insn in ways | {step.insn + 1 + done.target}
        if done.kind in ("exit", "subcall", "call") or not done.kind:
            return True
        return insn == following

    def _resume(self, target: int) -> None:
        """Another way begins at `target`, of a jump that can lead there."""
        step = self._fork(None, target)
        if step is not None:
            self._branch(step.insn, target, step)

    def _from(self, origin: int, target: int, rest: str) -> None:
        self._flush_notes()
        self._said.clear()
        last = self._steps[-1] if self._steps else None
        if last is not None and last.insn == origin and last.operation.kind == "exit":
            # A return, in the words of 5.x and 6.1.
            self._state(rest)
            return
        step = self._fork(origin, target)
        self._branch(origin, target, step, rest == "safe")
        if rest and rest != "safe":
            self._state(rest)

    def _branch(self, origin: int, target: int, step: Step | None, pruned: bool = False) -> None:
        self._branches.append(Branch(origin, target, len(self._steps), pruned))
        self._source, self._safe = None, pruned
        self._previous = step.index if step is not None else -1
        if step is not None:
            self._taken.add(step.index)
            self._frames = [*self._after[step.index], step.before]
        else:
            self._frames = [_EMPTY]

    def _fork(self, origin: int | None, target: int) -> Step | None:
        """The latest jump on the path whose other way may lead to `target`, and was not followed yet."""
        at, after = self._previous, None
        while at >= 0:
            step = self._steps[at]
            if at not in self._taken and (after is None or after.insn != target):
                if origin is not None:
                    if step.insn == origin:
                        return step
                elif step.operation.kind == "jump" and self._follows(step, target):
                    return step
            after = step
            at = step.previous
        return None

    def _state(self, text: str) -> None:
        """Registers and stack of the running frame, all of them or those that changed."""
        values = self._values.get(text)
        if values is None:
            values = {}
            for name, value in _VALUE.findall(text):
                values[name] = Value(value)
            self._values[text] = values
        found = _FRAME.search(text[:12])  # the outermost one has no name
        depth = min(int(found[1]), _MAX_FRAMES) if found is not None else 0
        self._to_frame(depth)
        known = self._frames[-1]
        if any(known.get(name) is not value for name, value in values.items()):
            known = {**known, **values}
            self._frames[-1] = known
        if self._steps and self._previous == len(self._steps) - 1 and depth == self._steps[-1].frame:
            self._settle(known, frozenset(values))

    def _to_frame(self, depth: int) -> None:
        """The verifier is in another sub-program's frame now."""
        if depth > len(self._frames) - 1:
            while len(self._frames) <= depth:
                self._frames.append(_EMPTY)
            self._calls.append(FrameChange(len(self._steps) - 1, True, depth))
        elif depth < len(self._frames) - 1:
            self._calls.append(FrameChange(len(self._steps) - 1, False, len(self._frames) - 1))
            del self._frames[depth + 1 :]

    def _set_source(self, line: str) -> None:
        if found := _SOURCE.match(line):
            text = found["text"].strip()
            self._source = SourceLine(text, found["file"] or "", int(found["line"] or 0))

    def _other(self, line: str) -> None:
        if found := _PROCESSED.match(line):
            self._statistics["processed"] = _small(found[1])
            if found[2]:
                self._statistics["limit"] = _small(found[2])
            self._statistics |= {name: _small(number) for name, number in _COUNT.findall(line)}
        elif found := _TIME.match(line):
            self._statistics["time_usec"] = _small(found[1])
        elif found := _STACK.match(line):
            self._stack = tuple(_small(each) for each in found[1].split("+") if each)
        elif _NOTE.match(line):
            self._note.append(line.rstrip())
        elif found := _VALIDATING.match(line):
            self._begin(found[1])
        elif _SAFE.match(line):
            self._begin("")
        elif not _TRACE.match(line) and line.strip():
            self._said.append(line.strip())

    def _begin(self, function: str) -> None:
        self._function = function
        self._said.clear()
        self._frames, self._previous, self._source, self._safe = [_EMPTY], -1, None, False

    def _flush_notes(self) -> None:
        if self._note and self._steps:
            step = self._steps[-1]
            self._steps[-1] = Step(
                step.index, step.insn, step.opcode, step.text, step.source, step.frame, step.before, step.after,
                step.shown, step.previous, step.log_line, (*step.notes, *self._note),
            )  # fmt: skip
        self._note.clear()


def _small(digits: str) -> int:
    return int(digits[:18])

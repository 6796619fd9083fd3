"""The user's C text, as far as it is known: from the object's line info, from the log's comments, from the file."""

from __future__ import annotations

from bisect import bisect_right
from pathlib import Path

from stingless.explain.diagnostic import Span
from stingless.explain.trace import Step, VerifierLog
from stingless.obj.spec import LineInfo, ProgramSpec


class Source:
    """Lines by file and number.  A file is read only if it still has the lines that the object was made from."""

    def __init__(self, log: VerifierLog, spec: ProgramSpec | None = None, *, read_files: bool = True) -> None:
        self._spec = spec
        self._infos: tuple[LineInfo, ...] = spec.line_info if spec is not None and spec.btf is not None else ()
        self._starts = [info.insn for info in self._infos]
        self._read_files = read_files
        self._files: dict[str, list[str]] = {}
        self._known: dict[tuple[str, int], str] = {}
        for info in self._infos:
            file, text = self._strings(info)
            if text.strip():
                self._known[_base(file), info.line] = text
        self._from_log = not self._known
        if self._from_log:
            for step in log.steps:
                if step.source is not None and step.source.line:
                    self._known[_base(step.source.file), step.source.line] = step.source.text

    @property
    def indented(self) -> bool:
        """Whether lines have their indentation: logs do not show it."""
        return not self._from_log

    def _strings(self, info: LineInfo) -> tuple[str, str]:
        btf = self._spec.btf if self._spec is not None else None
        if btf is None:
            return "", ""
        try:
            return btf.string(info.file_off), btf.string(info.line_off)
        except (ValueError, IndexError, LookupError):
            return "", ""

    def at(self, insn: int, step: Step | None = None) -> Span | None:
        """The place that instruction `insn` comes from; `step` is one at which the log showed it."""
        at = bisect_right(self._starts, insn) - 1
        if at >= 0:
            info = self._infos[at]
            file, text = self._strings(info)
            return Span(file, info.line, info.column, 0, text or self.line(file, info.line), self.function(insn))
        if step is not None and step.source is not None:
            line = step.source
            text = self.line(line.file, line.line) if line.line else ""
            return Span(line.file, line.line, 0, 0, text or line.text)
        return None

    def function(self, insn: int) -> str:
        """The name of the (sub-)program that has instruction `insn`."""
        spec = self._spec
        if spec is None or spec.btf is None:
            return ""
        name = spec.name
        for info in spec.func_info:
            if info.insn > insn:
                break
            try:
                name = spec.btf.type(info.type_id).name or name
            except (ValueError, LookupError):
                break
        return name

    def line(self, file: str, number: int) -> str:
        """A line's text; "" when it is not known."""
        if number < 1:
            return ""
        lines = self._lines(file)
        if lines:
            return lines[number - 1] if number <= len(lines) else ""
        return self._known.get((_base(file), number), "")

    def _lines(self, file: str) -> list[str]:
        if file not in self._files:
            self._files[file] = self._read(file) if self._read_files and file else []
        return self._files[file]

    def _read(self, file: str) -> list[str]:
        try:
            path = Path(file)
            if not path.is_file() or path.stat().st_size > 8 << 20:
                return []
            lines = path.read_text("utf-8", "replace").splitlines()
        except (OSError, ValueError):
            return []
        known = [(number, text) for (name, number), text in self._known.items() if name == _base(file)]
        same = all(number <= len(lines) and lines[number - 1].strip() == text.strip() for number, text in known)
        return lines if known and same else []


def _base(file: str) -> str:
    return file.rpartition("/")[2]

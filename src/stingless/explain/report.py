"""What Linux 7.3 and later print after the verdict: "Verification failed: CATEGORY: RULE" and five sections."""

from __future__ import annotations

import re
from collections.abc import Sequence

from stingless.explain.trace import KernelReport, Site

BEGIN = "Verification failed: "
_SECTION = re.compile(r"(Reason|At|Causal path|Suggestion):$")
_PLACE = re.compile(r"  (?P<function>\S+) @ (?P<file>.*?):(?P<line>\d+)(?::(?P<column>\d+))?$")
_MARKED = re.compile(r"  >>> +(?P<number>\d+) \| ?(?P<text>.*)$")
_LABEL = re.compile(r" +\| +(?P<mark>\^-- )?(?P<text>\S.*)$")
_INDENT = "  "


def read_report(lines: Sequence[str], start: int) -> tuple[KernelReport, int]:
    """The report that begins at `lines[start]`, and the index of the first line after it."""
    category, _, rule = lines[start].removeprefix(BEGIN).partition(": ")
    texts: dict[str, list[str]] = {"Reason": [], "Suggestion": []}
    sites: dict[str, list[Site]] = {"At": [], "Causal path": []}
    section, at = "", start + 1
    while at < len(lines):
        line = lines[at]
        if found := _SECTION.match(line):
            section = found[1]
        elif line and not line.startswith(_INDENT):
            break
        elif section in texts and line:
            texts[section].append(line.strip())
        elif section in sites and (place := _PLACE.match(line)):
            site, at = _site(place, lines, at + 1)
            sites[section].append(site)
            continue
        at += 1
    reason, suggestion = (" ".join(texts[name]) for name in ("Reason", "Suggestion"))
    where = sites["At"][0] if sites["At"] else None
    return KernelReport(category, rule.strip(), reason, where, tuple(sites["Causal path"]), suggestion), at


def _site(place: re.Match[str], lines: Sequence[str], at: int) -> tuple[Site, int]:
    label: list[str] = []
    text, insn, code = "", -1, False
    while at < len(lines) and lines[at].startswith(_INDENT) and not _PLACE.match(lines[at]):
        line = lines[at]
        if line.strip() == "Instruction context:":
            code = True
        elif marked := _MARKED.match(line):
            if code:
                insn = int(marked["number"])
            else:
                text = marked["text"].strip()
        elif not code and (said := _LABEL.match(line)) and (said["mark"] or label):
            label.append(said["text"])
        elif not code and label and not _LABEL.match(line):
            code = code or line.strip() == "Instruction context:"
        at += 1
    site = Site(
        place["function"], place["file"], int(place["line"]), int(place["column"] or 0), text, insn, " ".join(label)
    )
    return site, at

"""What clang did not find, of its messages: to look for it in the kernel again, or to say what there is instead."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stingless.errors import CompileError, StinglessError
from stingless.frozen import replace

if TYPE_CHECKING:
    from stingless.compile.dialect.translate import Translation

_NAMES = (
    re.compile(r"unknown type name '(?P<name>\w+)'"),
    re.compile(r"use of undeclared identifier '(?P<name>\w+)'"),
    re.compile(r"call to undeclared function '(?P<name>\w+)'"),
    re.compile(r"incomplete (?:definition of )?type '(?:const |volatile )*(?P<name>(?:struct |union |enum )?\w+)"),
    re.compile(r"must use '\w+' tag to refer to type '(?P<name>\w+)'"),
)
_MEMBER = re.compile(r"no member named '(?P<member>\w+)' in '(?P<name>(?:struct |union )?\w+)'")


def missing_names(error: CompileError) -> set[str]:
    """Names and tags that the messages say are not declared."""
    return {found["name"] for each in error.diagnostics for form in _NAMES for found in form.finditer(each.message)}


def explained(error: CompileError, translation: Translation) -> StinglessError:
    """The error, with the names that the kernel has instead; for a tracepoint's record, that there is none."""
    for each in error.diagnostics:
        for form in _NAMES:
            if (found := form.search(each.message)) and found["name"] in translation.absent:
                return translation.absent[found["name"]]
    prelude = translation.prelude
    notes = []
    diagnostics = []
    for each in error.diagnostics:
        note = ""
        for form in _NAMES:
            if found := form.search(each.message):
                note = prelude.absence(found["name"])
        if found := _MEMBER.search(each.message):
            note = prelude.member_absence(found["name"], found["member"])
        if note:
            each = replace(each, message=f"{each.message}; {note}")
            notes.append(note)
        diagnostics.append(each)
    if not notes:
        return error
    message = str(error) + "".join(f"\nnote: {note}" for note in dict.fromkeys(notes))
    return CompileError(message, tuple(diagnostics), error.output)

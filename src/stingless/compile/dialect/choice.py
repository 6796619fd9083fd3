"""Which declarations a program's names mean, and what these need."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from stingless.compile.declared.index import Declaration, Declarations
from stingless.compile.declared.store import shims, uapi

_OF_MEMBER = re.compile(r"#\s*define\s+\w+\s+\w+(?:\.|->)")
_RECORD_TAG = ("struct ", "union ")
_PUSH = "#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)\n"
_POP = "#pragma clang attribute pop\n"
_SUFFIX = "___st"  # of CO-RE's flavours: what stands before it is the name that the kernel knows


class Choice:
    """The choice for one program."""

    def __init__(
        self,
        kernel: Declarations | None,
        machine: str,
        own: set[str],
        members: Collection[str],
        headers: Collection[str],
    ) -> None:
        self._kernel_index, self._shim_index, self._uapi_index = kernel, shims(), uapi()
        self._machine = machine
        self._own = own
        self._members = members
        self._headers = headers
        self._kernel: set[int] = set()
        self._shims: set[int] = set()
        self._uapi: set[int] = set()
        self.words: set[str] = set()

    def choose(self, names: Iterable[str]) -> None:
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name in self.words:
                continue
            self.words.add(name)
            if name not in self._own:
                waiting += self._look_up(name)
        self._follow()

    def _look_up(self, name: str) -> Iterable[str]:
        """What the declaration that is chosen for a name needs in its turn, by names."""
        is_tag = " " in name
        number = next((n for n in self._shim_index.find(name) if self._is_for(self._shim_index[n])), None)
        if number is not None:
            found = self._shim_index[number]
            if not is_tag and not found.text.startswith(("typedef", "enum", "struct")):
                return self._take(self._shims, number, found) if self._is_meant(name, found) else ()
        from_uapi = self._uapi_index.find(name)
        if not is_tag and from_uapi:
            included = next((n for n in from_uapi if self._uapi_index[n].header in self._headers), None)
            if included is not None and self._is_meant(name, self._uapi_index[included]):
                return self._take(self._uapi, included, self._uapi_index[included])
        in_kernel = self._kernel_index.find(name) if self._kernel_index is not None else ()
        if in_kernel:
            self._kernel.update(in_kernel)
            return ()
        if number is not None:
            return self._take(self._shims, number, self._shim_index[number])
        for other in from_uapi:
            found = self._uapi_index[other]
            # A variable's name may be what some header makes a macro of.
            if is_tag or not found.text.startswith("#") or name.isupper() or "(" in found.text.split()[1]:
                return self._take(self._uapi, other, found)
        return ()

    def _is_meant(self, name: str, found: Declaration) -> bool:
        """Is it a macro or function, and of a member (`#define sk_family __sk_common.skc_family`) only where the
        program has a member of that name?"""
        if not found.text.startswith("#"):
            return _is_function(found)
        return name in self._members or _OF_MEMBER.match(found.text) is None

    def _is_for(self, shim: Declaration) -> bool:
        return all(self._has(c.removeprefix("!")) != c.startswith("!") for c in shim.conditions)

    def _has(self, condition: str) -> bool:
        if condition == self._machine:
            return True
        name, _, member = condition.partition(".")
        index = self._kernel_index
        found = index.find(name) if index is not None else ()
        if index is None or not found or not member:
            return bool(found)
        return re.search(rf"\b{member}(?:\[\w*\])*(?:: \d+)?;", index[found[0]].text) is not None

    def _take(self, chosen: set[int], number: int, found: Declaration) -> Iterable[str]:
        if number in chosen:
            return ()
        chosen.add(number)
        return found.words

    def _follow(self) -> None:
        """What the kernel's types need, and what the members point to that the program names."""
        index = self._kernel_index
        if index is None:
            return
        waiting = list(self._kernel)
        while waiting:
            found = index[waiting.pop()]
            more = set(found.needs)
            for member, numbers in found.behind:
                if member in self.words:
                    more.update(n for n in numbers if self._own.isdisjoint(index[n].names))
            more -= self._kernel
            self._kernel |= more
            waiting += more

    def declarations(self, of_modules: Collection[Declaration] = ()) -> str:
        """Types, constants and macros."""
        out: list[str] = []
        declared: set[str] = set()
        if self._kernel and self._kernel_index is not None:
            self._kernel_types(out, declared)
        if of_modules:
            out.append(_PUSH)
            out += [f"{each.text}\n" for each in of_modules if not each.names or declared.isdisjoint(each.names)]
            out.append(_POP)
            declared.update(name for each in of_modules for name in each.names)
        for index, chosen in ((self._shim_index, self._shims), (self._uapi_index, self._uapi)):
            for number in sorted(chosen):
                found = index[number]
                if not _is_function(found):
                    out.append(_renamed(found.text, declared.intersection(found.names)) + "\n")
                    declared.update(found.names)
        return "".join(out)

    def _kernel_types(self, out: list[str], declared: set[str]) -> None:
        assert self._kernel_index is not None
        records = [self._kernel_index[number] for number in sorted(self._kernel)]
        declared.update(name for found in records for name in found.names)
        shadowed = declared & self._own
        early = {tag for found in records for tag in found.tags} - shadowed
        out += [f"{tag};\n" for tag in sorted(early)]
        relocated = False
        for found in records:
            text = found.text
            if shadowed:
                text = _renamed(text, shadowed)
            if text.startswith(_RECORD_TAG) or (text.startswith("typedef") and "{" in text):
                lasting = any(name in self._uapi_index for name in found.names)
                if relocated == lasting:
                    relocated = not lasting
                    out.append(_PUSH if relocated else _POP)
            out.append(text + "\n")
        if relocated:
            out.append(_POP)
        declared -= shadowed

    def functions(self) -> str:
        out = []
        for index, chosen in ((self._shim_index, self._shims), (self._uapi_index, self._uapi)):
            out += [index[n].text + "\n" for n in sorted(chosen) if _is_function(index[n])]
        return "".join(out)


def _is_function(found: Declaration) -> bool:
    return found.text.startswith("static")


def _renamed(text: str, names: Collection[str]) -> str:
    """The kernel's types of these names under another one; pointers to them point to what the program calls so."""
    if not names:
        return text
    lines = []
    for line in text.split("\n"):
        if "*" not in line or line.startswith("typedef"):
            for name in names:
                if name in line:
                    member = r"(?!\s*[:;[])" if line.startswith("\t") and " " not in name else ""
                    line = re.sub(rf"\b{name}\b{member}", f"{name}{_SUFFIX}", line)
        lines.append(line)
    return "\n".join(lines)

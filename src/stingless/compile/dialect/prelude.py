"""The declarations that a program gets from the kernel: those that its words can mean, and what these need.

A name means what the program itself makes of it, else a shim (headers/bcc/kernel), a type or enumerator of the kernel's
BTF, or what the UAPI headers have.  The pointee of a member is declared with its members only where the program names
that member.  What this misses, since a macro pastes its name together, is added when clang asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from stingless.compile.declared.index import Declaration, Declarations
from stingless.compile.declared.store import PRELUDE, shims, uapi
from stingless.compile.dialect.facts import Facts

_RECORD_TAG = ("struct ", "union ")
_PUSH = "#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)\n"
_POP = "#pragma clang attribute pop\n"
_SUFFIX = "___st"  # of CO-RE's flavours: what stands before it is the name that the kernel knows


class Prelude:
    """`words` and `tags` are the program's, `own` those that it gives a meaning itself, `headers` the kernel's that it
    includes, `macros` the flags -D and -U."""

    def __init__(
        self,
        facts: Facts,
        words: Collection[str],
        tags: Collection[str],
        own: Collection[str],
        headers: Collection[str],
        macros: Collection[str] = (),
    ) -> None:
        self._facts = facts
        self._macros = macros
        self._own = set(own)
        self._headers = frozenset(headers)
        self._names = set(words) | set(tags)
        self._kernel = facts.types()
        self._shims, self._uapi = shims(), uapi()
        self._names.update(self._shims[self._shims.find(PRELUDE)[0]].words)

    def add(self, names: Iterable[str]) -> bool:
        """Names that turned out to be needed from the kernel, although the text seems to have its own.  False when they
        change nothing."""
        new = {name for name in names if (name not in self._names or name in self._own) and self.knows(name)}
        self._names |= new
        self._own -= new
        return bool(new)

    def knows(self, name: str) -> bool:
        indexes = [index for index in (self._kernel, self._shims, self._uapi) if index is not None]
        return any(name in index for index in indexes) or name.startswith("CONFIG_")

    def absence(self, name: str) -> str:
        """What to say of a name that the kernel does not have; "" when it has it."""
        if self.knows(name):
            return ""
        if self._kernel is None:
            return f"the kernel has no BTF that could tell what {name} is"
        near = self._near(name)
        hint = f"; it has {', '.join(near)}" if near else ""
        return f"Linux {self._release()} has no {name} in its BTF, nor is there a shim for it{hint}"

    def member_absence(self, record: str, member: str) -> str:
        if self._kernel is None or record in self._own:
            return ""
        found = self._kernel.find(record)
        if not found:
            return ""
        import difflib

        members = re.findall(r"(\w+)(?:\[\w*\])*(?:: \d+)?;", self._kernel[found[0]].text)
        near = difflib.get_close_matches(member, members, n=3)
        hint = f"; it has {', '.join(near)}" if near else ""
        return f"{record} of Linux {self._release()} has no member {member}{hint}"

    def _release(self) -> str:
        return ".".join(map(str, self._facts.release))

    def _near(self, name: str) -> list[str]:
        import difflib

        kind = name.rpartition(" ")[0]
        indexes = [index for index in (self._kernel, self._shims, self._uapi) if index is not None]
        known = {other for index in indexes for other in index.names()}
        alike = [other for other in known if other.rpartition(" ")[0] == kind and abs(len(other) - len(name)) < 4]
        return difflib.get_close_matches(name, alike, n=3, cutoff=0.75)

    def text(self) -> str:
        """What comes before the program: types before macros, so that no macro gets into them."""
        chosen = _Chosen(self._kernel, self._shims, self._uapi, self._own, self._headers)
        chosen.choose(self._names)
        parts = [
            '#line 1 "the kernel\'s declarations"\n',
            chosen.declarations(),
            self._configuration(chosen.words),
            *map(_directive, self._macros),
            "#include <bcc.h>\n",
            chosen.functions(),
        ]
        return "".join(parts)

    def _configuration(self, words: set[str]) -> str:
        """The kernel's configuration and version, as far as they are asked for."""
        lines = []
        wanted = sorted(word for word in words if word.startswith("CONFIG_") and word not in self._own)
        known = self._facts.config() if wanted else {}
        for name in wanted:
            value = known.get(name)
            if value == "y":
                lines.append(f"#define {name} 1\n")
            elif value is not None and value not in ("m", "n"):
                lines.append(f"#define {name} {value}\n")
            if name.endswith("_MODULE") and known.get(name.removesuffix("_MODULE")) == "m":
                lines.append(f"#define {name} 1\n")
        version, patch, sub = self._facts.release
        code = (version << 16) + (patch << 8) + min(sub, 255)
        lines.append(f"#define LINUX_VERSION_CODE {code}\n")
        return "".join(lines)


class _Chosen:
    """The choice for one program."""

    def __init__(
        self,
        kernel: Declarations | None,
        shim: Declarations,
        uapi: Declarations,
        own: set[str],
        headers: Collection[str],
    ) -> None:
        self._kernel_index, self._shim_index, self._uapi_index = kernel, shim, uapi
        self._own = own
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
                return self._take(self._shims, number, found)
        from_uapi = self._uapi_index.find(name)
        if not is_tag and from_uapi:
            included = next((n for n in from_uapi if self._uapi_index[n].header in self._headers), None)
            if included is not None and self._uapi_index[included].text.startswith("#"):
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

    def _is_for(self, shim: Declaration) -> bool:
        return all(self._has(c.removeprefix("!")) != c.startswith("!") for c in shim.conditions)

    def _has(self, condition: str) -> bool:
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

    def declarations(self) -> str:
        """Types, constants and macros."""
        out: list[str] = []
        declared: set[str] = set()
        if self._kernel and self._kernel_index is not None:
            self._kernel_types(out, declared)
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


def _directive(flag: str) -> str:
    """-DNAME, -DNAME=value and -UNAME as clang means them."""
    name, equals, value = flag[2:].partition("=")
    if flag.startswith("-U"):
        return f"#undef {name}\n"
    return f"#define {name} {value if equals else 1}\n"


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

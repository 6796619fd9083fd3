"""The declarations that a program gets from the kernel: those that its words can mean, and what these need.

A name means what the program itself makes of it, else a shim (headers/bcc/kernel), a type or enumerator of the kernel's
BTF, or what the UAPI headers have.  The pointee of a member is declared with its members only where the program names
that member.  What this misses, since a macro pastes its name together, is added when clang asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from stingless.compile.declared.index import Declaration
from stingless.compile.declared.kernel_types import kernel_types
from stingless.compile.declared.store import PRELUDE, shims, uapi
from stingless.compile.dialect.choice import Choice
from stingless.compile.dialect.facts import Facts

_MACHINES = {"x86_64": "__x86_64__", "aarch64": "__aarch64__", "riscv64": "__riscv", "s390x": "__s390x__"}
_PRIVATE = re.compile(r"struct (tracepoint__|__st_)")  # made by the translation
_USDT_ARGUMENT = re.compile(r"_bpf_readarg_(\w+)_(\d+)$")  # made by the translation: the function and the number


class Prelude:
    """`words` and `tags` are the program's, `own` those that it gives a meaning itself, `members` those that it
    has behind a point or an arrow, `headers` the kernel's that it includes, `macros` the flags -D and -U."""

    def __init__(
        self,
        facts: Facts,
        words: Collection[str],
        tags: Collection[str],
        own: Collection[str],
        members: Collection[str],
        headers: Collection[str],
        macros: Collection[str] = (),
    ) -> None:
        self._facts = facts
        self._macros = macros
        self._own = set(own)
        self._members = frozenset(members)
        self._headers = frozenset(headers)
        self._names = set(words) | set(tags)
        self._kernel = facts.types()
        self._shims, self._uapi = shims(), uapi()
        self._names.update(self._shims[self._shims.find(PRELUDE)[0]].words)
        self._modules: list[Declaration] = []
        self._of_modules({tag for tag in tags if not self.knows(tag) and tag not in own and not _PRIVATE.match(tag)})

    def add(self, names: Iterable[str]) -> bool:
        """Names that turned out to be needed from the kernel, although the text seems to have its own.  False when they
        change nothing."""
        new = {name for name in names if (name not in self._names or name in self._own) and self.knows(name)}
        self._names |= new
        self._own -= new
        return self._of_modules({name for name in names if " " in name and not self.knows(name)}) or bool(new)

    def _of_modules(self, tags: set[str]) -> bool:
        """Look for these types in the BTF of modules.  True when there were some."""
        if not tags or self._kernel is None:
            return False
        known = {name for each in self._modules for name in each.names}
        found = kernel_types(self._facts.module_types(tags - known))
        new = [each for each in found if known.isdisjoint(each.names)]
        self._modules += new
        return bool(new)

    def knows(self, name: str) -> bool:
        indexes = [index for index in (self._kernel, self._shims, self._uapi) if index is not None]
        return any(name in index for index in indexes) or name.startswith("CONFIG_")

    def absence(self, name: str) -> str:
        """What to say of a name that the kernel does not have; "" when it has it."""
        if self.knows(name):
            return ""
        if usdt := _USDT_ARGUMENT.match(name):
            return (
                f"no USDT probe with an argument {usdt[2]} is enabled for {usdt[1]}(): "
                f'USDT.enable_probe(probe=..., fn_name="{usdt[1]}"), then BPF(..., usdt_contexts=[...])'
            )
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
        known = {other for index in indexes for other in index.names()} | _helpers()
        alike = [other for other in known if other.rpartition(" ")[0] == kind and abs(len(other) - len(name)) < 4]
        return difflib.get_close_matches(name, alike, n=3, cutoff=0.75)

    def text(self) -> str:
        """What comes before the program: types before macros, so that no macro gets into them."""
        chosen = Choice(self._kernel, self._facts.machine, self._own, self._members, self._headers)
        chosen.choose(self._names)
        parts = [
            '#line 1 "the kernel\'s declarations"\n',
            chosen.declarations(self._modules),
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
            value = known.get(name.removesuffix("_MODULE"))
            if value == "m":
                lines.append(f"#define {name.removesuffix('_MODULE')}_MODULE 1\n")
            elif value == "y" and name in known:
                lines.append(f"#define {name} 1\n")
            elif name in known and value != "n":
                lines.append(f"#define {name} {value}\n")
        if machine := _MACHINES.get(self._facts.machine):
            lines.append(f"#define {machine} 1\n")
        version, patch, sub = self._facts.release
        code = (version << 16) + (patch << 8) + min(sub, 255)
        lines.append(f"#define LINUX_VERSION_CODE {code}\n")
        return "".join(lines)


def _helpers() -> set[str]:
    """The helper functions' names."""
    from stingless.compile.toolchain import HEADERS

    return set(re.findall(r"\bbpf_\w+(?=\)\()", (HEADERS / "bpf/bpf_helper_defs.h").read_text()))


def _directive(flag: str) -> str:
    """-DNAME, -DNAME=value and -UNAME as clang means them."""
    name, equals, value = flag[2:].partition("=")
    if flag.startswith("-U"):
        return f"#undef {name}\n"
    return f"#define {name} {value if equals else 1}\n"

"""Random pairs of C types, the object's and the kernel's, with a program that asks everything about the first."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

_INTS = ("char", "signed char", "unsigned char", "short", "unsigned short", "int", "unsigned", "long", "unsigned long")
_BITS = {"unsigned char": 8, "short": 16, "int": 32, "unsigned": 32, "long": 64, "unsigned long": 64}
_ENUMS = """\
enum small { SMALL_A, SMALL_B = 7 };
enum negative { NEGATIVE_A = -5, NEGATIVE_B };
enum big { BIG_A = 0x123456789abULL, BIG_B };
"""
_MACROS = """\
#define KEEP(v) asm volatile("" :: "r"((unsigned long)(v)))
#define ASK(a) KEEP(__builtin_preserve_field_info(a, 0)); KEEP(__builtin_preserve_field_info(a, 1)); \\
    KEEP(__builtin_preserve_field_info(a, 2)); KEEP(__builtin_preserve_field_info(a, 3)); \\
    KEEP(__builtin_preserve_field_info(a, 4)); KEEP(__builtin_preserve_field_info(a, 5));
#define ASK_ARRAY(a) KEEP(__builtin_preserve_field_info(a, 0)); KEEP(__builtin_preserve_field_info(a, 1)); \\
    KEEP(__builtin_preserve_field_info(a, 2));
#define ASK_TYPE(t) KEEP(__builtin_preserve_type_info(*(t *)0, 0)); KEEP(__builtin_preserve_type_info(*(t *)0, 1)); \\
    KEEP(__builtin_preserve_type_info(*(t *)0, 2)); KEEP(__builtin_btf_type_id(*(t *)0, 0)); \\
    KEEP(__builtin_btf_type_id(*(t *)0, 1));
"""


@dataclass(frozen=True)
class Member:
    """`type` is a C type, or "struct" or "union" with `inner`.  `name` "" is anonymous."""

    name: str
    type: str
    dimensions: tuple[int, ...] = ()
    bits: int = 0
    inner: tuple[Member, ...] = field(default=())

    def c(self) -> str:
        body = f" {{ {' '.join(m.c() for m in self.inner)} }}" if self.inner else ""
        dimensions = "".join(f"[{n}]" for n in self.dimensions)
        bits = f" : {self.bits}" if self.bits else ""
        return f"{self.type}{body} {self.name}{dimensions}{bits};"


class Pairs:
    """`count` structs `s0`, `s1`, ... in the object, and what has become of them in the kernel."""

    def __init__(self, seed: int, count: int) -> None:
        self._random = random.Random(seed)
        self._names = 0
        pairs = [(mine := self._members(0), self._changed(mine)) for _ in range(count)]
        self.local = self._program([mine for mine, _ in pairs])
        self.target = _ENUMS + "".join(
            f"struct s{i} {{ {' '.join(m.c() for m in theirs)} }}; struct s{i} v{i};\n"
            for i, (_, theirs) in enumerate(pairs)
            if self._random.random() < 0.95
        )
        self.target += "enum small v_small; enum negative v_negative; enum big v_big;\n"

    def _name(self) -> str:
        self._names += 1
        return f"m{self._names}"

    def _members(self, depth: int) -> tuple[Member, ...]:
        members = [self._member(depth) for _ in range(self._random.randint(1, 6))]
        # clang refuses bit-fields in what is aligned to less than their type.
        return (Member(self._name(), "long"), *members) if any(m.bits for m in members) else tuple(members)

    def _member(self, depth: int) -> Member:
        pick, name = self._random, self._name()
        shape = pick.choice(["int", "int", "int", "bits", "bits", "pointer", "enum", "array", "inner", "anonymous"])
        if shape == "bits":
            kind = pick.choice(list(_BITS))
            return Member(name, kind, bits=pick.randint(1, _BITS[kind]))
        if shape == "pointer":
            return Member(name, pick.choice(["void *", "struct other *", "int *"]))
        if shape == "enum":
            return Member(name, pick.choice(["enum small", "enum negative", "enum big"]))
        if shape == "array":
            return Member(name, pick.choice(_INTS), tuple(pick.randint(1, 4) for _ in range(pick.randint(1, 2))))
        if shape in ("inner", "anonymous") and depth < 2:
            name = name if shape == "inner" else ""
            dimensions = (pick.randint(1, 3),) if name and pick.random() < 0.3 else ()
            return Member(name, pick.choice(["struct", "union"]), dimensions, inner=self._members(depth + 1))
        return Member(name, pick.choice(_INTS))

    def _changed(self, members: tuple[Member, ...]) -> tuple[Member, ...]:
        pick = self._random
        out: list[Member] = []
        for member in members:
            if member.inner:
                member = replace(member, inner=self._changed(member.inner))
                if not member.name and pick.random() < 0.3:  # its members without it
                    out += member.inner
                    continue
            change = pick.random()
            if change < 0.1:
                continue
            if change < 0.3 and member.type in _INTS:
                kind = pick.choice(_INTS)
                member = replace(member, type=kind, bits=min(member.bits, _BITS.get(kind, 8)))
            elif change < 0.4 and member.bits:
                member = replace(member, bits=pick.randint(0, _BITS.get(member.type, 8)))
            elif change < 0.5 and member.dimensions:
                member = replace(member, dimensions=tuple(pick.randint(1, 4) for _ in member.dimensions))
            elif change < 0.55 and not member.inner:
                member = Member(member.name, "struct", inner=(Member(self._name(), "int"),))
            elif change < 0.65:
                member = Member("", pick.choice(["struct", "union"]), inner=(member, self._member(2)))
            out.append(member)
            if pick.random() < 0.2:
                out.append(self._member(1))
        if pick.random() < 0.4:
            pick.shuffle(out)
        return tuple(out) or (Member(self._name(), "int"),)

    def _program(self, structs: list[tuple[Member, ...]]) -> str:
        text = _ENUMS + _MACROS
        for i, members in enumerate(structs):
            flavour = self._random.choice(["", "", "___x", "___new_one"])
            inside = " ".join(m.c() for m in members)
            text += f"struct s{i}{flavour} {{ {inside} }} __attribute__((preserve_access_index));\n"
            body = f"ASK_TYPE(struct s{i}{flavour}) " + " ".join(self._asks("p", members))
            text += f'__attribute__((section("socket/{i}"))) int f{i}(struct s{i}{flavour} *p) {{ {body} return 0; }}\n'
        enums = " ".join(
            f"KEEP(__builtin_preserve_enum_value(*(typeof({e}) *){v}, {k}));"
            for e, v in (("enum small", "SMALL_B"), ("enum negative", "NEGATIVE_A"), ("enum big", "BIG_B"))
            for k in (0, 1)
        )
        return text + f'__attribute__((section("socket/enums"))) int enums(void *p) {{ {enums} return 0; }}\n'

    def _asks(self, base: str, members: tuple[Member, ...]) -> list[str]:
        out = []
        for member in members:
            arrow = "->" if base == "p" else "."
            spot = f"{base}{arrow}{member.name}" if member.name else base
            indexed = spot + "".join(f"[{self._random.randrange(n)}]" for n in member.dimensions)
            if member.inner:
                out += self._asks(indexed, member.inner)
            elif member.bits:
                out.append(f"ASK({spot})")
            elif member.dimensions:
                out.append(f"ASK_ARRAY({spot}) ASK_ARRAY({indexed})")
                if len(member.dimensions) == 1:  # libbpf before 1.6 takes the size of rows for that of elements
                    out.append(f"KEEP({indexed});")
            elif member.type.endswith("*"):
                out.append(f"ASK_ARRAY({spot}) KEEP({spot});")
            else:
                out.append(f"ASK({spot}) KEEP({spot}); {spot} = 0;")
        return out

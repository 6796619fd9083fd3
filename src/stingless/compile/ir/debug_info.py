"""The types in a module's debug information, as far as pointers are followed through them."""

from __future__ import annotations

from stingless.compile.ir.bit_fields import BitField
from stingless.compile.ir.tokens import IrError, split, tokens_of

_TRANSPARENT = frozenset(("DW_TAG_typedef", "DW_TAG_const_type", "DW_TAG_volatile_type", "DW_TAG_restrict_type"))
_RECORDS = frozenset(("DW_TAG_structure_type", "DW_TAG_union_type"))
_WORDS = (1, 2, 4, 8)  # sizes of integers, in bytes
_DEEPEST = 64


class DebugInfo:
    """`head` and `tail` are the module's text before and behind its functions.  Nodes are read when they are asked for:
    they are numbered from 0, a line each."""

    def __init__(self, head: str, tail: str) -> None:
        self._head = head
        self._lines = tail[tail.find("\n!0 = ") + 1 :].split("\n")
        self._nodes: dict[str, dict[str, str]] = {}

    def _text(self, node: str) -> str:
        """What `!7` is, or ""."""
        number = node[1:]
        line = self._lines[int(number)] if number.isdigit() and int(number) < len(self._lines) else ""
        name, _, text = line.partition(" = ")
        return text if name == node else ""

    def _global(self, symbol: str) -> str:
        """What `@"llvm.S:0:8$0:2"` is, or ""."""
        name = f"\n{symbol} = "
        at = self._head.find(name)
        return self._head[at + len(name) : self._head.find("\n", at + 1)] if at >= 0 else ""

    def first_parameter(self, subprogram: str) -> str:
        """The name of the struct to which a function's first parameter points, or ""."""
        types = self._list(self._node(self._node(subprogram).get("type", "")).get("types", ""))
        return self.record_name(self.pointee(types[1])) if len(types) > 1 else ""

    def record_name(self, node: str) -> str:
        return self._node(node).get("name", "").strip('"') if self._tag(node) in _RECORDS else ""

    def pointee(self, node: str) -> str:
        """The type that a pointer type points to, without its qualifiers, or ""."""
        node = self._plain(node)
        return self._plain(self._node(node).get("baseType", "")) if self._tag(node) == "DW_TAG_pointer_type" else ""

    def is_record(self, node: str) -> bool:
        return self._tag(node) in _RECORDS

    def relocated_field(self, symbol: str) -> str:
        """The type of the field that a CO-RE relocation's symbol `@"llvm.S:0:8$0:2"` names, or ""."""
        return self._walked(symbol)[0]

    def bit_field(self, symbol: str) -> BitField | None:
        """The bit-field that a CO-RE relocation's symbol names, or None."""
        _, record, member, start = self._walked(symbol)
        if not member or not self._is_bit_field(member):
            return None
        members = [m for m in self._list(self._node(record).get("elements", "")) if self._is_bit_field(m)]
        starts = [self._number(m, "offset") for m in members]
        declared = self._number(self._plain(self._node(member).get("baseType", "")), "size") // 8
        offset, size = self._number(member, "offset"), self._number(member, "size")
        if declared not in _WORDS or not size:
            raise IrError(f"a bit-field of {size} bits of {declared} bytes: {symbol}")
        return BitField(start, offset, size, declared, tuple(bit // 8 for bit in starts if bit % 8 == 0))

    def sibling(self, symbol: str, kind: int, value: int) -> tuple[str, str]:
        """The symbol of a relocation of another kind (enum bpf_core_relo_kind) for the same field, whose value in the
        program's own types is `value`; and its definition."""
        type, _, rest = symbol.removeprefix('@"llvm.').partition(":")
        name = f'@"llvm.{type}:{kind}:{value}${rest.partition("$")[2]}'
        return name, f"{name} = {self._global(symbol)}"

    def _is_bit_field(self, member: str) -> bool:
        return "DIFlagBitField" in self._node(member).get("flags", "")

    def _number(self, node: str, key: str) -> int:
        text = self._node(node).get(key, "0")
        if not text.isdigit():
            raise IrError(f"the {key} of {node} is no number: {text}")
        return int(text)

    def _walked(self, symbol: str) -> tuple[str, str, str, int]:
        """Where the path of `symbol` leads to: the type; the struct and the member in it ("" for an array's element);
        the bits from the start to that struct or array."""
        words = self._global(symbol).replace(",", " ").split()
        nowhere = "", "", "", 0
        if "!llvm.preserve.access.index" not in words:
            return nowhere
        node = self._plain(words[words.index("!llvm.preserve.access.index") + 1])
        record = member = ""
        start = inside = 0
        for text in symbol.strip('@"').rpartition("$")[2].split(":")[1:]:
            if not text.isdigit():
                return nowhere
            index = int(text)
            start += inside
            if self._tag(node) == "DW_TAG_array_type":
                record, member, node = node, "", self._plain(self._node(node).get("baseType", ""))
                inside = index * self._number(node, "size")
                continue
            members = self._list(self._node(node).get("elements", ""))
            if index >= len(members):
                return nowhere
            record, member = node, members[index]
            inside = self._number(member, "offset")
            node = self._plain(self._node(member).get("baseType", ""))
        return node, record, member, start

    def _plain(self, node: str) -> str:
        for _ in range(_DEEPEST):
            if self._tag(node) not in _TRANSPARENT:
                return node
            node = self._node(node).get("baseType", "")
        raise IrError(f"the type {node} is made of itself")

    def _tag(self, node: str) -> str:
        return self._node(node).get("tag", "")

    def _list(self, node: str) -> list[str]:
        text = node if node.startswith("!{") else self._text(node)
        return [part[-1] for part in split(tokens_of(text)[2:-1]) if part] if text.startswith("!{") else []

    def _node(self, name: str) -> dict[str, str]:
        """`!DIDerivedType(tag: T, baseType: !3)` -> {"tag": "T", "baseType": "!3"}."""
        known = self._nodes.get(name)
        if known is None:
            known = self._nodes[name] = {}
            tokens = tokens_of(self._text(name))
            if "(" in tokens:
                for part in split(tokens[tokens.index("(") + 1 : -1]):
                    if part[1:2] == [":"]:
                        known[part[0]] = "".join(part[2:])
        return known

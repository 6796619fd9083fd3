"""Sizes of LLVM's types for eBPF: pointers of 8 bytes, everything aligned to its size."""

from __future__ import annotations

from stingless.compile.ir.tokens import IrError, split, tokens_of

_WORDS = {"ptr": 8, "half": 2, "bfloat": 2, "float": 4, "double": 8}


class Layout:
    """`head` is the module's text before its functions: it names the types."""

    def __init__(self, head: str) -> None:
        self._head = f"\n{head}"

    def size(self, type: str) -> int:
        """In bytes, as many as a load of the type reads.  Raises `IrError` for a type without a size."""
        try:
            return self._size(tokens_of(type))[0]
        except (RecursionError, ValueError) as error:
            raise IrError(f"the size of the type {type[:120]} is not known: {error}") from None

    def _size(self, tokens: list[str]) -> tuple[int, int]:
        """Size and alignment."""
        head = tokens[0] if tokens else ""
        if head in _WORDS:
            return _WORDS[head], _WORDS[head]
        if head[:1] == "i" and head[1:].isdigit():
            size = (int(head[1:]) + 7) // 8
            return size, min(1 << (size - 1).bit_length(), 16)
        if head[:1] == "%":
            _, _, named = self._head.partition(f"\n{head} = type ")
            return self._size(tokens_of(named.partition("\n")[0]))
        if head == "[":
            size, align = self._size(tokens[3:-1])
            return int(tokens[1]) * -(-size // align) * align, align
        if head == "<" and tokens[1:2] == ["{"]:
            return sum(-(-s // a) * a for s, a in map(self._size, split(tokens[2:-2]))), 1
        if head == "<":
            size = int(tokens[1]) * self._size(tokens[3:-1])[0]
            return size, min(size, 16)
        if head == "{":
            at, most = 0, 1
            for size, align in map(self._size, split(tokens[1:-1])):
                at = -(-at // align) * align + size
                most = max(most, align)
            return -(-at // most) * most, most
        raise IrError(f"{' '.join(tokens)[:120]} has none")

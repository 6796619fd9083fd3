"""Names of Rust's v0 scheme ("_R..."), as `rustc-demangle` shows them in its short form.

Source: Rust RFC 2603, "Symbol Mangling (v0)".
"""

from __future__ import annotations

_BASIC = {
    "a": "i8", "b": "bool", "c": "char", "d": "f64", "e": "str", "f": "f32", "h": "u8", "i": "isize", "j": "usize",
    "l": "i32", "m": "u32", "n": "i128", "o": "u128", "p": "_", "s": "i16", "t": "u16", "u": "()", "v": "...",
    "x": "i64", "y": "u64", "z": "!",
}  # fmt: skip
_DEPTH = 200


def demangled_v0(name: bytes) -> bytes | None:
    """None for what is no such name."""
    try:
        text = name.decode("ascii")
        reader = _Reader(text[2:].partition(".")[0])
        shown = reader.path(True)
        if reader.at < len(reader.text):
            reader.path(False)  # the crate that a generic function was made in
    except (UnicodeError, ValueError, IndexError, KeyError, OverflowError):
        return None
    return shown.encode() if reader.at == len(reader.text) else None


class _Reader:
    """Raises `ValueError`, `IndexError`, `KeyError`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self._depth = 0
        self._bound = 0  # lifetimes that the types around have named

    def next(self) -> str:
        self.at += 1
        return self.text[self.at - 1]

    def eat(self, character: str) -> bool:
        if self.text[self.at : self.at + 1] != character:
            return False
        self.at += 1
        return True

    def number(self) -> int:
        """Base 62, ended by "_"; nothing is 0."""
        value = 0
        if self.eat("_"):
            return 0
        while (digit := self.next()) != "_":
            if not (digit.isascii() and digit.isalnum()):
                raise ValueError(digit)
            value = value * 62 + "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".index(digit)
        return value + 1

    def optional(self, tag: str) -> int:
        return self.number() + 1 if self.eat(tag) else 0

    def identifier(self) -> tuple[str, int]:
        """A name, and which of several of that name."""
        which = self.optional("s")
        punycode = self.eat("u")
        start = self.at
        if not self.eat("0"):  # no number begins with a zero
            while self.text[self.at : self.at + 1].isdigit():
                self.at += 1
        size = int(self.text[start : self.at])
        self.eat("_")
        name = self.text[self.at : self.at + size]
        if len(name) < size:
            raise ValueError("cut off")
        self.at += size
        if punycode:
            head, underscore, tail = name.rpartition("_")
            name = (head + "-" + tail if underscore else tail).encode().decode("punycode")
        return name, which

    def again(self, read: str, *arguments: bool) -> str:
        """What an earlier place of the name has."""
        target, here = self.number(), self.at
        if target >= here - 2 or self._depth > _DEPTH:
            raise ValueError("a reference that does not lead back")
        self.at = target
        self._depth += 1
        try:
            shown: str = getattr(self, read)(*arguments)
        finally:
            self._depth -= 1
        self.at = here
        return shown

    def path(self, value: bool) -> str:
        self._depth += 1
        if self._depth > _DEPTH:
            raise ValueError("too deep")
        try:
            return self._path(self.next(), value)
        finally:
            self._depth -= 1

    def _path(self, tag: str, value: bool) -> str:
        if tag == "C":
            return self.identifier()[0]
        if tag in "MX":
            self.optional("s")
            self.path(False)  # where the impl is
        if tag == "M":
            return f"<{self.type()}>"
        if tag in "XY":
            kind = self.type()
            return f"<{kind} as {self.path(False)}>"
        if tag == "N":
            return self._nested(value)
        if tag == "I":
            inside = self.path(value)
            return f"{inside}{'::' if value else ''}<{', '.join(self._until_end(self._generic))}>"
        if tag == "B":
            return self.again("path", value)
        raise ValueError(tag)

    def _nested(self, value: bool) -> str:
        space = self.next()
        inside = self.path(value)
        name, which = self.identifier()
        if space.isupper():
            kind = {"C": "closure", "S": "shim"}.get(space, space)
            return f"{inside}::{{{kind}{':' + name if name else ''}#{which}}}"
        return f"{inside}::{name}" if name else inside

    def _until_end(self, read: object) -> list[str]:
        found = []
        while not self.eat("E"):
            found.append(read())  # type: ignore[operator]
        return found

    def _generic(self) -> str:
        if self.eat("L"):
            return self._lifetime(self.number())
        return self.constant() if self.eat("K") else self.type()

    def _lifetime(self, index: int) -> str:
        if not index:
            return "'_"
        depth = self._bound - index
        if depth < 0:
            raise ValueError("a lifetime that nothing names")
        return f"'{chr(ord('a') + depth)}" if depth < 26 else f"'_{depth}"

    def _binder(self) -> str:
        count = self.optional("G")
        if count > 1000:
            raise ValueError("too many lifetimes")
        self._bound += count
        names = [self._lifetime(i) for i in range(count, 0, -1)]
        return f"for<{', '.join(names)}> " if names else ""

    def type(self) -> str:
        self._depth += 1
        if self._depth > _DEPTH:
            raise ValueError("too deep")
        try:
            return self._type(self.next())
        finally:
            self._depth -= 1

    def _type(self, tag: str) -> str:
        if tag in _BASIC:
            return _BASIC[tag]
        if tag in "RQ":
            lifetime = self._lifetime(self.number()) + " " if self.eat("L") else ""
            return f"&{lifetime.removeprefix(chr(39) + '_ ')}{'mut ' if tag == 'Q' else ''}{self.type()}"
        if tag in "PO":
            return f"*{'const' if tag == 'P' else 'mut'} {self.type()}"
        if tag == "A":
            return f"[{self.type()}; {self.constant()}]"
        if tag == "S":
            return f"[{self.type()}]"
        if tag == "T":
            parts = self._until_end(self.type)
            return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"
        if tag == "F":
            return self._function()
        if tag == "D":
            return self._dyn()
        if tag == "B":
            return self.again("type")
        self.at -= 1
        return self.path(False)

    def _function(self) -> str:
        bound = self._bound
        shown = self._binder() + ("unsafe " if self.eat("U") else "")
        if self.eat("K"):
            abi = "C" if self.eat("C") else self.identifier()[0].replace("_", "-")
            shown += f'extern "{abi}" '
        shown += f"fn({', '.join(self._until_end(self.type))})"
        result = self.type()
        self._bound = bound
        return shown if result == "()" else f"{shown} -> {result}"

    def _dyn(self) -> str:
        bound = self._bound
        shown = "dyn " + self._binder() + " + ".join(self._until_end(self._trait))
        self._bound = bound
        if not self.eat("L"):
            raise ValueError("a trait object without a lifetime")
        lifetime = self._lifetime(self.number())
        return shown if lifetime == "'_" else f"{shown} + {lifetime}"

    def _trait(self) -> str:
        shown = self.path(False)
        named = []
        while self.eat("p"):
            name = self.identifier()[0]
            named.append(f"{name} = {self.type()}")
        if not named:
            return shown
        return shown[:-1] + f", {', '.join(named)}>" if shown.endswith(">") else f"{shown}<{', '.join(named)}>"

    def constant(self) -> str:
        tag = self.next()
        if tag == "B":
            return self.again("constant")
        if tag == "p":
            return "_"
        if tag not in _BASIC or tag in "defpuvz":
            raise ValueError(tag)
        negative = self.eat("n")
        end = self.text.index("_", self.at)
        number = int(self.text[self.at : end] or "0", 16)
        self.at = end + 1
        if tag == "b":
            return ["false", "true"][number]
        if tag == "c":
            return repr(chr(number))
        return f"-{number}" if negative else str(number)

"""Methods called on tables: `table.method(args)` becomes a macro of `headers/bcc/table_methods.h`.

What stands before the point need not be known as a table: a structure has no functions that eBPF code could call.  So
tables may come from headers and macros, and calls may stand in macros.
"""

from __future__ import annotations

from collections.abc import Sequence

from stingless.compile.dialect.lexer import Token, arguments, matching, tokenize
from stingless.compile.dialect.tables import MACROS, METHODS, TABLE_KINDS
from stingless.compile.dialect.work import Work
from stingless.errors import CompileError

_PRINTED = 3  # values of a bpf_trace_printk()


def find_tables(work: Work) -> list[str]:
    """The names of the tables that the text itself declares."""
    names = []
    tokens = work.tokens
    for i, token in enumerate(tokens[:-1]):
        if token.text not in MACROS or tokens[i + 1].text != "(":
            continue
        parts = arguments(tokens, i + 1)
        where = MACROS[token.text]
        if len(parts) <= where or len(parts[where]) != 1:
            raise work.refuse(token, f"{token.text}() needs the table's name as its argument {where + 1}")
        names.append(parts[where][0].text)
        if where and parts[0] and parts[0][0].kind == "string":
            kind = parts[0][0].text.strip('"')
            if kind.partition(":")[0].partition("$")[0] not in TABLE_KINDS:
                raise work.refuse(token, f"{token.text} of kind {kind!r}; there are: {', '.join(sorted(TABLE_KINDS))}")
    return names


def methods(work: Work, tables: Sequence[str]) -> None:
    known = frozenset(tables)
    _Calls(work, work.tokens, known).rewrite()
    for token in work.tokens:
        if token.kind == "directive" and "(" in token.text:  # a macro's text
            inner = tokenize(" " + token.text[1:])
            shifted = [t._replace(start=token.start + t.start, end=token.start + t.end) for t in inner]
            _Calls(work, shifted, known, in_macro=True).rewrite()


class _Calls:
    """The calls among some of the text's tokens."""

    def __init__(self, work: Work, tokens: list[Token], tables: frozenset[str], in_macro: bool = False) -> None:
        self._work = work
        self._tokens = tokens
        self._tables = tables
        self._in_macro = in_macro
        self._newline = "\\\n" if in_macro else "\n"

    def rewrite(self) -> None:
        tokens = self._tokens
        for i, token in enumerate(tokens[:-1]):
            if token.text == "bpf_trace_printk" and tokens[i + 1].text == "(":
                self._print(i)
            elif token.text == "." and i and i + 2 < len(tokens) and tokens[i + 2].text == "(":
                self._member_call(i)

    def _edit(self, start: int, end: int, text: str) -> None:
        lines = self._work.text.count("\n", start, end)
        self._work.edits.append((start, end, text + self._newline * lines))

    def _print(self, i: int) -> None:
        """The dialect leaves out the format's size, which the helper of that name wants."""
        parts = arguments(self._tokens, i + 1)
        sized = len(parts) >= 2 and bool(parts[1]) and parts[1][0].text == "sizeof"
        if (values := len(parts) - 1 - sized) > _PRINTED and not self._in_macro:  # else clang's words are of a constant
            raise self._work.refuse(
                self._tokens[i], f"bpf_trace_printk() has a format and up to {_PRINTED} values, not {values}"
            )
        if not sized:
            self._edit(self._tokens[i].start, self._tokens[i].end, "bpf_printk")

    def _member_call(self, point: int) -> None:
        tokens = self._tokens
        first = _receiver(tokens, point - 1)
        if first is None:
            return
        table = "".join(t.text for t in tokens[first:point])
        method = tokens[point + 1].text
        if method in METHODS:
            self._method(first, point, table, method)
        elif table in self._tables:
            raise self._unknown(tokens[point + 1], table, method)

    def _method(self, first: int, point: int, table: str, method: str) -> None:
        tokens = self._tokens
        opener = point + 2
        parts = arguments(tokens, opener)
        head = f"__st_{method}({table}"
        self._check_arguments(tokens[point + 1], table, parts)
        where = METHODS[method].record
        if where is not None and len(parts) > where and (bare := _without_casts(parts[where])) != parts[where]:
            head = f"__st_{method}_as({table}, {' '.join(t.text for t in bare)}"
        self._edit(tokens[first].start, tokens[opener].end, f"{head}, " if parts else head)
        for part in parts:  # a comma within {} would be one of the macro's
            if any(t.text == "{" for t in part):
                self._edit(part[0].start, part[0].start, "(")
                self._edit(part[-1].end, part[-1].end, ")")

    def _check_arguments(self, token: Token, table: str, parts: list[list[Token]]) -> None:
        """Else clang would speak of our macro."""
        least, most, _ = METHODS[token.text]
        if least <= len(parts) <= (most or least) or any(t.text == "__VA_ARGS__" for part in parts for t in part):
            return
        wanted = f"{least} or {most} arguments" if most else f"{least} argument{'s' if least > 1 else ''}"
        raise self._work.refuse(token, f"{table}.{token.text}() has {wanted}, not {len(parts)}")

    def _unknown(self, token: Token, table: str, method: str) -> CompileError:
        import difflib

        near = difflib.get_close_matches(method, METHODS, n=2)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(sorted(METHODS))}"
        return self._work.refuse(token, f"table {table!r} has no method {method!r}; {hint}")


def _receiver(tokens: Sequence[Token], last: int) -> int | None:
    """Where what is before the point begins: a name, one pasted in a macro (`name##_table`), or one in brackets."""
    first = last
    if tokens[last].text == ")" and last >= 2 and tokens[last - 2].text == "(":
        first = last - 2
        name = tokens[last - 1]
    else:
        while first >= 3 and tokens[first - 1].text == "#" and tokens[first - 2].text == "#":
            first -= 3
        name = tokens[first]
    before = tokens[first - 1].text if first else ""
    if name.kind != "name" or before == "." or (before == ">" and first > 1 and tokens[first - 2].text == "-"):
        return None
    return first


def _without_casts(part: list[Token]) -> list[Token]:
    """`(T *)&record` without the casts in front, when they are to pointers."""
    while part and part[0].text == "(":
        closer = matching(part, 0)
        if closer + 1 >= len(part) or part[closer - 1].text != "*":
            break
        part = part[closer + 1 :]
    return part

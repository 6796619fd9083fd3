"""LLVM's textual IR, as clang >= 15 writes it (opaque pointers, one instruction a line), to a `Module`."""

from __future__ import annotations

from collections.abc import Callable

from stingless.compile.ir.model import (
    Alloca,
    Arithmetic,
    Call,
    ElementPointer,
    Function,
    Instruction,
    Load,
    Module,
    Return,
    Same,
    Store,
)
from stingless.compile.ir.tokens import IrError, group_end, last_value, split, tokens_of, type_end, value_end

_CASTS = ("zext", "sext", "trunc", "bitcast", "inttoptr", "ptrtoint", "ptrtoaddr", "addrspacecast", "freeze")
_ARITHMETIC = ("add", "sub", "mul", "and", "or", "xor", "shl", "lshr", "ashr")
_CALLS = ("call", "tail", "musttail", "notail")
_FLAGS = frozenset(("nuw", "nsw", "nneg", "exact", "disjoint", "samesign"))
_DEFINE = "define "
_METADATA = ", !"  # what is attached to an instruction, at its end
_NOTHING = "@llvm.lifetime."  # calls of no interest
_DEBUG_RECORD = "    #dbg_"


def parse(text: str) -> Module:
    """Debug records (what local variables hold) are left out: no object of eBPF code has them.

    Raises `IrError` for what clang does not write."""
    parts: list[str | Function] = []
    done = 0
    while (start := _definition(text, done)) >= 0:
        header_end = text.find("\n", start)
        end = text.find("\n}", header_end)
        if end < 0:
            raise IrError(f"a function does not end: {text[start : start + 120]}")
        function = _function(text[start:header_end])
        body = text[header_end + 1 : end].split("\n") if end > header_end else []
        function.body = [_instruction(line) for line in body if not line.startswith(_DEBUG_RECORD)]
        parts += [text[done:start], function]
        done = end + 3
    parts.append(text[done:])
    return Module(parts)


def _definition(text: str, start: int) -> int:
    """Where the next function begins, or -1."""
    if text.startswith(_DEFINE, start):
        return start
    at = text.find(f"\n{_DEFINE}", start)
    return at + 1 if at >= 0 else -1


def _function(line: str) -> Function:
    tokens = tokens_of(line)
    at = next((i for i, token in enumerate(tokens) if token[0] == "@" and tokens[i + 1 : i + 2] == ["("]), None)
    if at is None or tokens[-1] != "{":
        raise IrError(f"not a definition of a function: {line[:120]}")
    end = group_end(tokens, at + 1)
    rest = tokens[end:]
    parameters = [part[-1] for part in split(tokens[at + 2 : end - 1]) if part != ["..."]]
    section = rest[rest.index("section") + 1].strip('"') if "section" in rest[:-1] else ""
    debug = rest[rest.index("!dbg") + 1] if "!dbg" in rest[:-1] else ""
    return Function(line, tokens[at], parameters, bool({"internal", "private"} & set(tokens[:at])), section, debug)


def _instruction(line: str) -> str | Instruction:
    words = line.split(None, 3)
    if len(words) > 2 and words[1] == "=":
        opcode = words[2]
    elif words:
        opcode = words[0]
    else:
        return line
    form = _FORMS.get(opcode)
    if form is None or _NOTHING in line:
        return line
    head, _, metadata = line.partition(_METADATA)
    tokens = tokens_of(line if '"' in metadata else head)
    name = ""
    if tokens[1:2] == ["="]:
        name = tokens[0]
        del tokens[:2]
    try:
        return form(line, name, tokens)
    except IndexError:
        raise IrError(f"an instruction is cut short: {line.strip()[:120]}") from None


def _join(tokens: list[str]) -> str:
    return tokens[0] if len(tokens) == 1 else " ".join(tokens)


def _typed(tokens: list[str]) -> tuple[str, str]:
    """`type value` -> both."""
    end = type_end(tokens, 0)
    return _join(tokens[:end]), _join(tokens[end : value_end(tokens, end)])


def _alloca(line: str, name: str, tokens: list[str]) -> Instruction:
    start = 2 if tokens[1] == "inalloca" else 1
    return Alloca(line, name, _join(tokens[start : type_end(tokens, start)]))


def _load(line: str, name: str, tokens: list[str]) -> Instruction:
    start = 1
    while tokens[start] in ("atomic", "volatile"):
        start += 1
    end = type_end(tokens, start)
    if tokens[end] != ",":
        raise IrError(f"a load without a pointer: {line.strip()[:120]}")
    parts = split(tokens[end + 1 :])
    flags = tokens[1:start]
    pointer = _typed(parts[0])[1]
    return Load(line, name, _join(tokens[start:end]), pointer, "volatile" in flags, "atomic" in flags)


def _store(line: str, name: str, tokens: list[str]) -> Instruction:
    start = 1
    while tokens[start] in ("atomic", "volatile"):
        start += 1
    parts = split(tokens[start:])
    kind, value = _typed(parts[0])
    return Store(line, name, kind, value, _typed(parts[1])[1])


def _element_pointer(line: str, name: str, tokens: list[str]) -> Instruction:
    start = 1
    while tokens[start] in ("inbounds", "nuw", "nusw", "inrange"):
        start = group_end(tokens, start + 1) if tokens[start] == "inrange" else start + 1
    parts = split(tokens[start:])
    indices = [_typed(part) for part in parts[2:]]
    return ElementPointer(line, name, _join(parts[0]), _typed(parts[1])[1], indices)


def _cast(line: str, name: str, tokens: list[str]) -> Instruction:
    start = 1
    while tokens[start] in _FLAGS:
        start += 1
    return Same(line, name, [_typed(tokens[start:])[1]])


def _phi(line: str, name: str, tokens: list[str]) -> Instruction:
    start = 1
    while tokens[start] in _FLAGS:
        start += 1
    values = []
    for part in split(tokens[type_end(tokens, start) :]):
        if part[0] == "[":
            values.append(_join(part[1 : value_end(part, 1)]))
    if not values:
        raise IrError(f"a phi without values: {line.strip()[:120]}")
    return Same(line, name, values)


def _select(line: str, name: str, tokens: list[str]) -> Instruction:
    parts = split(tokens)
    return Same(line, name, [_typed(parts[1])[1], _typed(parts[2])[1]])


def _arithmetic(line: str, name: str, tokens: list[str]) -> Instruction:
    start = 1
    while tokens[start] in _FLAGS:
        start += 1
    parts = split(tokens[start:])
    return Arithmetic(line, name, tokens[0], _typed(parts[0])[1], _join(parts[1][: value_end(parts[1], 0)]))


def _return(line: str, name: str, tokens: list[str]) -> Instruction:
    return Return(line, name, "" if tokens[1] == "void" else _typed(split(tokens[1:])[0])[1])


def _call(line: str, name: str, tokens: list[str]) -> Instruction:
    at = 0
    callee = -1
    while at < len(tokens):
        token = tokens[at]
        if token in "([{<":
            at = group_end(tokens, at)
            continue
        if token[0] in "@%" and tokens[at + 1 : at + 2] == ["("]:
            callee = at  # the last one: the type of the result may be a `%struct.s` followed by a function type
        elif token == "inttoptr" or token == "asm":
            callee = at
            break
        at += 1
    if callee < 0:
        raise IrError(f"a call of nothing: {line.strip()[:120]}")
    function, helper, constraints = "", None, ""
    opener = callee + 1
    if tokens[callee] == "inttoptr":
        opener = group_end(tokens, callee + 1)
        inner = tokens[callee + 2 : opener - 1]
        helper = int(inner[1]) if inner[1].lstrip("-").isdigit() else None
    elif tokens[callee] == "asm":
        while tokens[opener] != "(":
            constraints = tokens[opener].strip('"')
            opener += 1
    else:
        function = tokens[callee]
    end = group_end(tokens, opener)
    arguments = [_argument(part) for part in split(tokens[opener + 1 : end - 1])]
    return Call(line, name, _result_type(tokens, callee), function, helper, arguments, constraints)


def _argument(part: list[str]) -> tuple[str, str]:
    return _join(part[: type_end(part, 0)]), _join(last_value(part))


def _result_type(tokens: list[str], callee: int) -> str:
    """The type before the callee; attributes stand before it, a function type behind."""
    at = callee
    if tokens[at - 1] == ")" and _is_function_type(tokens, at - 1):
        at = _opener(tokens, at - 1)
    start = at - 1
    if tokens[start] in ")]}>":
        start = _opener(tokens, start)
        if start and tokens[start - 1] == "addrspace":
            start -= 2
    return _join(tokens[start:at])


def _is_function_type(tokens: list[str], closer: int) -> bool:
    return tokens[_opener(tokens, closer) - 1] != "addrspace"


def _opener(tokens: list[str], closer: int) -> int:
    """The index of the bracket that the one at `closer` closes."""
    depth = 0
    for at in range(closer, -1, -1):
        if tokens[at] in (")", "]", "}", ">"):
            depth += 1
        elif tokens[at] in ("(", "[", "{", "<"):
            depth -= 1
            if not depth:
                return at
    raise IrError(f"a bracket is not opened: {' '.join(tokens)[:120]}")


_Form = Callable[[str, str, list[str]], Instruction]
_FORMS: dict[str, _Form] = {
    "alloca": _alloca,
    "load": _load,
    "store": _store,
    "getelementptr": _element_pointer,
    "phi": _phi,
    "select": _select,
    "ret": _return,
    **dict.fromkeys(_CASTS, _cast),
    **dict.fromkeys(_ARITHMETIC, _arithmetic),
    **dict.fromkeys(_CALLS, _call),
}

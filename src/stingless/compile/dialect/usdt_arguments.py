"""Arguments of USDT probes: `bpf_usdt_readarg(1, ctx, &x)` in function `f` is `_bpf_readarg_f_1(ctx, &x, sizeof(x))`.

The Python side adds that to the text, for each probe that `f` is enabled for.
"""

from __future__ import annotations

from stingless.compile.dialect.bodies import bodies
from stingless.compile.dialect.lexer import arguments
from stingless.compile.dialect.work import Work

_READS = {"bpf_usdt_readarg": 3, "bpf_usdt_readarg_p": 4}


def usdt_arguments(work: Work) -> None:
    """Raises `CompileError` for a call with another number of arguments."""
    program = ""
    for body in bodies(work.tokens):
        if body.is_program:
            program = body.name  # a helper's arguments are those of the program before it
        for i in range(body.opener, body.closer):
            if work.tokens[i].text in _READS and work.tokens[i + 1].text == "(":
                _read(work, i, program)


def _read(work: Work, i: int, program: str) -> None:
    token, opener = work.tokens[i], i + 1
    parts = arguments(work.tokens, opener)
    if len(parts) != _READS[token.text]:
        raise work.refuse(token, f"{token.text}() has {_READS[token.text]} arguments, not {len(parts)}")
    if not program:
        raise work.refuse(token, f"{token.text}() is in no program's function, nor after one")
    number = "".join(t.text for t in parts[0])
    head = f"__st_{token.text.removeprefix('bpf_')}(_bpf_readarg_{program}_{number}, "
    work.replace(token.start, parts[1][0].start, head)

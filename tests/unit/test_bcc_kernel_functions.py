"""Functions that kprobes can take, of a text as /proc/kallsyms has it."""

from __future__ import annotations

from stingless.bcc.kernel_functions import functions

BEFORE = b"""\
ffffffff81000000 T first
ffffffff81000010 t first
ffffffff81000020 D data
ffffffff81000030 W weak
"""
NEVER = b"""\
ffffffff81000040 t first.cold
ffffffff81000050 t x.cold.7
ffffffff81000060 t perf_event
ffffffff81000070 T __SCT__x
"""
INIT = b"""\
ffffffff82000000 T __init_begin
ffffffff82000010 t gone
%sffffffff83000000 t later
ffffffffc0000000 t of_module\t[m]
"""
END = b"ffffffff82000020 T __init_end\n"


def test_functions() -> None:
    kept = {b"first", b"weak"}
    assert functions(BEFORE + NEVER) == kept
    assert functions(BEFORE + NEVER + INIT % END) == kept | {b"later", b"of_module"}
    assert functions(BEFORE + INIT % b"") == kept  # as bcc, which looks for the end
    assert functions(END + BEFORE + INIT % b"") == kept | {b"gone", b"later", b"of_module"} | {
        b"__init_begin",
        b"__init_end",
    }
    assert functions(b"") == set()

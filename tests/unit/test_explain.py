"""Verifier logs to one explanation."""

from __future__ import annotations

import errno

import pytest

from stingless._gen.uapi import ProgramType
from stingless.explain import diagnose, verifier_error
from stingless.explain.log import parse_log
from stingless.explain.registers import describe
from stingless.explain.rules import rules
from stingless.obj.spec import ProgramSpec

# As Linux 6.18 prints it.
NULL_618 = """\
arg#0 reference type('UNKNOWN ') size cannot be determined: -22
0: R1=ctx() R10=fp0
; u64 key = 1; @ main.c:5
0: (b7) r1 = 1                        ; R1=1
1: (7b) *(u64 *)(r10 -8) = r1         ; R1=1 R10=fp0 fp-8=1
; u64 *count = syscalls.lookup(&key); @ main.c:6
4: (18) r1 = 0xffff88810439e400       ; R1=map_ptr(map=syscalls,ks=8,vs=8)
6: (85) call bpf_map_lookup_elem#1    ; R0=map_value_or_null(id=1,map=syscalls,ks=8,vs=8)
; return *count > 10; @ main.c:7
7: (79) r1 = *(u64 *)(r0 +0)
R0 invalid mem access 'map_value_or_null'
processed 7 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
"""
# As Linux 5.10 prints it.
PACKET_510 = """\
0: R1=ctx(id=0,off=0,imm=0) R10=fp0
; void *data = (void *)(long)ctx->data;
0: (61) r1 = *(u32 *)(r1 +0)
; return *(char *)data;
1: (71) r0 = *(u8 *)(r1 +0)
 R1_w=pkt(id=0,off=0,r=0,imm=0) R10=fp0
invalid access to packet, off=0 size=1, R1(id=0,off=0,r=0)
R1 offset is outside of the packet
processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
"""


def test_null_dereference() -> None:
    error = verifier_error(ProgramSpec("peek", "", ProgramType.KPROBE, b""), NULL_618, errno.EACCES)
    assert error.errno == errno.EACCES
    assert error.insn == 7
    assert error.source == "main.c:7: return *count > 10;"
    assert error.summary == "R0 invalid mem access 'map_value_or_null'"
    assert "map 'syscalls' (8-byte values)" in error.state and "may be NULL" in error.state
    assert "if (!p) return 0;" in error.hint
    assert "\n" not in str(error)
    for part in (error.source, error.state, error.hint, "processed 7 insns"):
        assert part in error.render()


def test_old_form() -> None:
    diagnostic = diagnose(parse_log(PACKET_510))
    assert (diagnostic.rule, diagnostic.insn) == ("packet-bounds", 1)
    assert diagnostic.span is not None and diagnostic.span.text == "return *(char *)data;"
    assert diagnostic.registers[0].register == "R1" and "packet" in diagnostic.registers[0].state
    assert "data_end" in diagnostic.hint


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("scalar()", "R2 is a number that can be anything"),
        ("scalar(umax=255,var_off=(0x0; 0xff)", "R2 is a number from ? to 255"),
        ("7", "R2 is the number 7"),
        ("ctx()", "R2 is the context"),
        ("fp-8", "R2 is a pointer into the program's stack"),
        ("something_new(x=1)", "R2 is something_new(x=1)"),
        ("", ""),
    ],
)
def test_states_in_words(state: str, words: str) -> None:
    assert describe("R2", state) == words


@pytest.mark.parametrize("log", ["", "\n\n", "processed 0 insns\n", "; \n", "0: (95) exit\n"])
def test_logs_that_tell_little(log: str) -> None:
    error = verifier_error(ProgramSpec("p", "", ProgramType.KPROBE, b""), log)
    assert error.summary


@pytest.mark.parametrize(
    "verdict",
    [
        "R2 !read_ok",
        "invalid indirect read from stack R2 off -8+0 size 8",
        "R1 invalid mem access 'scalar'",
        "unreachable insn 5",
        "infinite loop detected at insn 3",
        "back-edge from insn 3 to 1",
        "unknown func bpf_nothing#999",
        "cannot call GPL-restricted function from non-GPL compatible program",
        "Unreleased reference id=2 alloc_insn=3",
        "R0 leaks addr as return value",
        "math between map_value pointer and register with unbounded min value is not allowed",
        "combined stack size of 2 calls is 544. Too large",
        "R1 type=scalar expected=ctx",
    ],
)
def test_common_verdicts_have_a_hint(verdict: str) -> None:
    diagnostic = diagnose(parse_log(f"0: (95) exit\n{verdict}\nprocessed 1 insns\n"))
    assert diagnostic.rule != "unknown" and diagnostic.hint


def test_rules_are_told_apart() -> None:
    ids = [rule.id for rule in rules()]
    assert len(ids) == len(set(ids))
    nothing = diagnose(parse_log("0: (95) exit\nnothing of the sort\nprocessed 1 insns\n"))
    assert (nothing.rule, nothing.message, nothing.hint) == ("unknown", "nothing of the sort", "")

"""Which helper reads, by the kind of program, and that what need not be read by one is not."""

from __future__ import annotations

import pytest

from stingless._gen.helpers import Helper
from stingless.asm import opcodes as op
from stingless.asm.instruction import decode
from tests.ir_programs import compiled

_HEAD = """
struct thing { u64 number; struct thing *next; };
BPF_HASH(h, u64, struct thing);
"""
_READ, _READ_KERNEL = Helper.probe_read, Helper.probe_read_kernel


def _helpers(text: str) -> list[int]:
    return [
        i.imm
        for program in compiled(_HEAD + text).programs.values()
        for i in decode(program.code)
        if i.opcode == op.JMP | op.CALL and i.src == 0
    ]


@pytest.mark.parametrize(
    ("parameter", "pointer", "helper"),
    [
        ("struct pt_regs *ctx, struct thing *p", "", _READ),
        ("struct bpf_raw_tracepoint_args *ctx", "struct thing *p = (void *)ctx->args[0];", _READ),
        ("struct bpf_perf_event_data *ctx", "struct thing *p = (void *)ctx->addr;", _READ),
        ("void *ctx", "struct thing *p = (void *)bpf_get_current_task();", _READ),
        ("struct __sk_buff *ctx", "struct thing *p = (void *)bpf_get_current_task();", _READ_KERNEL),
        ("struct xdp_md *ctx", "struct thing *p = (void *)bpf_get_current_task();", _READ_KERNEL),
    ],
)
def test_the_helper_that_reads(parameter: str, pointer: str, helper: int) -> None:
    text = f"int f({parameter}) {{ {pointer} return p->next->number; }}"
    assert [i for i in _helpers(text) if i in (_READ, _READ_KERNEL)] == [helper] * 2


def test_the_helper_in_a_part_of_a_program() -> None:
    text = """
    static __attribute__((__noinline__)) int part(struct thing *p) { return p->number; }
    int f(struct __sk_buff *ctx) { return part((struct thing *)bpf_get_current_task()) + part(0); }
    """
    assert _READ_KERNEL in _helpers(text)
    assert _READ not in _helpers(text)


@pytest.mark.parametrize(
    "body",
    [
        "return ctx->len + ctx->cb[2];",
        "struct thing *p = (void *)(long)ctx->data; if ((void *)(p + 1) > (void *)(long)ctx->data_end) return 0;"
        "return p->number;",
        "u64 k = 1; struct thing *p = h.lookup(&k); return p ? p->number : 0;",
        "struct thing t = {ctx->len}, u = t; u64 k = 0; h.update(&k, &t); t = u; h.update(&k, &t); return t.number;",
        "struct thing t[3] = {}; u64 k = 0; h.update(&k, &t[0]); h.update(&k, &t[1]); return t[ctx->len & 1].number;",
        "struct bpf_sock *s = ctx->sk; return s ? s->family : 0;",
    ],
)
def test_what_may_be_read_directly(body: str) -> None:
    assert not {_READ, _READ_KERNEL} & set(_helpers(f"int f(struct __sk_buff *ctx) {{ {body} }}"))


def test_taking_an_address_reads_nothing() -> None:
    text = """
    int f(struct pt_regs *ctx, struct thing *p) {
        u64 key = (u64)&p->next, value[2] = {(u64)(p + 1), p == 0};
        h.update(&key, (struct thing *)value);
        return 0;
    }
    """
    assert _helpers(text) == [Helper.map_update_elem]


def test_one_read_each() -> None:
    """A field that is named twice is read once: nothing can have changed it in between, says C."""
    text = "int f(struct pt_regs *ctx, struct thing *p) { return p->number + p->number * 3 + p->next->number; }"
    assert _helpers(text) == [_READ] * 3


@pytest.mark.parametrize(
    ("use", "fetches"), [("__sync_fetch_and_add(p, 2);", 0), ("return __sync_fetch_and_add(p, 2);", 1)]
)
def test_atomic_operations_fetch_only_where_the_result_is_used(use: str, fetches: int) -> None:
    """Kernels before 5.12 have no fetching ones."""
    text = (
        f"BPF_ARRAY(a, u64, 1); int f(void *ctx) {{ int k = 0; u64 *p = a.lookup(&k); if (p) {{ {use} }} return 0; }}"
    )
    atomic = [
        i.imm
        for program in compiled(text).programs.values()
        for i in decode(program.code)
        if i.opcode == op.STX | op.ATOMIC | op.DW
    ]
    assert atomic == [fetches]

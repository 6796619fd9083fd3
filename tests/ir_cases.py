"""Reads through bare pointers, by construct, and what each sees of `Nodes`: for both kernels."""

from __future__ import annotations

import struct

import pytest

from stingless._gen.uapi import ProgramType
from stingless.kernel import Kernel
from stingless.programs import LoadedObject
from tests.ir_programs import HEAD, Node, Nodes, compiled, function, program, seen

_NAME = int.from_bytes(b"node num", "little")
_M = (1 << 64) - 1  # results are unsigned 64-bit words

# What is put at 0, 1, ..., by name.
CASES: dict[str, tuple[str, list[int]]] = {
    "field": ("put(0, n->number); put(1, n->small);", [100, 7]),
    "chain": ("put(0, n->next->next->number);", [102]),
    "nested": ("put(0, n->next->inner.x); put(1, n->next->inner.y);", [11, -21 & _M]),
    "union": ("put(0, n->whole); put(1, n->parts[3]);", [0x04030201, 4]),
    "bit-fields": (
        "put(0, n->low); put(1, n->middle); put(2, n->high); put(3, n->minus);",
        [5, 70, 300000, -3 & _M],
    ),
    "bit-field in a condition": ("if (n->next->low == 6 && n->middle > 69) put(0, 1);", [1]),
    "array": ("put(0, n->list[3]); put(1, n->name[5]);", [44, ord("n")]),
    "array by a variable": ("put(0, n->list[m & 3]);", [33]),
    "array in a loop": ("u64 s = 0; for (int i = 0; i < 4; i++) s += n->list[i]; put(0, s);", [110]),
    "pointer to pointers": ("put(0, n->table[2]->number); put(1, (*n->table)->number);", [102, 100]),
    "function pointer": ("put(0, (u64)n->next->call);", [0x1234567891]),
    "address of a field": ("put(0, (u64)&n->inner - (u64)n); put(1, n->number);", [Node.inner.offset, 100]),
    "container_of": (
        "struct pair *p = &n->next->inner;"
        "put(0, ((struct node *)((char *)p - __builtin_offsetof(struct node, inner)))->number);",
        [101],
    ),
    "struct copy": ("struct pair p = n->inner; put(0, p.x); put(1, p.y);", [10, -20 & _M]),
    "large struct copy": (
        "struct slot s = {}; struct node c = *n->next; u32 k = 0; s.filler = c.list[2]; kept.update(&k, &s);"
        "struct slot *v = kept.lookup(&k); if (v) put(0, v->filler); put(1, c.number);",
        [34, 101],
    ),
    "memcpy": ("char b[16]; memcpy(b, n->name, 16); put(0, *(u64 *)b); put(1, b[12]);", [_NAME, ord("0")]),
    "memcpy into a map value": (
        "u32 k = 0; struct slot z = {}; kept.update(&k, &z); struct slot *v = kept.lookup(&k);"
        "if (v) { __builtin_memcpy(v, n->name, 8); put(0, v->filler); }",
        [_NAME],
    ),
    "list walk": (
        "u64 s = 0; struct node *p = n; for (int i = 0; i < 5 && p; i++) { s += p->number; p = p->next; } put(0, s);",
        [303],
    ),
    "null": ("put(0, n->next->next->next == 0); put(1, n->next->next->next->number + 5);", [1, 5]),
    "null check": ("struct node *p = n->next; if (p) put(0, p->small); if (!n) put(1, 1);", [8, 0]),
    "kept on the stack": (
        "struct node *p = n->next; u32 k = 3; struct slot s = {1, p}; kept.update(&k, &s);"
        "bpf_probe_read(&p, sizeof(p), &p->next); put(0, p->number); put(1, s.node->number);",
        [102, 101],
    ),
    "kept in a map": (
        "u32 k = 3; struct slot s = {1, n->next}; kept.update(&k, &s);"
        "struct slot *v = kept.lookup(&k); if (v) put(0, v->node->number + v->filler);",
        [102],
    ),
    "one of two": ("struct node *p = m > 1 ? n->next : n; put(0, p->number); put(1, (m ? n : 0)->small);", [101, 7]),
    "own or another's": (
        "struct node own = {}; own.number = 5; own.next = n; struct node *p = m == 2 ? n : &own;"
        "put(0, p->number); p = m == 3 ? n : &own; put(1, p->number); put(2, p->next->number);",
        [100, 5, 100],
    ),
    "switch": (
        "struct node *p = 0; switch (m) { case 1: p = n; break; case 2: p = n->next; break; case 3: p = 0; }"
        "put(0, p->number);",
        [101],
    ),
    "number as a pointer": ("put(0, *(u32 *)(ctx->args[0] + __builtin_offsetof(struct node, number)));", [100]),
    "volatile": ("put(0, *(volatile u32 *)&n->number); put(1, ((volatile struct node *)n)->small);", [100, 7]),
    "compared": ("if (n->name[0] == 'n' && n->name[3] == 'e' && n->name[4] == ' ') put(0, 1);", [1]),
    "memcmp": (
        'char own[16] = "node number 1"; put(0, __builtin_memcmp(own, n->next->name, 14) == 0);'
        "put(1, !__builtin_memcmp(n->name, n->next->name, 12) && __builtin_memcmp(n->next->name, n->name, 13) > 0);",
        [1, 1],
    ),
    "read explicitly": ("u32 x = 0; bpf_probe_read(&x, sizeof(x), &n->next->number); put(0, x);", [101]),
    "sum in a map value": (
        "u32 k = 0; struct slot z = {}; struct slot *v = kept.lookup_or_try_init(&k, &z);"
        "if (v) { v->filler += n->number; v->filler += n->next->number; put(0, v->filler); }",
        [201],
    ),
}
FUNCTIONS = (
    HEAD
    + """
static int inlined(struct node *n) { return n->next->number; }
static __attribute__((__noinline__)) int apart(struct node *n, struct slot *own) { return n->number + own->filler; }
static __attribute__((__noinline__)) struct node *follow(struct node *n) { return n->next; }
"""
)
FUNCTION_BODY = "struct slot s = {1000, n}; put(0, inlined(n)); put(1, apart(n->next, &s)); put(2, follow(n)->number);"


_NAMES = {name: f"case_{number}" for number, name in enumerate(CASES)}
# One object of all: compiling is what takes long.
_ALL = HEAD + "".join(function(body, _NAMES[name]) for name, (body, _) in CASES.items())


class ReadChecks:
    """`kernel` is a fixture."""

    @pytest.mark.parametrize("name", CASES)
    def test_implicit_read(self, kernel: Kernel, name: str) -> None:
        expected = CASES[name][1]
        nodes = Nodes()
        assert seen(kernel, _ALL, nodes.address(0), 2, count=len(expected), name=_NAMES[name]) == expected

    def test_reads_in_functions(self, kernel: Kernel) -> None:
        nodes = Nodes()
        assert seen(kernel, program(FUNCTION_BODY, FUNCTIONS), nodes.address(0), 2, count=3) == [101, 1101, 101]

    def test_registers_are_read_where_they_are(self, kernel: Kernel) -> None:
        body = "u64 a = ctx->args[0], b = ctx->args[1]; put(0, a > b ? a : b); put(1, b ? ctx->args[0] : ctx->args[1]);"
        assert seen(kernel, program(body), 5, 77, count=2) == [77, 5]

    def test_fields_of_a_packets_context(self, kernel: Kernel) -> None:
        """The verifier refuses a load whose offset in the context depends on anything."""
        text = """
        BPF_ARRAY(out, u64, 4);
        static inline void put(int at, u64 value) { out.update(&at, &value); }
        int probe(struct __sk_buff *skb) {
            u32 chosen, sum = 0;
            if (bpf_ktime_get_ns() & 1) { put(3, 1); chosen = skb->len; } else chosen = skb->vlan_present;
            for (int i = 0; i < 5; i++) sum += skb->cb[i];
            put(0, skb->len); put(1, chosen == skb->len || chosen == 0); put(2, sum);
            return 0;
        }
        """
        loaded = LoadedObject(kernel, compiled(text))
        try:
            loaded.program("probe", ProgramType.SCHED_CLS).run(data=bytes(64))
            entries = [loaded.maps["out"].lookup(struct.pack("I", i)) for i in range(3)]
            assert [int.from_bytes(entry or b"", "little") for entry in entries] == [64, 1, 0]
        finally:
            loaded.close()

    def test_an_address_that_is_not_there_reads_zero(self, kernel: Kernel) -> None:
        assert seen(kernel, program("put(0, n->number + 1);"), 8, 0) == [1]

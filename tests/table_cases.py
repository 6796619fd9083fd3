"""Programs in bcc's dialect that use tables, with what they return: run by the tests of both kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

from stingless._gen.uapi import AttachType, ProgramType
from stingless.bcc.shared import TablesObject
from stingless.compile import compile_bcc
from stingless.kernel import Kernel, Program, RunResult
from stingless.obj.reader import read_object

PACKET = bytes(range(64))


class Tables(TablesObject):
    """A text on a kernel."""

    def __init__(self, kernel: Kernel, text: str, cflags: Sequence[str] = ()) -> None:
        super().__init__(kernel, read_object(compile_bcc(text, lambda _category, _event: [], cflags=cflags)))

    def load(self, name: str, kind: ProgramType, attach_type: AttachType | None = None) -> Program:
        return self.program(name, kind) if attach_type is None else self.program(name, kind, attach_type=attach_type)

    def run(
        self, name: str = "f", kind: ProgramType = ProgramType.SOCKET_FILTER, data: bytes | None = PACKET
    ) -> RunResult:
        return self.load(name, kind).run(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Case(NamedTuple):
    """`body` is the function's text, given `skb`; it returns `value`."""

    name: str
    tables: str
    body: str
    value: int


def returned(kernel: Kernel, case: Case, packet: bytes = PACKET) -> int:
    """What a socket filter with that body returns."""
    with Tables(kernel, f"{case.tables}\nint f(struct __sk_buff *skb) {{ {case.body} }}") as tables:
        return tables.run(data=packet).retval


def _stored(method: str) -> str:
    return f"u32 k = 1; u64 v = 7, w = 8; h.{method}(&k, &v); h.{method}(&k, &w); "


_READ = "u64 *p = h.lookup(&k); return p ? *p : 99;"

METHODS = [
    Case("lookup_missing", "BPF_HASH(h, u32);", "u32 k = 1; " + _READ, 99),
    Case("update", "BPF_HASH(h, u32);", _stored("update") + _READ, 8),
    Case("insert", "BPF_HASH(h, u32);", _stored("insert") + _READ, 7),
    Case("delete", "BPF_HASH(h, u32);", _stored("update") + "h.delete(&k); " + _READ, 99),
    Case(
        "lookup_or_try_init",
        "BPF_HASH(h, u32);",
        "u32 k = 1; u64 v = 5; u64 *p = h.lookup_or_try_init(&k, &v); if (!p) return 1; *p += 1; v = 50;"
        "p = h.lookup_or_try_init(&k, &v); return p ? *p : 2;",
        6,
    ),
    Case("lookup_or_init", "BPF_HASH(h, u32);", "u32 k = 1; u64 v = 5; return *h.lookup_or_init(&k, &v);", 5),
    Case(
        "lookup_or_init_returns",
        "BPF_HASH(h, u32, u64, 1);",
        "u32 k = 1, l = 2; u64 v = 5; h.update(&k, &v); return *h.lookup_or_init(&l, &v) + 3;",
        0,
    ),
    Case("increment", "BPF_HASH(h, u32);", "u32 k = 1; h.increment(k); h.increment(1, 20); " + _READ, 21),
    Case(
        "atomic_increment",
        "BPF_HASH(h, u32);",
        "u32 k = 1; h.atomic_increment(1, 4); h.atomic_increment(k);" + _READ,
        5,
    ),
    Case(
        "increment_array",
        "BPF_ARRAY(h, u64, 4);",
        "u32 k = 3; h.increment(3); h.increment(k, 2); h.increment(9);" + _READ,
        3,
    ),
    Case("increment_percpu", "BPF_PERCPU_HASH(h, u32);", "u32 k = 3; h.increment(3); h.increment(3);" + _READ, 2),
    Case("increment_lru", 'BPF_TABLE("lru_hash", u32, u64, h, 8);', "u32 k = 3; h.increment(3);" + _READ, 1),
    Case("lock_xadd", "BPF_ARRAY(h, u64, 1);", "u32 k = 0; u64 *q = h.lookup(&k); if (q) lock_xadd(q, 6);" + _READ, 6),
    Case(
        "push_pop_queue",
        "BPF_QUEUE(q, u32, 4);",
        "u32 a = 3, b = 4; q.push(&a, 0); q.push(&b, BPF_EXIST); a = 0; if (q.pop(&a)) return 1; return a;",
        3,
    ),
    Case(
        "push_peek_stack",
        "BPF_STACK(s, u32, 4);",
        "u32 a = 3, b = 4, c = 0, d = 0; s.push(&a, 0); s.push(&b, 0); s.peek(&c); s.pop(&d); return c * 10 + d;",
        44,
    ),
    Case("pop_empty", "BPF_QUEUE(q, u32, 4);", "u32 a = 3; return q.pop(&a) == -2;", 1),
    Case(
        "ringbuf_query",
        "BPF_RINGBUF_OUTPUT(r, 2);",
        "u64 v = 1; r.ringbuf_output(&v, 8, BPF_RB_NO_WAKEUP); return r.ringbuf_query(BPF_RB_AVAIL_DATA);",
        16,
    ),
    Case("call_empty", "BPF_PROG_ARRAY(p, 2);", "p.call(skb, 1); return 4;", 4),
]

TABLES = [
    Case(
        "lpm",
        "struct key { u32 n; u32 a; }; BPF_LPM_TRIE(t, struct key, u32);",
        "struct key k = {8, 0x0a}, l = {32, 0x0304050a}; u32 v = 6; t.update(&k, &v);"
        "u32 *p = t.lookup(&l); return p ? *p : 0;",
        6,
    ),
    Case(
        "histogram",
        "BPF_HISTOGRAM(t);",
        "t.increment(63); t.increment(64); int k = 63; u64 *p = t.lookup(&k);return p ? *p : 9;",
        1,
    ),
    Case(
        "histogram_hash",
        "struct k { u32 a; u32 b; }; BPF_HISTOGRAM(t, struct k, 20);",
        "struct k k = {1, 2}; t.increment(k); t.increment(k); u64 *p = t.lookup(&k); return p ? *p : 9;",
        2,
    ),
    Case(
        "percpu_array",
        "BPF_PERCPU_ARRAY(t, struct { u32 a; u32 b; }, 2);",
        "u32 k = 1; typeof(t.value) p = t.lookup(&k); if (!p) return 0; p->b = 3;"
        "p = t.lookup(&k); return p ? p->b : 0;",
        3,
    ),
    Case(
        "inline_struct",
        "BPF_HASH(t, struct place { u32 a; char name[4]; }, u32);",
        'struct place k = {4, "abc"}; u32 v = 2; t.update(&k, &v); u32 *p = t.lookup(&k); return p ? *p : 0;',
        2,
    ),
    Case(
        "f_table",
        'BPF_F_TABLE("hash", u32, u32, t, 4, BPF_F_NO_PREALLOC);',
        "u32 k = 1, v = 2; t.update(&k, &v); u32 *p = t.lookup(&k); return p ? *p : 0;",
        2,
    ),
    Case(
        "kind_by_macro",
        '#define KIND "percpu_array"\nBPF_TABLE(KIND, int, u64, t, 4);',
        "u32 k = 1; t.increment(1); u64 *p = t.lookup(&k); return p ? *p : 0;",
        1,
    ),
]

TEXTS = [
    Case(
        "renamed",
        "BPF_HASH(counts, u32);\n#define T counts\n",
        "u32 k = 1; T.increment(k); u64 *p = T.lookup(&k);return p ? *p : 0;",
        1,
    ),
    Case(
        "in_macro",
        "BPF_HASH(a, u32); BPF_HASH(b, u32);\n#define BUMP(t, k) do { \\\n  t.increment(k); \\\n} while (0)\n"
        "#define BOTH(k) \\\n  a.increment(k), \\\n  b.increment(k)\n",
        "u32 k = 1; BUMP(a, k); BUMP(b, k); BOTH(k); u64 *p = a.lookup(&k), *q = b.lookup(&k);"
        "return p && q ? *p * 10 + *q : 0;",
        22,
    ),
    Case(
        "pasted",
        "#define MAKE(n) BPF_HASH(n##_counts, u32); static inline void n##_bump(u32 k) { n##_counts.increment(k); }\n"
        "MAKE(left);\nMAKE(right);\n",
        "u32 k = 1; left_bump(k); right_bump(k); right_bump(k); u64 *p = right_counts.lookup(&k); return p ? *p : 0;",
        2,
    ),
    Case(
        "behind_ifdef",
        "#ifdef NOT_THERE\nBPF_HASH(t, u64, u64);\n#else\nBPF_ARRAY(t, u64, 2);\n#endif\n",
        "u32 k = 1; t.increment(1); u64 *p = t.lookup(&k); return p ? *p : 0;",
        1,
    ),
    Case(
        "over_lines",
        "BPF_HASH(\n  t,\n  u32\n);",
        "u32 k = 1; t\n.\nincrement\n(\nk\n)\n; u64 *p = t . lookup(\n&k);return p ? *p : 0;",
        1,
    ),
    Case(
        "compound_literals",
        "struct two { u32 a; u32 b; }; BPF_HASH(t, struct two, struct two);",
        "t.update(&(struct two){1, 2}, &(struct two){3, 4}); struct two *p = t.lookup(&(struct two){1, 2});"
        "return p ? p->a * 10 + p->b : 0;",
        34,
    ),
    Case(
        "nested",
        "BPF_HASH(t, u32, u32);",
        "u32 k = 1, v = 2; t.update(&k, &v);"
        "u32 *q = t.lookup(&k); if (!q) return 0; t.update(q, &k); u32 l = 2; q = t.lookup(&l); return q ? *q : 0;",
        1,
    ),
    Case(
        "in_brackets",
        "BPF_ARRAY(t, u64, 2);",
        "u32 k = 1; (t).increment(k); u64 *p = (t).lookup(&k); return p ? *p : 0;",
        1,
    ),
    Case(
        "made_by_macro",
        "#define COUNTER(name, size) BPF_ARRAY(name, u64, size)\nCOUNTER(t, 1 << 2);",
        "u32 k = 3; t.increment(k); u64 *p = t.lookup(&k); return p ? *p : 0;",
        1,
    ),
]

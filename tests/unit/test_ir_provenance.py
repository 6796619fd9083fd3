"""Where the pointers of a C program come from, by construct: each is handed to a function `mark`, and asked after."""

from __future__ import annotations

import pytest

from stingless.compile.ir.model import Call
from stingless.compile.ir.parser import parse
from stingless.compile.ir.places import Kind, Place, join, moved
from stingless.compile.ir.provenance import provenance
from tests.ir_programs import ir_of

_HEAD = r"""
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
void mark(const void *p);
struct value { u64 number; struct value *next; char text[8]; };
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 9); __type(key, u32); __type(value, struct value); } map
    SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } ring SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_SK_STORAGE); __uint(map_flags, BPF_F_NO_PREALLOC); __type(key, int);
     __type(value, u64); } storage SEC(".maps");
struct value global;
const volatile int number;
extern const int symbol __ksym;
struct value *pass(struct value *p) __ksym;
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct meta { void *seq; int session; };
struct inode { int mode; char *name; const u8 *bytes; struct inode *other; struct inode *many[4]; void *data; };
struct file { int flags : 3; struct { struct inode *inode; } path; struct file **files; };
struct bpf_iter__task { struct meta *meta; struct inode *task; };
#pragma clang attribute pop
struct record { u64 common; u32 data_loc; char *filename; };
"""


def kinds(function: str, extra: str = "") -> list[str]:
    """The kinds of what `mark` is given, in the order of the text."""
    text = f"{_HEAD}{extra}\n{function}\n"
    module = parse(ir_of(text))
    found = provenance(module)
    return [
        found.of(f, i.arguments[0][1]).kind.name
        for f in module.functions
        for i in f.body
        if isinstance(i, Call) and i.function == "@mark"
    ]


def of(body: str, context: str = "u64 *ctx", name: str = "f") -> list[str]:
    return kinds(f'SEC(".bpf.fn.{name}") int {name}({context}) {{ {body} return 0; }}')


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("struct value v = {}; mark(&v);", "STACK"),
        ("struct value v = {}; mark(&v.text[ctx[0] & 7]);", "STACK"),
        ("mark(&map);", "GLOBAL"),
        ("mark(&global.text[2]);", "GLOBAL"),
        ("mark(&symbol);", "GLOBAL"),
        ('mark("text");', "GLOBAL"),
        ("u32 k = 1; mark(bpf_map_lookup_elem(&map, &k));", "MAP_VALUE"),
        ("u32 k = 1; struct value *v = bpf_map_lookup_elem(&map, &k); if (v) mark(&v->text[ctx[0] & 7]);", "MAP_VALUE"),
        ("u32 k = 1; struct value *v = bpf_map_lookup_elem(&map, &k); if (v) mark(v->next);", "OTHER"),
        ("mark(bpf_ringbuf_reserve(&ring, 8, 0));", "RECORD"),
        ("mark(bpf_sk_storage_get(&storage, bpf_get_current_task_btf(), 0, 0));", "MAP_VALUE"),
        ("mark((void *)bpf_get_current_task());", "OTHER"),
        ("mark(bpf_get_current_task_btf());", "BTF"),
        ("mark((void *)bpf_skc_to_tcp_sock(ctx));", "BTF"),
        ("mark(global.next);", "OTHER"),
        ("mark(pass(&global));", "BTF"),
        ("mark((void *)ctx[0]);", "OTHER"),
        ("mark(ctx + 1);", "CONTEXT"),
        ("mark((void *)0xffff888000001234);", "OTHER"),
        ("struct value v = {1, (void *)ctx[1]}; mark(&v); mark(v.next);", "STACK OTHER"),
        ("struct value v = {}; u64 x = (u64)&v; mark((void *)(x + 8));", "STACK"),
        ("struct value v = {}; mark(ctx[0] ? &v : (void *)ctx[1]);", "OTHER"),
        ("struct value v = {}; mark(ctx[0] ? &v : &global);", "MEMORY"),
        ("struct value v = {}; mark(ctx[0] ? &v : 0);", "STACK"),
        ("u64 a, b; mark((void *)((u64)&a - (u64)&b));", "OTHER"),
        ("char *p = (char *)ctx[0]; while (*p) p++; mark(p);", "OTHER"),
        ("char b[9]; char *p = b; for (int i = 0; i < ctx[0]; i++) p += ctx[i]; mark(p);", "STACK"),
        ("void *p = ctx; asm volatile(\"\" : \"+r\"(p)); mark(p);", "CONTEXT"),
    ],
)  # fmt: skip
def test_kinds(body: str, kind: str) -> None:
    assert of(body) == kind.split()


@pytest.mark.parametrize(
    ("context", "body", "kind"),
    [
        ("struct __sk_buff *s", "mark((void *)(long)s->data);", "PACKET"),
        ("struct __sk_buff *s", "mark((void *)(long)s->data + 14); mark(s->sk);", "PACKET PACKET"),
        ("struct xdp_md *x", "struct value *v = (void *)(long)x->data; mark(v->text); mark(v->next);", "PACKET OTHER"),
        ("struct __sk_buff *s", "mark((void *)((u64)s->data + s->mark));", "PACKET"),
        ("struct bpf_sock_ops *s", "mark(s->sk);", "PACKET"),
        ("struct sk_msg_md *s", "mark(s->data);", "PACKET"),
        ("struct pt_regs *r", "mark((void *)PT_REGS_PARM1(r)); mark(r);", "OTHER CONTEXT"),
        ("struct record *r", "mark(r->filename); mark((char *)r + (r->data_loc & 0xffff));", "OTHER CONTEXT"),
        ("struct bpf_raw_tracepoint_args *r", "mark((void *)r->args[0]);", "OTHER"),
        ("struct bpf_iter__task *i", "mark(i->meta); mark(i->meta->seq); mark(i->task);", "BTF OTHER BTF"),
    ],
)
def test_contexts(context: str, body: str, kind: str) -> None:
    assert of(body, context) == kind.split()


@pytest.mark.parametrize(
    "name", ["kfunc__vmlinux__f", "kretfunc__vmlinux__f", "kmod_ret__vmlinux__f", "lsm__file_open"]
)
def test_pointers_of_known_types(name: str) -> None:
    """Those to structs stay such: the verifier follows them.  It does not know where others point to."""
    body = """
    struct file *f = (void *)ctx[0];
    mark(f); mark(f->path.inode); mark(f->path.inode->other->other); mark(f->path.inode->many[2]);
    mark(f->path.inode->name); mark(f->path.inode->bytes); mark(f->path.inode->data); mark(f->files);
    """
    assert of(body, name=name) == ["BTF"] * 4 + ["OTHER"] * 4


def test_functions_that_are_not_inlined() -> None:
    text = """
    __attribute__((noinline)) static int both(struct value *own, struct value *theirs, struct value *either)
    { mark(own); mark(theirs); mark(either); return own->number; }
    __attribute__((noinline)) static struct value *next(struct value *p) { return p->next; }
    __attribute__((noinline)) static struct value *same(struct value *p) { asm volatile(""); return p + 1; }
    static long visit(void *m, u32 *key, struct value *value, void *own) { mark(value); mark(value->next); return 0; }
    SEC("raw_tp") int g(u64 *ctx)
    {
        struct value v = {1}, w = {2};
        both(&v, (void *)ctx[0], &w); both(&w, (void *)ctx[1], (void *)ctx[2]);
        mark(next(&v)); mark(same(&v)); mark(same(&w));
        return bpf_for_each_map_elem(&map, visit, &v, 0);
    }
    """
    # The order of the functions in the module is that of their first use.
    assert sorted(kinds(text)) == sorted("MEMORY OTHER OTHER OTHER MEMORY MEMORY MEMORY OTHER".split())  # noqa: SIM905


_PLACES = [
    None,
    *(Place(kind) for kind in Kind),
    *(Place(kind, "%1", (0, ())) for kind in Kind),
    *(Place(kind, "%1", (8, ('@"llvm.s"',))) for kind in Kind),
    *(Place(kind, "%2", (0, ())) for kind in Kind),
]


def test_joining_is_a_meeting_point() -> None:
    """It comes to the same whatever the order, never forgets that a place is unknown, and settles."""
    for one in _PLACES:
        assert join(one, one) == one
        for two in _PLACES:
            both = join(one, two)
            if one and two and Kind.NULL not in (one.kind, two.kind):
                assert both == join(two, one)
            if one and one.kind is Kind.OTHER and two:
                assert both is not None
                assert both.kind is Kind.OTHER
            assert join(both, two) in (both, join(two, both))
            for three in _PLACES:
                again = join(both, three)
                assert join(again, three) == again or three is None or three.kind is Kind.NULL


def test_moving() -> None:
    place = Place(Kind.CONTEXT, "@f", (0, ()))
    assert moved(moved(place, 8), 4).offset == (12, ())
    assert moved(place, 0, "@x").offset == (0, ("@x",))
    assert moved(moved(place, None), 8).offset is None
    assert moved(Place(Kind.NULL), 8).kind is Kind.OTHER

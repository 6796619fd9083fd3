"""The code that our headers lead to: the same, instruction for instruction, as libbpf's where these are installed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stingless.compile import compile_text
from stingless.errors import CompileError
from stingless.obj.elf import parse_elf

LIBBPF = Path("/usr/include/bpf")
HEAD = """\
#include <linux/bpf.h>
typedef __u32 u32; typedef __u64 u64;
#define PRESERVED __attribute__((preserve_access_index))
struct pt_regs {
    unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
} PRESERVED;
struct user_pt_regs { u64 regs[31], sp, pc, pstate; } PRESERVED;
struct inner { int value; char name[16]; struct inner *next; } PRESERVED;
struct outer { struct inner *inner; struct { struct inner *deep; } anonymous; int a : 3; unsigned b : 7; } PRESERVED;
enum kind { FIRST, SECOND = 7 };
struct pair { long one; int two; };
struct seq_file;
#define __VMLINUX_H__
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 5); __type(key, u32); __type(value, u64);
         __array(values, int (void *)); } map SEC(".maps");
extern int CONFIG_HZ __kconfig __weak;
extern int kernel_function(int) __ksym __weak;
"""
TEXT = """
== kprobe
SEC("kprobe/f") int BPF_KPROBE(f, int a, struct inner *b, long c) { return a + BPF_CORE_READ(b, value) + c; }
== kprobe without
SEC("kprobe/f") int BPF_KPROBE(f) { return PT_REGS_IP(ctx) + PT_REGS_SP(ctx) + PT_REGS_FP(ctx); }
== kretprobe
SEC("kretprobe/f") int BPF_KRETPROBE(f, long r) { return r; }
== kretprobe without
SEC("kretprobe/f") int BPF_KRETPROBE(f) { return PT_REGS_RC(ctx); }
== uprobe
SEC("uprobe") int BPF_UPROBE(f, char *s) { return s[0] ? 1 : PT_REGS_PARM5(ctx); }
== ksyscall
SEC("ksyscall/x") int BPF_KSYSCALL(f, int a, void *b, long c, long d, long e) { return a + c + d + e + !!b; }
== prog
SEC("fentry/x") int BPF_PROG(f, int a, struct inner *b, _Bool c, unsigned char d) { return a + b->value + c + d;
    }
== prog without
SEC("fentry/x") int BPF_PROG(f) { return ctx[3]; }
== prog2
SEC("fentry/x") int BPF_PROG2(f, char, a, struct pair, p, short, b, void *, c) {
    return a + p.one + p.two + b + !!c; }
== return address
SEC("kprobe/f") int BPF_KPROBE(f) { u64 a, b; BPF_KPROBE_READ_RET_IP(a, ctx); BPF_KRETPROBE_READ_RET_IP(b, ctx);
    return a + b; }
== core registers
int f(struct pt_regs *r) {
    return PT_REGS_PARM1_CORE(r) + PT_REGS_RC_CORE(r) + PT_REGS_PARM4_CORE_SYSCALL(r) + PT_REGS_PARM2_SYSCALL(r);
    }
== chains
int f(struct outer *o) { char n[16]; int v; struct inner *u;
    BPF_CORE_READ_INTO(&v, o, inner, next, next, value); BPF_CORE_READ_STR_INTO(&n, o, anonymous.deep, name);
    BPF_CORE_READ_USER_INTO(&u, o, inner); BPF_CORE_READ_USER_STR_INTO(&n, o, inner, name);
    return v + n[0] + BPF_CORE_READ(o, inner, next, name[3]) + BPF_CORE_READ_USER(o, inner, value) + !!u; }
== long chain
int f(struct inner *i) { return BPF_CORE_READ(i, next, next, next, next, next, next, next, next, value); }
== probe reads
int f(struct outer *o) { char n[16]; int v; BPF_PROBE_READ_INTO(&v, o, inner, value);
    BPF_PROBE_READ_STR_INTO(&n, o, inner, name); BPF_PROBE_READ_USER_STR_INTO(&n, o, inner, name);
    return v + n[0] + BPF_PROBE_READ(o, inner, value) + BPF_PROBE_READ_USER(o, inner, value); }
== single reads
int f(struct inner *i) { int v; char n[8]; bpf_core_read(&v, 4, &i->value);
    bpf_core_read_user(&v, 4, &i->value); bpf_core_read_str(n, 8, &i->name);
    return v + bpf_core_read_user_str(n, 8, i->name); }
== questions
int f(struct inner *i) {
    return bpf_core_field_exists(i->next) + bpf_core_field_exists(struct inner, next)
        + bpf_core_field_size(i->name) + bpf_core_field_size(struct inner, name) + bpf_core_field_offset(i->next)
        + bpf_core_type_exists(struct inner) + bpf_core_type_size(struct outer) + bpf_core_type_matches(struct inner)
        + bpf_core_type_id_local(struct inner) + bpf_core_type_id_kernel(struct inner)
        + bpf_core_enum_value_exists(enum kind, SECOND) + bpf_core_enum_value(enum kind, SECOND); }
== bit-fields
int f(struct outer *o) { return BPF_CORE_READ_BITFIELD_PROBED(o, a) + BPF_CORE_READ_BITFIELD(o, b); }
== printing
int f(int a, char *s) { char out[9]; bpf_printk("none"); bpf_printk("%d %s %d", a, s, 3);
    bpf_printk("%d %d %d %d", a, 2, 3, 4); return BPF_SNPRINTF(out, sizeof(out), "%s %d", s, a); }
== seq
int f(struct seq_file *q, int a) { BPF_SEQ_PRINTF(q, "none"); return BPF_SEQ_PRINTF(q, "%d %d", a, 3); }
== tail call
int f(void *c) { bpf_tail_call_static(c, &map, 3); return 0; }
== endian
int f(u32 a, u64 b) { return bpf_htons(a) + bpf_ntohl(a) + bpf_be64_to_cpu(b) + bpf_htons(0x1234); }
== externs
int f(void) { return CONFIG_HZ + bpf_ksym_exists(kernel_function); }
== container
int f(struct inner **p) { return container_of(p, struct inner, next)->value + offsetof(struct inner, next); }
== variables
int f(int a) { barrier(); barrier_var(a); return KERNEL_VERSION(6, 1, 300) + a + TRI_MODULE; }
"""
NEWER = ("uprobe", "externs", "probe reads", "bit-fields")
USES = dict(part.split("\n", 1) for part in TEXT.split("\n== ")[1:])


@pytest.fixture(autouse=True)
def uncached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STINGLESS_CACHE", "")


def code(use: str, cflags: list[str]) -> dict[str, bytes]:
    data = compile_text(HEAD + use, cflags=["-D__TARGET_ARCH_x86", *cflags])
    return {s.name: s.data for s in parse_elf(data).sections if s.is_code and s.data}


def libbpf_minor() -> int:
    """Of libbpf 1.x."""
    found = re.search(r"MINOR_VERSION (\d+)", (LIBBPF / "libbpf_version.h").read_text())
    return int(found[1]) if found else 0


@pytest.mark.skipif(not (LIBBPF / "libbpf_version.h").exists(), reason="libbpf's headers are not installed")
@pytest.mark.parametrize("use", USES)
def test_the_same_as_with_libbpfs_headers(use: str, tmp_path: Path) -> None:
    if use in NEWER and libbpf_minor() < 8:
        pytest.skip("this libbpf has other code, or none, for it")
    (tmp_path / "bpf").symlink_to(LIBBPF)
    assert code(USES[use], []) == code(USES[use], [f"-I{tmp_path}"])


@pytest.mark.parametrize("use", USES)
def test_each_compiles_without_warnings_on_both_architectures(use: str) -> None:
    for arch in ("x86", "arm64"):
        compile_text(HEAD + USES[use], cflags=[f"-D__TARGET_ARCH_{arch}", "-Werror"])


@pytest.mark.parametrize(
    "use",
    [
        "int f(int n) { int i, s = 0; bpf_for(i, 0, n) s += i; return s; }",
        "int f(int n) { int s = 0; bpf_repeat(n) s++; return s; }",
        "int f(int n) { int *i, s = 0; bpf_for_each(num, i, 0, n) s += *i; return s; }",
        "int f(int n) { int i, s = 0; bpf_for(i, 0, n) { if (i == 5) return s; s += i; } return s; }",
    ],
)
def test_loops_make_and_destroy_their_iterator(use: str) -> None:
    data = compile_text(HEAD + use, cflags=["-Werror"])
    elf = parse_elf(data)
    text = next(s for s in elf.sections if s.name == ".text")
    called = {r.symbol.name for r in elf.relocations[text.index]}
    assert called == {"bpf_iter_num_new", "bpf_iter_num_next", "bpf_iter_num_destroy"}


def test_a_stream_takes_either_kernels_function() -> None:
    use = 'int f(int a) { return bpf_stream_printk(1, "%d", a); }'
    elf = parse_elf(compile_text(HEAD + use, cflags=["-Werror"]))
    names = {r.symbol.name for relocations in elf.relocations.values() for r in relocations}
    assert {"bpf_stream_vprintk_impl___st", "bpf_stream_vprintk___st"} <= names


def test_a_bit_field_is_written() -> None:
    """By loads and stores of each size that a field's bytes can have."""
    use = "int f(struct outer *o) { BPF_CORE_WRITE_BITFIELD(o, b, 9); return 0; }"
    (text,) = code(use, []).values()
    opcodes = {text[at] for at in range(0, len(text), 8)}
    assert {0x61, 0x69, 0x71, 0x79, 0x63, 0x6B, 0x73, 0x7B} <= opcodes  # LDX and STX of 4, 2, 1 and 8 bytes


def test_a_symbol_that_is_not_weak_is_always_there() -> None:
    with pytest.raises(CompileError, match="declare strong __weak"):
        compile_text(HEAD + "extern int strong(void) __ksym;\nint f(void) { return bpf_ksym_exists(strong); }")

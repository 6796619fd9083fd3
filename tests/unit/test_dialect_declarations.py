"""Declarations without headers: what a program gets of a kernel, here one whose types the test writes down."""

from __future__ import annotations

from pathlib import Path

import pytest

from stingless.compile import compile_bcc, compile_object, translate_bcc
from stingless.compile.declared.index import Declaration, Declarations, written
from stingless.compile.dialect.facts import AnotherKernel
from stingless.errors import CompileError
from stingless.obj.reader import read_object
from stingless.obj.spec import ObjectSpec
from tests.ir_programs import no_tracepoints

KERNEL = """
enum states { IDLE_STATE = 4, BUSY_STATE = 9 };
typedef unsigned int number_t;
struct list { struct list *next; };
struct far { u64 secret; struct far *other; };
struct near_one { u32 pad; struct far *far; struct list entry; number_t count; };
struct device { int id; int (*open)(struct near_one *); struct near_one *near_one; struct near_one inner; };
struct iphdr { u8 bytes[64]; };
struct pt_regs { unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs,
    flags, sp, ss; };
struct device d; struct far f; enum states s; struct iphdr i; struct pt_regs r;
"""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> AnotherKernel:
    path = tmp_path_factory.mktemp("kernel") / "kernel.o"
    path.write_bytes(compile_object(KERNEL))
    config = {"CONFIG_SMP": "y", "CONFIG_HZ": "250", "CONFIG_NAME": '"x"', "CONFIG_NFS": "m", "CONFIG_OFF": "n"}
    return AnotherKernel(path, (6, 7, 300), no_tracepoints, config, "x86_64")


def compiled(text: str, kernel: AnotherKernel, *cflags: str) -> ObjectSpec:
    return read_object(compile_bcc(text, kernel, "main.c", cflags))


def result(expression: str, kernel: AnotherKernel, head: str = "", *cflags: str) -> int:
    """The value of a constant expression in a program."""
    (program,) = compiled(f"{head}\nu64 f(void *ctx) {{ return {expression}; }}", kernel, *cflags).programs.values()
    assert len(program.code) in (16, 24), "this is no constant"
    low = program.code[4:8]
    return int.from_bytes(low + program.code[12:16] if len(program.code) == 24 else low, "little")


def test_a_pointee_is_declared_where_the_program_names_its_member(kernel: AnotherKernel) -> None:
    one = "int f(struct pt_regs *ctx, struct device *d) { return d->id; }"
    text = translate_bcc(one, kernel).text
    assert "struct device {" in text and "struct near_one {" in text and "u64 secret" not in text
    assert "u64 secret" in translate_bcc(one.replace("d->id", "d->near_one->far->secret"), kernel).text


def test_kernel_types_are_relocated_and_those_of_the_uapi_are_not(kernel: AnotherKernel) -> None:
    text = "int f(struct pt_regs *ctx, struct device *d, struct iphdr *i) { return d->inner.count + i->bytes[1]; }"
    (program,) = compiled(text, kernel).programs.values()
    found = compiled(text, kernel)
    assert found.btf is not None
    assert {found.btf.type(r.type).name for r in program.core_relocations} == {"device"}


def test_enumerators_and_typedefs(kernel: AnotherKernel) -> None:
    assert result("BUSY_STATE * 100 + sizeof(number_t)", kernel) == 904


def test_the_programs_own_types_come_first(kernel: AnotherKernel) -> None:
    """Where a member points to it, its own is meant; where a kernel's struct has one in it, the kernel's."""
    own = "struct far { char c[100]; u32 mine; }; struct list { u64 a[5]; }; enum { IDLE_STATE = 77 }; "
    head = own + "typedef u16 number_t;"
    assert result("sizeof(struct far) + sizeof(struct list)", kernel, head) == 104 + 40
    assert result("IDLE_STATE * 100 + sizeof(number_t)", kernel, head) == 7702
    assert result("BUSY_STATE", kernel, head) == 9
    assert result("__builtin_offsetof(struct near_one, count)", kernel, head) == 24
    text = head + "int f(struct pt_regs *ctx, struct device *d) { return d->near_one->far->mine; }"
    assert list(compiled(text, kernel).programs) == ["f"]


def test_macros_of_the_uapi_and_its_types(kernel: AnotherKernel) -> None:
    assert result("ETH_P_IP", kernel) == 0x0800
    assert result("S_ISDIR(0040755) + O_CREAT", kernel) == 0o101
    assert result("sizeof(struct tcphdr)", kernel) == 20
    assert result("IPPROTO_TCP + ICMP_ECHO", kernel) == 14
    assert result("sizeof(struct iphdr)", kernel) == 64  # the kernel's own


def test_a_variable_may_have_the_name_of_a_macro_of_a_header_that_is_not_included(kernel: AnotherKernel) -> None:
    assert result("({ int si_pid = 5; si_pid; })", kernel) == 5


def test_members_may_have_the_names_of_member_macros(kernel: AnotherKernel) -> None:
    assert result("((struct mine){.sk_family = 3}).sk_family", kernel, "struct mine { u64 sk_family; };") == 3


def test_version_and_configuration(kernel: AnotherKernel) -> None:
    assert result("LINUX_VERSION_CODE == KERNEL_VERSION(6, 7, 255)", kernel) == 1
    assert (
        result("CONFIG_HZ + IS_ENABLED(CONFIG_SMP) + sizeof(CONFIG_NAME) + IS_ENABLED(CONFIG_NO_SUCH)", kernel) == 253
    )
    assert result("IS_ENABLED(CONFIG_NFS) + IS_BUILTIN(CONFIG_NFS) * 10 + IS_MODULE(CONFIG_NFS) * 100", kernel) == 101
    head = """
    #ifdef CONFIG_OFF
    #error "it is off"
    #endif
    #if defined(CONFIG_NFS_MODULE) && !defined(CONFIG_NFS) && !defined(CONFIG_NO_SUCH)
    #define ANSWER 42
    #endif
    """
    assert result("ANSWER", kernel, head) == 42


def test_flags_that_define_macros(kernel: AnotherKernel) -> None:
    assert result("ONE + TWO", kernel, "", "-DONE", "-D", "TWO=2 * 20") == 41
    assert result("BUSY_STATE", kernel, "", "-DBUSY_STATE=3") == 3
    assert result("CONFIG_HZ", kernel, "#ifndef CONFIG_HZ\n#define CONFIG_HZ 7\n#endif", "-UCONFIG_HZ") == 7


def test_names_that_a_macro_pastes_are_looked_for_again(kernel: AnotherKernel) -> None:
    assert result(
        "sizeof(A(ice)) + BUSY", kernel, "#define A(x) struct dev##x\n#define P(x) BUSY_##x\n#define BUSY P(STATE)"
    )
    assert result("P(STATE)", kernel, "#define P(x) BUSY_##x") == 9


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (
            "int f(struct pt_regs *ctx,\n struct devise *d) { return\n d->id; }",
            3,
            "has no struct devise.*it has struct device",
        ),
        ("\nint f(struct pt_regs *ctx, struct device *d) { return d->idd; }", 2, "has no member idd; it has id"),
        ("int f(void *ctx) { return\nBUSY_STAT; }", 2, "no BUSY_STAT .*it has BUSY_STATE"),
        ("int f(void *ctx) {\nreturn bpf_get_current_pid(); }", 2, "it has .*bpf_get_current_"),
        (
            "struct device { int x; };\nint f(struct pt_regs *ctx, struct device *d) { return d->id; }",
            2,
            "no member named 'id'",
        ),
    ],
)
def test_what_the_kernel_lacks_is_said(kernel: AnotherKernel, text: str, line: int, message: str) -> None:
    with pytest.raises(CompileError, match=f"(?s){message}") as caught:
        compiled(text, kernel)
    assert caught.value.diagnostics[0].line == line
    assert "Linux 6.7.300" in str(caught.value) or "no member named" in message


def test_the_users_headers(kernel: AnotherKernel, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "one.h").write_text(
        '#pragma once\n#include "deep/two.h"\n#include <linux/fs.h>\nBPF_HASH(counts, u32);\n'
    )
    (tmp_path / "deep/two.h").write_text('#ifndef TWO\n#define TWO 2\n#include "../one.h"\n#endif\n')
    text = (
        '#include "one.h"\n#include "one.h"\n#ifdef NEVER\n#include "deep/two.h"\n#endif\n'
        "int f(struct pt_regs *ctx, struct device *d) { u32 k = TWO; counts.increment(k); return d->id; }"
    )
    for name, flags in ((str(tmp_path / "main.c"), ()), ("main.c", ("-I", str(tmp_path)))):
        spec = read_object(compile_bcc(text, kernel, name, flags))
        assert list(spec.maps) == ["counts"]
    spec = compiled("int f(void *ctx) { u32 k = 1; counts.delete(&k); return 0; }", kernel, f"-include{tmp_path}/one.h")
    assert list(spec.maps) == ["counts"]


@pytest.mark.parametrize("broken", ["BPF_HASH(h);\nstatic void g(void) { h.lokup(1); }", "\nint x = nothing;"])
def test_errors_in_the_users_headers_are_on_their_lines(kernel: AnotherKernel, tmp_path: Path, broken: str) -> None:
    (tmp_path / "x.h").write_text(f"\n\n{broken}\n")
    with pytest.raises(CompileError) as caught:
        read_object(compile_bcc('#include "x.h"\nint f(void *ctx) { return 0; }', kernel, str(tmp_path / "main.c")))
    found = caught.value.diagnostics[0]
    assert (found.file, found.line) == (str(tmp_path / "x.h"), 4)
    assert found.source in broken


def test_lines_after_a_header_keep_their_numbers(kernel: AnotherKernel, tmp_path: Path) -> None:
    (tmp_path / "x.h").write_text("struct a { int b; };\n" * 1 + "\n" * 7)
    with pytest.raises(CompileError) as caught:
        compiled('\n#include "x.h"\n\nint f(void *ctx) {\n  return oops;\n}', kernel, "-I", str(tmp_path))
    assert (caught.value.diagnostics[0].file, caught.value.diagnostics[0].line) == ("main.c", 5)


def test_an_index_has_what_was_written() -> None:
    records = [Declaration(f"text {i}", (f"name{i}", f"struct s{i % 7}"), (i,), (("m", (1, 2)),)) for i in range(500)]
    found = Declarations(memoryview(written(records)))
    assert [found[i] for i in range(500)] == records
    assert all(found.find(f"name{i}") == (i,) for i in range(500))
    assert found.find("struct s3") == tuple(range(3, 500, 7))
    assert "nothing" not in found
    assert set(found.names()) == {name for each in records for name in each.names}


@pytest.mark.parametrize("damage", [b"", b"x" * 100, written([Declaration("t", ("n",))])[:-1]])
def test_a_damaged_index_is_none(damage: bytes) -> None:
    with pytest.raises(ValueError, match="no index"):
        Declarations(damage)

"""Plain eBPF C to an object: where headers come from, what the user reads when it fails, what is in the object."""

from __future__ import annotations

from pathlib import Path

import pytest

from stingless.compile import compile_file, compile_program, compile_text
from stingless.compile.strip import without_dwarf
from stingless.errors import CompileError, NotSupportedError, ObjectError
from stingless.obj.elf import parse_elf
from stingless.obj.reader import read_object

PROGRAM = """\
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 3);
    __type(key, __u32);
    __type(value, __u64);
} counts SEC(".maps");
SEC("xdp") int count(struct xdp_md *ctx)
{
    __u32 key = 0;
    __u64 *value = bpf_map_lookup_elem(&counts, &key);
    if (value)
        *value += 1;
    return XDP_PASS;
}
char LICENSE[] SEC("license") = "GPL";
"""
KERNEL = """\
struct demo { int pid; long long since; unsigned flag : 3; } __attribute__((preserve_access_index));
struct demo kernel_demo;
"""
USES_KERNEL = """\
#include "vmlinux.h"
_Static_assert(sizeof(struct demo) == SIZE, "");
int f(struct demo *d) { return d->pid; }
"""


@pytest.fixture(autouse=True)
def uncached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STINGLESS_CACHE", "")


def section(data: bytes, name: str) -> bytes:
    return next(s.data for s in parse_elf(data).sections if s.name == name)


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    """A BTF file as another kernel might have it."""
    file = tmp_path / "kernel.btf"
    file.write_bytes(section(compile_text(KERNEL), ".BTF"))
    return file


def write(directory: Path, name: str, text: str) -> Path:
    file = directory / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_a_file(tmp_path: Path) -> None:
    spec = read_object(compile_file(write(tmp_path, "prog.bpf.c", PROGRAM)))
    assert list(spec.programs) == ["count"]
    assert spec.maps["counts"].max_entries == 3


def test_no_dwarf_is_left() -> None:
    data = compile_text(PROGRAM)
    names = [s.name for s in parse_elf(data).sections]
    assert ".BTF" in names and ".BTF.ext" in names
    assert not [n for n in names if "debug" in n]
    assert without_dwarf(data) == data


@pytest.mark.parametrize("data", [b"", b"\x7fELF\x01\x01" + bytes(60), b"text"])
def test_what_is_no_such_object_is_left_alone(data: bytes) -> None:
    assert without_dwarf(data) == data


def test_an_object_means_the_same_without_dwarf() -> None:
    """clang's own object, and ours."""
    from stingless.compile import compile_object

    text = (
        PROGRAM + 'static __noinline int sub(int a) { return a * 3; }\nSEC("xdp") int two(struct xdp_md *c) '
        '{ bpf_printk("%d", sub(c->ingress_ifindex)); return 0; }\n'
    )
    whole = compile_object(text, "a.c")
    short = without_dwarf(whole)
    assert len(short) < len(whole) / 2
    assert read_object(short) == read_object(whole)


def test_headers_beside_the_program_and_named_ones(tmp_path: Path) -> None:
    write(tmp_path, "mine.h", "#define ANSWER 42\n")
    write(tmp_path, "other/named.h", "#define NAMED 43\n")
    text = '#include "mine.h"\n#include <named.h>\nint f(void) { return ANSWER + NAMED; }\n'
    file = write(tmp_path, "prog.c", text)
    assert compile_file(file, [f"-I{tmp_path}/other"]) and compile_file(file, ["-I", f"{tmp_path}/other"])
    assert compile_text(text, str(tmp_path / "any.c"), [f"-I{tmp_path}/other"])


def test_a_name_that_looks_like_a_flag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "-Wall.c", PROGRAM)
    monkeypatch.chdir(tmp_path)
    assert read_object(compile_file("-Wall.c")).programs


def test_the_c_library_is_there() -> None:
    assert compile_text(
        "#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n#include <string.h>\n#include <errno.h>\n"
        "#include <arpa/inet.h>\n#include <linux/bpf.h>\n#include <linux/tcp.h>\n"
        "bool f(uint64_t *p) { memset(p, 0, sizeof(*p)); return offsetof(struct bpf_sock, family) + EINVAL; }"
    )


def test_vmlinux_of_another_kernel(tmp_path: Path, kernel: Path) -> None:
    file = write(tmp_path, "prog.bpf.c", USES_KERNEL)
    assert compile_file(file, ["-DSIZE=24"], kernel)
    with pytest.raises(CompileError):
        compile_file(file, ["-DSIZE=16"], kernel)


def test_a_kernel_function_declared_in_other_words(tmp_path: Path) -> None:
    """As many programs do, which are older than the declarations in vmlinux.h."""
    text = KERNEL + '__attribute__((btf_decl_tag("bpf_kfunc"))) int bpf_demo(const struct demo *d) { return d->pid; }\n'
    btf = tmp_path / "kernel.btf"
    btf.write_bytes(section(compile_text(text), ".BTF"))
    own = 'extern int bpf_demo(struct demo *d) __attribute__((section(".ksyms")));\n'
    program = USES_KERNEL.replace("int f", "DECLARED int f").replace("d->pid", "bpf_demo(d)")
    assert compile_text(program.replace("DECLARED", ""), cflags=["-DSIZE=24"], btf=btf)
    assert compile_text(program.replace("DECLARED", own), cflags=["-DSIZE=24"], btf=btf)
    with pytest.raises(CompileError, match="conflicting types"):
        compile_text(program.replace("DECLARED", own).replace("(d)", "(no)"), cflags=["-DSIZE=24"], btf=btf)


def test_vmlinux_of_an_elf_file(tmp_path: Path) -> None:
    """As the kernel's own file with debugging information is."""
    image = tmp_path / "vmlinux"
    image.write_bytes(compile_text(KERNEL))
    assert compile_text(USES_KERNEL, cflags=["-DSIZE=24"], btf=image)


def test_vmlinux_asked_for_by_a_header(tmp_path: Path, kernel: Path) -> None:
    write(tmp_path, "deep.h", "#include <vmlinux.h>\n")
    text = USES_KERNEL.replace('"vmlinux.h"', '"deep.h"')
    assert compile_file(write(tmp_path, "prog.bpf.c", text), ["-DSIZE=24"], kernel)
    assert compile_text(text, str(tmp_path / "x.c"), ["-DSIZE=24"], kernel)


@pytest.mark.parametrize("where", [".", "include"])
def test_the_users_own_vmlinux_wins(tmp_path: Path, where: str) -> None:
    write(tmp_path, f"{where}/vmlinux.h", "struct demo { char pid; };\n")
    file = write(tmp_path, "prog.bpf.c", USES_KERNEL)
    assert compile_file(file, ["-DSIZE=1", f"-I{tmp_path / where}"])


def test_a_kernel_without_btf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise NotSupportedError("the kernel's BTF", "5.4", "there is none")

    monkeypatch.setattr("stingless.btf.vmlinux.kernel_btf", none)
    with pytest.raises(NotSupportedError, match=r'vmlinux\.h" is not supported here.*--btf'):
        compile_text(USES_KERNEL)
    assert compile_text(PROGRAM)


def test_a_file_that_is_not_btf(tmp_path: Path) -> None:
    with pytest.raises(ObjectError):
        compile_text(USES_KERNEL, btf=write(tmp_path, "x", "text"))


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.bpf\.c"):
        compile_file(tmp_path / "nothing.bpf.c")
    with pytest.raises(FileNotFoundError, match=r"no\.btf"):
        compile_text(PROGRAM, btf=tmp_path / "no.btf")
    with pytest.raises(IsADirectoryError):
        compile_file(tmp_path)


def test_errors_are_on_the_users_lines(tmp_path: Path) -> None:
    header = write(tmp_path, "mine.h", "int a;\nint broken = ;\n")
    file = write(tmp_path, "prog.bpf.c", '#include "mine.h"\n\nint f(void) { return nowhere; }\n')
    with pytest.raises(CompileError) as caught:
        compile_file(file)
    first, second = caught.value.diagnostics
    assert (first.file, first.line, first.source) == (str(header), 2, "int broken = ;")
    assert (second.file, second.line, second.source) == (str(file), 3, "int f(void) { return nowhere; }")
    assert "expected expression" in str(caught.value) and "(1 more)" in str(caught.value)


def test_errors_of_a_text_are_on_its_lines() -> None:
    with pytest.raises(CompileError) as caught:
        compile_text("int a;\nint f(void) { return nowhere; }\n", "the name.c")
    (only,) = caught.value.diagnostics
    assert (only.file, only.line, only.source) == ("the name.c", 2, "int f(void) { return nowhere; }")


@pytest.mark.parametrize(
    ("header", "hint"),
    [
        ("<linux/typpes.h>", "did you mean <linux/types.h>?"),
        ("<bpf/bpf_helper.h>", "did you mean <bpf/bpf_helpers.h>?"),
        ("<linux/fs_struct.h>", 'include "vmlinux.h"'),
        ("<uapi/linux/bpf.h>", "<linux/bpf.h>"),
    ],
)
def test_a_missing_header_gets_a_hint(header: str, hint: str) -> None:
    with pytest.raises(CompileError) as caught:
        compile_text(f"int a;\n#include {header}\n")
    assert caught.value.diagnostics[0].line == 2
    assert hint in str(caught.value)


def test_a_header_that_is_like_no_other_gets_none() -> None:
    with pytest.raises(CompileError, match=r"'zzz\.h' file not found\n"):
        compile_text('#include "zzz.h"')


def test_warnings_are_kept_apart(tmp_path: Path) -> None:
    file = write(tmp_path, "prog.bpf.c", "int f(void) { int x; return x; }\n")
    (warning,) = compile_program(file).warnings
    assert (warning.severity, warning.line) == ("warning", 1)
    assert "uninitialized" in warning.message


def test_older_sources_may_mix_pointers(tmp_path: Path) -> None:
    (warning,) = compile_program(write(tmp_path, "prog.bpf.c", "int *f(long *p) { return p; }\n")).warnings
    assert "incompatible pointer types" in warning.message


@pytest.mark.parametrize("as_file", [True, False])
def test_source_lines_are_in_the_object(tmp_path: Path, as_file: bool) -> None:
    data = compile_file(write(tmp_path, "prog.bpf.c", PROGRAM)) if as_file else compile_text(PROGRAM, "prog.bpf.c")
    spec = read_object(data)
    assert spec.btf is not None
    lines = {spec.btf.string(i.line_off).strip(): i.line for i in spec.programs["count"].line_info}
    assert lines["return XDP_PASS;"] == 15
    files = {spec.btf.string(i.file_off) for i in spec.programs["count"].line_info}
    assert all(f.endswith("prog.bpf.c") for f in files)


def test_the_target_may_be_chosen() -> None:
    x86 = "#ifndef __TARGET_ARCH_x86\n#error\n#endif\n#ifdef __TARGET_ARCH_arm64\n#error\n#endif\n"
    assert compile_text(x86, cflags=["-D__TARGET_ARCH_x86"])
    with pytest.raises(CompileError):
        compile_text(x86, cflags=["-D__TARGET_ARCH_arm64"])

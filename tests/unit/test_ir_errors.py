"""What cannot be made code of is told on the user's own line, also when only the code generator finds it."""

from __future__ import annotations

from pathlib import Path

import pytest

from stingless import BPF
from stingless.compile.bcc import BccRun
from stingless.compile.ir.tokens import IrError
from stingless.embedded.kernel import EmbeddedKernel
from stingless.errors import CompileError, VerifierError
from tests.ir_programs import no_tracepoints
from tests.leak_checks import open_files

_BIG = """BPF_HASH(h, u64, u64);
struct big { char a[3000]; };
int hello(struct pt_regs *ctx, unsigned long length)
{
    char b[200];
    struct big big = {};
    h.update((u64 *)&big, (u64 *)&big);
    return 0;
}
"""


def _run(text: str) -> BccRun:
    return BccRun(text, no_tracepoints)


def _children() -> set[str]:
    return {c for t in Path("/proc/self/task").iterdir() for c in (t / "children").read_text().split()}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (_BIG, 6, r"in hello\(\): memset\(\) of this size"),
        (
            _BIG.replace("struct big big = {};", "__builtin_memcpy(b, &h, length);"),
            6,
            r"in hello\(\): memcpy\(\) of this",
        ),
        ("\n\nint hello(void *ctx) { return (int)(*(double *)ctx + 1.5); }", 3, r"in hello\(\): __\w+\(\) is needed"),
    ],
)
def test_what_is_no_code(text: str, line: int, message: str) -> None:
    text = text.replace("(u64 *)&big", "(u64 *)b") if "= {}" not in text else text
    with pytest.raises(CompileError, match=message) as caught:
        _run(text).output()
    [diagnostic] = [d for d in caught.value.diagnostics if d.severity == "error"][:1]
    assert (diagnostic.file, diagnostic.line) == ("main.c", line)
    assert diagnostic.source == text.splitlines()[line - 1].strip()


def test_no_process_is_left() -> None:
    """One clang waits for what another makes; neither outlives the compilation."""
    before = _children()
    with pytest.raises(CompileError, match="undeclared"):
        _run("int f(void *ctx) { return there_is_no_such_name; }").output()
    assert _children() == before
    run = _run("int f(void *ctx) { return 0; }")
    assert len(_children()) > len(before)
    run.close()
    assert _children() == before
    files = open_files()
    assert _run("int f(void *ctx) { return 0; }").output().startswith(b"\x7fELF")
    assert _children() == before
    assert open_files() == files


def test_ir_that_is_not_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(ir: str) -> str:
        raise IrError("a load without a pointer: %1 = load")

    monkeypatch.setattr("stingless.compile.ir.reads.explicit_reads", refuse)
    before = _children()
    with pytest.raises(
        CompileError, match=r"main\.c: .*clang version.* wrote IR that is not understood: a load without"
    ):
        _run("int f(void *ctx) { return 0; }").output()
    assert _children() == before


def test_a_compiler_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first clang is ended when the second cannot be started."""

    def fail(*_: object) -> None:
        raise OSError("no more processes")

    before = _children()
    monkeypatch.setattr("stingless.compile.bcc.start_code", fail)
    with pytest.raises(OSError, match="no more"):
        _run("int f(void *ctx) { return 0; }")
    assert _children() == before


def test_a_refused_program_is_told_on_the_users_line() -> None:
    """The lines survive what is done to the IR in between."""
    text = """BPF_HASH(h, u64, u64);
struct thing { u64 a; struct thing *next; };
int f(struct pt_regs *ctx, struct thing *p) {
    u64 k = p->next->a;
    u64 *value = h.lookup(&k);
    *value = p->a;
    return 0;
}
"""
    with EmbeddedKernel() as kernel, BPF(text=text, kernel=kernel) as program:
        with pytest.raises(VerifierError) as caught:
            program.load_func("f", BPF.KPROBE)
        assert caught.value.source is not None
        assert "main.c:6: *value = p->a;" in str(caught.value)
        assert "main.c:4: u64 k = p->next->a;" not in str(caught.value)

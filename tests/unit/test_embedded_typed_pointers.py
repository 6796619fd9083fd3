"""Typed kernel pointers, callbacks and unwritten stack, from the verifier's result to what a run gives."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stingless._gen.uapi import ProgramType
from stingless.asm import opcodes as op
from stingless.asm.instruction import add_imm, call, encode, exit_, ld_imm64, load, mov, mov_imm
from stingless.compile.plain import compile_text
from stingless.embedded.kernel import EmbeddedKernel, Engine
from stingless.embedded.verifier.helpers import SIGNATURES
from stingless.embedded.verifier.verify import verify
from stingless.obj.reader import read_object
from stingless.obj.spec import ProgramSpec

needs_btf = pytest.mark.skipif(
    not Path("/sys/kernel/btf/vmlinux").exists(), reason="the types of a kernel's structs are looked up in its BTF"
)
TEXT = """
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
char LICENSE[] SEC("license") = "GPL";
int pid, parent, nobody, looped;
struct counted { int n; };
static int each(u32 i, struct counted *c) { c->n += i; return i == 5; }
SEC("syscall") int probe(void *ctx)
{
    struct task_struct *task = bpf_get_current_task_btf();
    struct counted c = {};
    pid = task->tgid;
    parent = task->real_parent->tgid;
    nobody = task->mm->owner->mm->exe_file->f_inode->i_sb->s_bdev->bd_disk->first_minor;
    bpf_loop(100, each, &c, 0);
    looped = c.n;
    return 0;
}
"""


@needs_btf
@pytest.mark.parametrize("engine", ["interpreter", "jit"])
def test_loads_through_kernel_pointers_may_fault(engine: Engine) -> None:
    if engine == "jit":
        pytest.importorskip("llvmlite")
    with EmbeddedKernel(engine=engine) as kernel:
        spec = kernel.resolve(read_object(compile_text(TEXT, "prog.bpf.c")))
        maps = {name: kernel.create_map(each) for name, each in spec.maps.items()}
        program = kernel.load_program(spec.programs["probe"], maps)
        assert program.run(ctx=bytes(8)).retval == 0
        found = {}
        for name, variable in spec.variable_specs.items():
            content = maps[variable.map].lookup(bytes(4))
            assert content is not None
            found[name] = int.from_bytes(content[variable.offset :][:4], "little")
    # Of what nobody filled, the pointers are NULL, and a load through them gives zero.
    assert found == {"pid": os.getpid(), "parent": os.getppid(), "nobody": 0, "looped": 15}


def test_the_result_names_what_the_runtime_must_do() -> None:
    body = [
        mov_imm(1, 2), *ld_imm64(2, 6, op.PSEUDO_FUNC), mov_imm(3, 0), mov_imm(4, 0), call(181), mov_imm(0, 0), exit_(),
        load(op.DW, 0, 10, -8), mov_imm(0, 0), exit_(),
    ]  # fmt: skip
    spec = ProgramSpec("t", "t", ProgramType.KPROBE, encode(body), license="GPL")
    result = verify(spec, {}, frozenset(SIGNATURES))
    assert result.callbacks == (1,)
    assert result.reads_unwritten_stack
    assert result.subprogs == (0, 8)


def test_machine_code_begins_with_zeros_where_stack_is_read_unwritten() -> None:
    pytest.importorskip("llvmlite")
    body = [
        mov_imm(1, -1), mov(2, 10), add_imm(2, -8), load(op.DW, 0, 10, -64), load(op.DW, 3, 10, -128), exit_(),
    ]  # fmt: skip
    with EmbeddedKernel(engine="jit") as kernel:
        spec = ProgramSpec("t", "t", ProgramType.SYSCALL, encode(body), license="GPL")
        program = kernel.load_program(spec, {})
        assert program.engine == "jit-O2"
        assert [program.run().retval for _ in range(3)] == [0, 0, 0]

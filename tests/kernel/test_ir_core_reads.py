"""Implicit reads of the running kernel's structs, whose fields are elsewhere than in the program's own declarations."""

from __future__ import annotations

import ctypes
import itertools
import os
import random
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from stingless._gen.uapi import ProgramType
from stingless.btf.kernel import kernel_btf
from stingless.btf.types import Kind
from stingless.errors import NotSupportedError
from stingless.linux.kernel import LinuxKernel
from stingless.programs import LoadedObject
from tests.ir_programs import compiled, program, seen

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="loading programs into Linux needs root")

_RECORDS = "#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)"
_TABLES = """
struct slot { u64 filler; char text[16]; };
struct node { int unused; };
BPF_ARRAY(out, u64, 32);
static inline void put(int at, u64 value) { out.update(&at, &value); }
"""
_TASK = f"""
{_RECORDS}
typedef struct {{ int filler, val; }} st_uid;
struct cred {{ char filler[3]; st_uid uid; }};
struct mm_struct {{ struct {{ char filler[9]; unsigned long arg_start; }}; }};
struct task_struct {{
    char comm[16];
    unsigned long filler : 29, sched_reset_on_fork : 1;
    const struct cred *cred;
    struct mm_struct *mm;
    int tgid, pid;
    struct task_struct *real_parent, *group_leader;
}};
#pragma clang attribute pop
{_TABLES}
"""


@pytest.fixture(scope="module")
def kernel() -> Iterator[LinuxKernel]:
    try:
        kernel_btf()
    except NotSupportedError as error:
        pytest.skip(str(error))
    with LinuxKernel() as opened:
        yield opened


def _task(kernel: LinuxKernel, body: str, count: int) -> list[int]:
    text = f"struct task_struct *t = (struct task_struct *)bpf_get_current_task(); {body}"
    return seen(kernel, program(text, _TASK), 0, 0, count=count)


def test_the_running_task(kernel: LinuxKernel) -> None:
    body = """
    char name[16]; memcpy(name, t->comm, 16); put(0, *(u64 *)name); put(1, t->comm[1]);
    put(2, t->tgid); put(3, t->real_parent->tgid); put(4, t->group_leader->real_parent->real_parent->tgid);
    put(5, t->cred->uid.val); put(6, t->mm->arg_start); put(7, t->sched_reset_on_fork);
    """
    comm = Path("/proc/self/comm").read_bytes().strip()
    parent = int(Path(f"/proc/{os.getppid()}/stat").read_text().rpartition(")")[2].split()[1])
    arguments = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[45])
    expected = [int.from_bytes(comm.ljust(8, b"\0")[:8], "little"), comm[1], os.getpid(), os.getppid(), parent]
    assert _task(kernel, body, 8) == [*expected, os.getuid(), arguments, 0]


def test_a_bit_of_the_running_task(kernel: LinuxKernel) -> None:
    """In a child: the bit cannot be taken back."""
    child = os.fork()
    if not child:
        try:
            os.sched_setscheduler(0, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.sched_param(0))
            os._exit(_task(kernel, "put(0, t->sched_reset_on_fork ? 42 : 1);", 1)[0])
        finally:
            os._exit(99)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 42


def test_a_walk_to_the_first_task(kernel: LinuxKernel) -> None:
    body = "int i = 0; for (; i < 60 && t->tgid > 1; i++) t = t->real_parent; put(0, t->tgid); put(1, i);"
    pid, steps = os.getpid(), 0
    while pid > 1:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        steps += 1
    assert _task(kernel, body, 2) == [pid, steps]


# Bit-fields that are declared elsewhere, of another type and beside others than in the kernel.
_FIELDS = {
    "sk_buff": "char filler[3]; u8 slow_gro : 1; u32 a : 9, pkt_type : 3, ip_summed : 2, from_ingress : 1; u16 :0;"
    "u64 cloned : 1, b : 40, redirected : 1, nohdr : 1; u8 csum_level : 2, c : 5, encapsulation : 1, peeked : 1;",
    "tcp_sock": "u32 a : 30, nonagle : 4, repair : 1; u8 b : 7, is_sack_reneg : 1, syn_data : 1; u64 c : 35;"
    "u64 recvmsg_inq : 1; u16 d : 11, syn_smc : 1, thin_lto : 1, frto : 1;",
    "sock": "u64 a : 33, sk_userlocks : 4; u8 sk_padding : 1, sk_no_check_tx : 1; u32 b : 25, sk_no_check_rx : 1;",
    "tcphdr": "u64 a : 35, fin : 1, syn : 1, b : 20, doff : 4; u8 ack : 1, c : 6, urg : 1, psh : 1;",
}


@pytest.mark.parametrize("name", _FIELDS)
def test_bit_fields(kernel: LinuxKernel, name: str) -> None:
    record = kernel_btf().find(name, Kind.STRUCT)
    assert record is not None
    declared = _FIELDS[name].replace(",", " ").replace(";", " ").split()
    names = [
        word
        for word, after in itertools.pairwise(declared)
        if after == ":" and len(word) > 1 and word in record.members.names() and record.members[word].bit_size
    ]
    assert names
    puts = "".join(f"put({i}, p->{field});" for i, field in enumerate(names))
    head = f"{_RECORDS}\nstruct {name} {{ {_FIELDS[name]} }};\n#pragma clang attribute pop\n{_TABLES}"
    text = program(f"struct {name} *p = (struct {name} *)ctx->args[0]; {puts}", head)
    loaded = LoadedObject(kernel, compiled(text))
    try:
        probe = loaded.program("probe", ProgramType.RAW_TRACEPOINT)
        for seed in range(20):
            content = random.Random(seed).randbytes(record.size)
            memory = ctypes.create_string_buffer(content, len(content))
            probe.run(ctx=struct.pack("QQ", ctypes.addressof(memory), 0))
            bits = int.from_bytes(content, "little")
            for i, field in enumerate(names):
                place = record.members[field]
                got = int.from_bytes(loaded.maps["out"].lookup(struct.pack("I", i)) or b"", "little")
                assert got == bits >> place.bit_offset & (1 << place.bit_size) - 1, field
    finally:
        loaded.close()

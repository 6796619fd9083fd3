"""Kernel objects of traced tasks, in the layout of a BTF of the test's own and in that of the machine's kernel."""

from __future__ import annotations

import ctypes
import logging
import os
import struct
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from stingless._gen.helpers import Helper
from stingless._sys import runtime_objects
from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction, add_imm, call, load, mov
from stingless.btf.types import Btf
from stingless.embedded.kernel import EmbeddedKernel
from stingless.embedded.objects.layout import FIELDS, layout, name_at
from stingless.events import Tracepoint
from tests.btf_blobs import Blob
from tests.tracer_target import KPROBE, TRACEPOINT, array, program, read, values_of

TASK = {"sched_class": 8, "tgid": 16, "comm": 24, "pid": 40, "start_time": 48, "real_parent": 56, "exit_code": 64}
TASK |= {"cred": 72, "nsproxy": 80, "mm": 88, "fs": 96, "thread_pid": 104, "group_leader": 112, "policy": 120}


def shipped() -> Btf:
    """Types of a kernel that nobody has: where the fields are, only this tells."""
    types = Blob()
    word, long, char = types.integer(), types.integer("long", 8), types.integer("char", 1)
    pointer = types.pointer(0)
    name = types.array(char, 16)
    kinds = {"comm": name, "tgid": word, "pid": word, "exit_code": word, "start_time": long, "policy": word}
    types.struct("task_struct", 128, [(field, kinds.get(field, pointer), at) for field, at in TASK.items()])
    types.struct(
        "cred", 64, [("euid", word, 4), ("gid", word, 20), ("user_ns", pointer, 32), ("cap_effective", long, 48)]
    )
    types.struct("nsproxy", 32, [("mnt_ns", pointer, 8), ("pid_ns_for_children", pointer, 16)])
    common = types.struct("ns_common", 16, [("inum", word, 8)])
    types.struct("mnt_namespace", 64, [("ns", common, 24)])
    types.struct("pid_namespace", 64, [("ns", common, 32)])
    text = types.struct("qstr", 16, [("len", word, 4), ("name", pointer, 8)])
    types.struct("dentry", 64, [("d_parent", pointer, 0), ("d_name", text, 16), ("d_inode", pointer, 40)])
    types.struct("inode", 32, [("i_ino", long, 16)])
    path = types.struct("path", 16, [("mnt", pointer, 0), ("dentry", pointer, 8)])
    types.struct("file", 32, [("f_path", path, 16)])
    types.struct("fs_struct", 40, [("pwd", path, 16)])
    types.struct("mm_struct", 32, [("exe_file", pointer, 16), ("arg_start", long, 24)])
    upid = types.struct("upid", 16, [("nr", word, 0), ("ns", pointer, 8)])
    levels = types.array(upid, 0)
    types.struct("pid", 16, [("level", word, 4), ("numbers", levels, 16)])
    return types.btf()


@pytest.fixture
def kernel() -> Iterator[EmbeddedKernel]:
    with EmbeddedKernel(shipped()) as made:
        yield made


def chase(index: int, *path: int, size: int = 4, helper: Helper = Helper.probe_read_kernel) -> list[Instruction]:
    """value[index] = what a walk from the current task leads to: offsets of pointers, then of `size` bytes."""
    code = [call(Helper.get_current_task), mov(3, 0)]
    for at in path[:-1]:
        code += [add_imm(3, at), *read(Helper.probe_read_kernel, 8, index), load(op.DW, 3, 7, 8 * index)]
    return [*code, add_imm(3, path[-1]), *read(helper, size, index)]


def own(kernel: EmbeddedKernel, paths: Sequence[tuple[int, ...]], size: int = 4) -> tuple[int, ...]:
    """What a program that runs for this thread reads at each path."""
    counted = array(kernel, 1 + len(paths))
    body = [each for index, path in enumerate(paths) for each in chase(1 + index, *path, size=size)]
    program(kernel, KPROBE, counted, body).run()
    return tuple(value & (1 << 8 * size) - 1 for value in values_of(counted)[1:])  # pointers on the way were longer


def inode(namespace: str) -> int:
    return Path(f"/proc/self/ns/{namespace}").stat().st_ino


def test_numbers_of_the_caller(kernel: EmbeddedKernel) -> None:
    paths = [(TASK["pid"],), (TASK["tgid"],), (TASK["real_parent"], TASK["tgid"]), (TASK["group_leader"], TASK["pid"])]
    found: list[tuple[int, ...]] = []
    thread = threading.Thread(target=lambda: found.append(own(kernel, paths)))
    thread.start()
    thread.join()
    assert found == [(thread.native_id, os.getpid(), os.getppid(), os.getpid())]


def test_credentials_and_namespaces(kernel: EmbeddedKernel) -> None:
    cred: list[tuple[int, ...]] = [(TASK["cred"], 4), (TASK["cred"], 20)]
    spaces: list[tuple[int, ...]] = [(TASK["nsproxy"], 8, 24 + 8), (TASK["nsproxy"], 16, 32 + 8)]
    assert own(kernel, cred + spaces) == (os.geteuid(), os.getgid(), inode("mnt"), inode("pid_for_children"))
    status = Path("/proc/self/status").read_text()
    effective = int(status.partition("CapEff:\t")[2].split()[0], 16)
    assert own(kernel, [(TASK["cred"], 48)], size=8) == (effective,)


def test_number_in_the_namespace(kernel: EmbeddedKernel) -> None:
    status = Path("/proc/self/status").read_text()
    numbers = [int(each) for each in status.partition("NSpid:\t")[2].partition("\n")[0].split()]
    level, number = own(kernel, [(TASK["thread_pid"], 4), (TASK["thread_pid"], 16)])
    assert (level, number) == (len(numbers) - 1, numbers[0])
    innermost = 16 + 16 * level
    assert own(kernel, [(TASK["thread_pid"], innermost + 8, 32 + 8)]) == (inode("pid"),)


def test_names_of_files(kernel: EmbeddedKernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    pwd = (TASK["fs"], 16 + 8)
    names = [word.to_bytes(4, "little") for word in own(kernel, [(*pwd, 24, 0), (*pwd, 0, 24, 0)])]
    assert names == [b"inne", tmp_path.name.encode()[:4]]
    assert own(kernel, [(*pwd, 20)]) == (len("inner"),)
    assert own(kernel, [(*pwd, 40, 16)], size=8) == (Path.cwd().stat().st_ino,)
    executable = os.path.realpath(sys.executable)
    exe = (TASK["mm"], 16, 16 + 8)
    assert own(kernel, [(*exe, 40, 16)], size=8) == (Path(executable).stat().st_ino,)


def test_roots_are_their_own_parents(kernel: EmbeddedKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    pwd = (TASK["fs"], 16 + 8)
    entry, parent = own(kernel, [pwd, (*pwd, 0)], size=8)
    assert entry == parent != 0


def test_strings_end_at_their_ends(kernel: EmbeddedKernel) -> None:
    counted = array(kernel, 3)
    program(kernel, KPROBE, counted, chase(1, TASK["comm"], size=16, helper=Helper.probe_read_kernel_str)).run()
    name = struct.pack("<2Q", *values_of(counted)[1:])
    assert name.rstrip(b"\0").decode() == Path("/proc/thread-self/comm").read_text().rstrip("\n")


def test_unknown_fields_are_zero_and_told_once(kernel: EmbeddedKernel, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "stingless"):
        assert own(kernel, [(TASK["sched_class"],), (TASK["pid"],)], size=4)[0] == 0
        assert own(kernel, [(TASK["sched_class"],)]) == (0,)
        own(kernel, [(TASK["cred"], 60)])
    assert kernel.unread == ("task_struct.sched_class", "cred.+60")
    assert [each.getMessage() for each in caplog.records] == [
        "stingless: the embedded kernel does not know task_struct.sched_class: programs read zero there",
        "stingless: the embedded kernel does not know cred.+60: programs read zero there",
    ]


def test_no_reads_beyond_an_object(kernel: EmbeddedKernel) -> None:
    counted = array(kernel, 3)
    behind = [*chase(1, 128), Instruction(op.STX | op.MEM | op.DW, 7, 0, 16)]
    program(kernel, KPROBE, counted, behind).run()
    assert ctypes.c_int64(values_of(counted)[2]).value == -14
    user = [*chase(1, TASK["pid"], helper=Helper.probe_read_user), Instruction(op.STX | op.MEM | op.DW, 7, 0, 16)]
    program(kernel, KPROBE, counted, user).run()
    assert ctypes.c_int64(values_of(counted)[2]).value == -14


def test_tasks_of_a_command(kernel: EmbeddedKernel) -> None:
    """At its end a task still has its parent, its name, the time it started at, and its status."""
    counted = array(kernel, 6)
    ended = [
        *chase(1, TASK["real_parent"], TASK["pid"]),
        *chase(2, TASK["comm"], size=8),
        *chase(3, TASK["start_time"], size=8),
        *chase(4, TASK["exit_code"]),
        *chase(5, TASK["policy"]),
    ]
    before = time.monotonic_ns()
    kernel.attach(program(kernel, TRACEPOINT, counted, ended), Tracepoint("sched", "sched_process_exit"))
    command = kernel.spawn(["sh", "-c", "exit 3"])
    command.release()
    assert command.wait(30) == 3
    count, parent, name, start, status, policy = values_of(counted)
    assert (count, parent & 0xFFFFFFFF, status, policy) == (1, os.getpid(), 3 << 8, 0)
    assert name.to_bytes(8, "little").rstrip(b"\0") == b"sh"
    assert before < start < time.monotonic_ns()


def test_every_source_is_one_of_the_runtime() -> None:
    assert set(FIELDS) | {"text"} == runtime_objects.kinds()
    used = {what.partition(":")[0] for fields in FIELDS.values() for what in fields.values()}
    assert used == runtime_objects.sources()


def test_fields_that_a_kernel_lacks_are_left_out() -> None:
    types = Blob()
    types.struct("task_struct", 16, [("pid", types.integer(), 4)])
    found = layout(types.btf())
    assert dict(found.sizes) == {"task_struct": 16}
    assert [(each.source, each.offset, each.size) for each in found.fields] == [("PID", 4, 4)]
    assert name_at(types.btf(), "task_struct", 4) == "task_struct.pid"


def test_layout_of_the_machine() -> None:
    if not Path("/sys/kernel/btf/vmlinux").exists():
        pytest.skip("the kernel shows no BTF")
    from stingless.btf.kernel import kernel_btf

    places = {(each.struct, each.source) for each in layout(kernel_btf()).fields}
    assert places >= {
        ("task_struct", "PID"),
        ("mm_struct", "EXE_FILE"),
        ("kernfs_node", "CGROUP_ID"),
        ("pid", "PID_NS"),
    }

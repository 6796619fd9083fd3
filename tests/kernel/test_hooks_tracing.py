"""Tracing hooks by the section's name: each fires for this process, and no more after close()."""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stingless._gen.uapi import LinkType
from stingless.attach import event_of
from stingless.errors import AttachError, NotSupportedError, UnknownNameError
from stingless.linux import perf_link
from stingless.linux.iter import IterLink
from stingless.linux.kernel import LinuxKernel
from tests.hook_support import Hooks, c_program
from tests.leak_checks import open_files
from tests.linux_support import IS_ROOT

pytestmark = pytest.mark.skipif(not IS_ROOT, reason="bpf(2) needs root")
no_uprobes = pytest.mark.skipif(perf_link.pmu_type("uprobe") is None, reason="this kernel has no uprobes")


@pytest.fixture
def kernel() -> Iterator[LinuxKernel]:
    with LinuxKernel() as k:
        yield k


COUNT = "{ if (MINE()) hits++; return 0; }"
OF_CALL = "{ if (MINE() && ctx[1] == 110 /* getppid on x86-64 */) { hits++; } return 0; }"


@pytest.mark.parametrize(
    ("section", "body"),
    [
        ("tp/syscalls/sys_enter_getppid", COUNT),
        ("tracepoint/syscalls/sys_exit_getppid", COUNT),
        ("ksyscall/getppid", COUNT),
        ("kretsyscall/getppid", COUNT),
        ("kprobe/__x64_sys_getppid", COUNT),
        ("kretprobe/sys_getppid", COUNT),
        ("raw_tp/sys_enter", OF_CALL),
        ("raw_tracepoint/sys_enter", OF_CALL),
        ("tp_btf/sys_enter", OF_CALL),
    ],
)
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="getppid's number, and names of its function, are of x86-64")
def test_fires_until_closed(kernel: LinuxKernel, section: str, body: str) -> None:
    context = "unsigned long long" if "ctx[" in body else "void"
    hooks = Hooks(kernel, f'SEC("{section}") int prog({context} *ctx) {body}')
    before = open_files()
    hooks.program()
    link = hooks.attach()
    for _ in range(5):
        os.getppid()
    assert hooks.hits == 5
    link.close()
    link.close()
    os.getppid()
    assert hooks.hits == 5
    hooks.program().close()
    kernel.tracefs().close()
    assert open_files() <= before


def test_cookies(kernel: LinuxKernel) -> None:
    """Each of two attachments of one program has its own."""
    hooks = Hooks(
        kernel,
        """
        SEC("tp") int prog(void *ctx) { if (MINE()) { hits++; last += bpf_get_attach_cookie(ctx); } return 0; }
        SEC("tp_btf/sys_enter") int typed(unsigned long long *ctx)
        { if (MINE() && ctx[1] == 110) last = bpf_get_attach_cookie(ctx); return 0; }
        SEC("raw_tp") int raw(unsigned long long *ctx)
        { if (MINE() && ctx[1] == 110) last = bpf_get_attach_cookie(ctx); return 0; }
        """,
    )
    links = [
        hooks.attach(category="syscalls", name=name, cookie=cookie)
        for name, cookie in (("sys_enter_getppid", 1 << 40), ("sys_exit_getppid", 5))
    ]
    os.getppid()
    assert (hooks.hits, hooks.last) == (2, (1 << 40) + 5)
    for link in links:
        link.close()
    for each, where in (("typed", {}), ("raw", {"name": "sys_enter"})):
        with hooks.attach(each, cookie=77, **where) as link:
            os.getppid()
            assert hooks.last == 77
            assert link.info.type in (LinkType.RAW_TRACEPOINT, LinkType.TRACING)
            assert link.info.program_id == hooks.program(each).info.id


def test_perf_event(kernel: LinuxKernel) -> None:
    hooks = Hooks(kernel, 'SEC("perf_event") int prog(void *ctx) { if (MINE()) hits++; return 0; }')
    with pytest.raises(AttachError, match=r"give sample_freq= \(Hz\) or sample_period="):
        hooks.attach()
    link = hooks.attach(sample_freq=999, pid=os.getpid())
    end = time.process_time() + 0.1
    while time.process_time() < end:
        pass
    link.close()
    seen = hooks.hits
    assert seen > 10
    end = time.process_time() + 0.02
    while time.process_time() < end:
        pass
    assert hooks.hits == seen


def test_names_that_are_not_there(kernel: LinuxKernel) -> None:
    hooks = Hooks(
        kernel,
        """
        SEC("tp/syscalls/sys_enter_getppidd") int a(void *ctx) { return 0; }
        SEC("raw_tp/sys_entr") int b(void *ctx) { return 0; }
        SEC("ksyscall/getppidd") int c(void *ctx) { return 0; }
        SEC("uprobe/libc.so.6:mallocc") int d(void *ctx) { return 0; }
        SEC("kprobe") int e(void *ctx) { return 0; }
        """,
    )
    for name, near in (("a", "sys_enter_getppid"), ("b", "sys_enter"), ("c", "getppid"), ("d", "malloc")):
        with pytest.raises(UnknownNameError, match=rf"nearest: .*\b{near}\b"):
            hooks.attach(name)
    with pytest.raises(AttachError, match=r"the kernel function is missing: name it.*'kprobe/vfs_read'.*function="):
        hooks.attach("e")


@pytest.mark.skipif(perf_link.pmu_type("kprobe") is not None, reason="this kernel has kprobes")
def test_kprobes_that_this_kernel_lacks(kernel: LinuxKernel) -> None:
    hooks = Hooks(
        kernel,
        """
        SEC("kprobe/vfs_read") int one(void *ctx) { return 0; }
        SEC("kprobe.multi/vfs_rea*") int many(void *ctx) { return 0; }
        """,
    )
    with pytest.raises(AttachError, match="built without kprobes"):
        hooks.attach("one")
    with pytest.raises(NotSupportedError, match=r"a kprobe\.multi link is not supported here .*5\.18"):
        hooks.attach("many")


# User functions

LIBRARY = """
int st_one(int a) { return a + 1; } int st_two(int a) { return a + 2; } int other(int a) { return a; }
"""


@pytest.fixture
def library() -> Iterator[tuple[Path, ctypes.CDLL]]:
    with c_program(LIBRARY, "-shared", "-fPIC") as path:
        yield path, ctypes.CDLL(str(path))


Library = tuple[Path, ctypes.CDLL]


@no_uprobes
@pytest.mark.parametrize("kind", ["uprobe", "uretprobe", "uprobe.s"])
def test_uprobe_by_section(kernel: LinuxKernel, library: Library, kind: str) -> None:
    path, code = library
    hooks = Hooks(kernel, f'SEC("{kind}/{path}:st_two") int prog(struct pt_regs *ctx) {COUNT}')
    link = hooks.attach()
    calls: list[Callable[[int], int]] = [code.st_one, code.st_two, code.st_two]
    for call in calls:
        call(1)
    assert hooks.hits == 2
    if isinstance(link.info.type, LinkType):
        assert link.info.type is LinkType.PERF_EVENT
    link.close()
    code.st_two(1)
    assert hooks.hits == 2


@no_uprobes
def test_uprobe_arguments_offset_and_cookie(kernel: LinuxKernel, library: Library) -> None:
    path, code = library
    hooks = Hooks(
        kernel,
        """
        SEC("uprobe") int BPF_UPROBE(prog, int a) { hits += a; last = bpf_get_attach_cookie(ctx); return 0; }
        SEC("uretprobe") int BPF_URETPROBE(ret, int result) { hits += result * 100; return 0; }
        """,
    )
    hooks.attach(path=path, symbol="st_one", pid=os.getpid(), cookie=9)
    hooks.attach("ret", path=path, symbol="st_one", pid=os.getpid())
    code.st_one(4)
    assert (hooks.hits, hooks.last) == (504, 9)
    with pytest.raises(AttachError, match="the program or library is missing"):
        hooks.attach()
    with pytest.raises(AttachError, match="the user function is missing"):
        hooks.attach(path=path)


@no_uprobes
def test_uprobe_of_a_library_by_name(kernel: LinuxKernel) -> None:
    hooks = Hooks(kernel, f'SEC("uprobe/libc.so.6:gnu_get_libc_version") int prog(void *ctx) {COUNT}')
    hooks.attach()
    ctypes.CDLL("libc.so.6").gnu_get_libc_version()
    assert hooks.hits == 1


@no_uprobes
def test_uprobe_of_a_program_in_path(kernel: LinuxKernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with c_program("int here(void) { return 0; } int main(void) { return here(); }", "-rdynamic", "-O0") as path:
        shutil.copy(path, tmp_path / "a-program-of-mine")
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        hooks = Hooks(kernel, 'SEC("uprobe/a-program-of-mine:here") int prog(void *ctx) { hits++; return 0; }')
        hooks.attach()
        subprocess.run(["a-program-of-mine"], check=True)
    assert hooks.hits == 1


@no_uprobes
def test_uprobe_multi(kernel: LinuxKernel, library: Library) -> None:
    path, code = library
    hooks = Hooks(
        kernel,
        f"""
        SEC("uprobe.multi/{path}:st_*") int prog(void *ctx)
        {{ if (MINE()) {{ hits++; last += bpf_get_attach_cookie(ctx); }} return 0; }}
        SEC("uretprobe.multi/{path}:st_*") int ret(void *ctx) {COUNT}
        SEC("uprobe.session/{path}:st_*") int session(void *ctx) {COUNT}
        """,
    )
    link = hooks.attach()
    for call in (code.st_one, code.st_two, code.other):
        call(1)
    assert hooks.hits == 2
    assert link.info.type is LinkType.UPROBE_MULTI
    assert link.info.details["count"] == 2
    link.close()
    with hooks.attach(symbols=["st_two", "other"], cookies=[10, 200], pid=os.getpid()):
        for call in (code.st_one, code.st_two, code.other):
            call(1)
    assert (hooks.hits, hooks.last) == (4, 210)
    with hooks.attach("ret"):
        code.st_one(1)
    assert hooks.hits == 5
    with hooks.attach("session"):
        code.st_one(1)
    assert hooks.hits == 7  # at its entry and its return
    code.st_one(1)
    assert hooks.hits == 7
    with pytest.raises(AttachError, match=r"no function in .* matches 'nothing_\*'"):
        hooks.attach(pattern="nothing_*")


# Iterators

TASKS = """
struct task_struct { int tgid, pid; } __attribute__((preserve_access_index));
struct seq_file; struct bpf_iter_meta { struct seq_file *seq; } __attribute__((preserve_access_index));
struct bpf_iter__task { struct bpf_iter_meta *meta; struct task_struct *task; } __attribute__((preserve_access_index));
SEC("iter/task") int prog(struct bpf_iter__task *ctx)
{
    static const char format[] = "%d %d\\n";
    unsigned long long values[2];
    struct task_struct *task = ctx->task;
    if (!task || task->tgid != ME)
        return 0;
    values[0] = task->tgid;
    values[1] = task->pid;
    bpf_seq_printf(ctx->meta->seq, format, sizeof(format), values, sizeof(values));
    return 0;
}
"""


@pytest.mark.parametrize("where", [{}, {"pid": os.getpid()}, {"tid": os.getpid()}])
def test_task_iterator(kernel: LinuxKernel, where: dict[str, int]) -> None:
    link = Hooks(kernel, TASKS).attach(**where)
    assert isinstance(link, IterLink)
    me = os.getpid()
    for _ in range(2):  # each read is a walk of its own
        assert f"{me} {me}\n".encode() in link.read()
    assert link.info.details["target_name"] == "task"
    link.close()


def test_map_iterator(kernel: LinuxKernel) -> None:
    hooks = Hooks(
        kernel,
        """
        struct { __uint(type, BPF_MAP_TYPE_HASH); __type(key, int); __type(value, long); __uint(max_entries, 8); }
            walked SEC(".maps");
        struct bpf_iter__bpf_map_elem { void *meta; void *map; int *key; long *value; };
        SEC("iter/bpf_map_elem") int prog(struct bpf_iter__bpf_map_elem *ctx)
        { if (ctx->value) { hits++; last += *ctx->value; } return 0; }
        """,
    )
    with pytest.raises(AttachError, match="the map to walk over is missing: give map="):
        hooks.attach()
    for i in range(3):
        hooks.maps["walked"].update(i.to_bytes(4, "little"), (10 + i).to_bytes(8, "little"))
    link = hooks.attach(map=hooks.maps["walked"])
    assert isinstance(link, IterLink)
    assert link.read() == b""
    assert (hooks.hits, hooks.last) == (3, 33)


def test_event_of_takes_no_strange_arguments(kernel: LinuxKernel) -> None:
    program = Hooks(kernel, f'SEC("tp/syscalls/sys_enter_getppid") int prog(void *ctx) {COUNT}').program()
    with pytest.raises(TypeError, match="is attached with category=, name=, cookie=; not with interface="):
        event_of(program.spec, interface="lo")


def test_too_many_files(kernel: LinuxKernel) -> None:
    """What was opened before the failure is closed."""
    hooks = Hooks(kernel, f'SEC("tp/syscalls/sys_enter_getppid") int prog(void *ctx) {COUNT}')
    hooks.program()
    hooks.attach().close()
    before = open_files()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(each.name) for each in Path("/proc/self/fd").iterdir())
    spare = [os.dup(0) for _ in range(highest)]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (open_files(), hard))
        with pytest.raises(OSError, match=r"Too many open files|too many open files"):
            hooks.attach()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in spare:
            os.close(fd)
    assert open_files() == before

"""`BPF`'s attach verbs on a real kernel that has kprobes, trampolines and BPF LSM; each filtered to this process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stingless import BPF
from stingless.bcc import many
from stingless.bcc.attaching import num_open_probes
from stingless.errors import AttachError, UnknownNameError
from tests.bcc_counts import COUNT, MINE, bpf, counts
from tests.linux_support import unlink_in_tmpfs

PROGRAMS = f"""{COUNT}
BPF_ARRAY(place, u64, 1);
int ip(struct pt_regs *ctx) {{ {MINE} int k = 0; u64 at = PT_REGS_IP(ctx); place.update(&k, &at); return 0; }}
"""


@pytest.fixture
def b() -> Iterator[BPF]:
    with bpf(PROGRAMS) as made:
        yield made


def has_fprobe() -> bool:
    """CONFIG_FPROBE, which links of many kprobes are made of and a distribution may leave out."""
    return any(line.split()[2] == "register_fprobe_ips" for line in Path("/proc/kallsyms").read_text().splitlines())


def test_kprobe_by_name_and_return(b: BPF) -> None:
    assert b.attach_kprobe(event="vfs_unlink", fn_name="f") is b
    b.attach_kretprobe(event=b"vfs_unlink", fn_name=b"g")
    assert b.num_open_kprobes() == num_open_probes() == 2
    assert set(b.kprobe_fds) == {b"p_vfs_unlink", b"r_vfs_unlink"}
    for _ in range(3):
        unlink_in_tmpfs()
    assert counts(b)[:2] == [3, 3]
    b.detach_kprobe("vfs_unlink")
    unlink_in_tmpfs()
    assert counts(b)[:2] == [3, 4]
    with pytest.raises(UnknownNameError, match="vfs_unlink"):
        b.detach_kprobe("vfs_unlink")
    assert b.num_open_kprobes() == 1


def test_two_functions_at_one_place(b: BPF) -> None:
    b.attach_kprobe(event="vfs_unlink", fn_name="f")
    b.attach_kprobe(event="vfs_unlink", fn_name="g")
    assert b.num_open_kprobes() == 1
    unlink_in_tmpfs()
    b.detach_kprobe("vfs_unlink", fn_name="f")
    unlink_in_tmpfs()
    assert counts(b)[:2] == [1, 2]


@pytest.mark.parametrize("ret", [False, True])
def test_many_by_regular_expression(b: BPF, ret: bool) -> None:
    """vfs_unlink is one of them; the file is also opened, and so on."""
    attach = b.attach_kretprobe if ret else b.attach_kprobe
    attach(event_re="^vfs_(un|sym)?link$|^vfs_(mk|rm)dir$", fn_name="f")
    assert b.num_open_kprobes() == 5
    unlink_in_tmpfs()
    assert counts(b)[0] == 1
    b.cleanup()
    assert num_open_probes() == 0


def test_a_link_of_many(b: BPF) -> None:
    """One link where the kernel has those (5.18), and each can leave it.  Few: elsewhere, to detach one takes long."""
    b.attach_kprobe(event_re="^vfs_(un|o|mk|r).*", fn_name="f")
    open_now = b.num_open_kprobes()
    assert open_now > 8
    assert num_open_probes() == open_now
    before = counts(b)[0]
    unlink_in_tmpfs()
    with_all = counts(b)[0] - before
    assert with_all >= 2, "an open and an unlink at least"
    b.detach_kprobe("vfs_unlink")
    assert b.num_open_kprobes() == open_now - 1
    before = counts(b)[0]
    unlink_in_tmpfs()
    assert counts(b)[0] - before == with_all - 1
    links = {id(each.link) for each in b._all()}
    if has_fprobe():
        assert len(links) < open_now / 4


def test_instruction_pointer_is_a_kprobes(b: BPF) -> None:
    """A program that looks at it gets a probe a function, since one link of many has another."""
    assert not many.same_with_many(b.spec.programs["ip"])
    assert many.same_with_many(b.spec.programs["f"])
    b.attach_kprobe(event_re="^vfs_(un|sym)?link$|^vfs_(mk|rm)dir$|^vfs_mknod$|^vfs_rename$|^vfs_getx.*", fn_name="ip")
    unlink_in_tmpfs()
    assert BPF.ksym(b["place"][0].value) == b"vfs_unlink"


def test_limit(b: BPF, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BCC_PROBE_LIMIT", "3")
    assert BPF.get_probe_limit() == 3
    with pytest.raises(AttachError, match="Number of open probes would exceed global quota"):
        b.attach_kprobe(event_re="^vfs_.*", fn_name="f")
    assert b.num_open_kprobes() == 0


def test_errors(b: BPF) -> None:
    with pytest.raises(
        UnknownNameError, match=r"Failed to attach BPF program f to kprobe vfs_unlnk.*nearest.*vfs_unlink"
    ):
        b.attach_kprobe(event="vfs_unlnk", fn_name="f")
    with pytest.raises(AttachError, match="no function of the kernel that can be probed matches it"):
        b.attach_kprobe(event_re="^no_such_function_here$", fn_name="f")
    blacklisted = Path("/sys/kernel/debug/kprobes/blacklist")
    if blacklisted.exists():
        name = blacklisted.read_text().splitlines()[0].split()[1].encode()
        assert name not in BPF.get_kprobe_functions(b"^" + name + b"$")


def test_offset_into_a_function(b: BPF) -> None:
    with pytest.raises(AttachError, match="Failed to attach BPF program f to kprobe vfs_unlink"):
        b.attach_kprobe(event="vfs_unlink", event_off=100000, fn_name="f")


def test_autoload() -> None:
    text = f"""
BPF_ARRAY(n, u64, 4);
static inline void count(int k) {{ u64 *v = n.lookup(&k); if (v) __sync_fetch_and_add(v, 1); }}
int kprobe__vfs_unlink(struct pt_regs *ctx) {{ {MINE} count(0); return 0; }}
int kretprobe__vfs_unlink(struct pt_regs *ctx) {{ {MINE} count(1); return 0; }}
int kprobe__sys_getpgid(struct pt_regs *ctx) {{ {MINE} count(2); return 0; }}
int syscall__getpgid(struct pt_regs *ctx, int pid) {{ {MINE} if (pid == 1) count(3); return 0; }}
"""
    with bpf(text) as b:
        assert b.num_open_kprobes() == 3
        unlink_in_tmpfs()
        b.attach_kprobe(event=b.get_syscall_fnname("getpgid"), fn_name="syscall__getpgid")
        os.getpgid(1)
        assert counts(b) == [1, 1, 1, 1]


KFUNC = f"""
BPF_ARRAY(n, u64, 4);
static inline void count(int k, u64 by) {{ u64 *v = n.lookup(&k); if (v) __sync_fetch_and_add(v, by); }}
KFUNC_PROBE(vfs_read, struct file *file, char *buf, size_t size) {{ {MINE} count(0, size); return 0; }}
KRETFUNC_PROBE(vfs_read, struct file *file, char *buf, size_t size, loff_t *pos, ssize_t ret)
{{ {MINE} if (ret > 0) count(1, ret); return 0; }}
"""


def test_kfunc_and_kretfunc(tmp_path: Path) -> None:
    assert BPF.support_kfunc()
    (tmp_path / "nine").write_bytes(b"123456789")
    with bpf(KFUNC) as b, (tmp_path / "nine").open("rb", buffering=0) as file:
        start = counts(b)
        file.read(1234)
        assert [now - then for now, then in zip(counts(b)[:2], start[:2], strict=True)] == [1234, 9]
        assert len(b.kfunc_entry_fds) == len(b.kfunc_exit_fds) == 1
        b.detach_kfunc("vfs_read")
        before = counts(b)
        os.lseek(file.fileno(), 0, 0)
        file.read(1000)
        assert [now - then for now, then in zip(counts(b)[:2], before[:2], strict=True)] == [0, 9]
        with pytest.raises(UnknownNameError):
            b.detach_kfunc("vfs_read")
        with pytest.raises(AttachError, match="has been attached"):
            b.attach_kretfunc("vfs_read")


def test_lsm(tmp_path: Path) -> None:
    assert BPF.support_lsm()
    secret, other = tmp_path / "secret", tmp_path / "other"
    secret.write_text("s")
    other.write_text("o")
    text = f"""
LSM_PROBE(file_open, struct file *file) {{ {MINE} return file->f_inode->i_ino == {secret.stat().st_ino} ? -1 : 0; }}
"""
    with bpf(text) as b:
        with pytest.raises(PermissionError):
            secret.read_text()
        assert other.read_text() == "o"
        show = [sys.executable, "-S", "-c", f"print(open({str(secret)!r}).read())"]
        assert subprocess.run(show, capture_output=True, text=True, check=True).stdout == "s\n"
        b.detach_lsm("file_open")
        assert secret.read_text() == "s"


def test_modify_return() -> None:
    """getpgid(2) of this process alone is refused."""
    text = f"KMOD_RET(security_task_getpgid, struct task_struct *p, int ret) {{ {MINE} return ret ? ret : -1; }}"
    assert BPF.support_fmod_ret()
    with bpf(text) as b:
        assert not b.fmod_ret_fds, "it is not attached by its name alone"
        b.attach_fmod_ret("security_task_getpgid")
        assert len(b.fmod_ret_fds) == 1
        with pytest.raises(PermissionError):
            os.getpgid(1)
        b.detach_fmod_ret("security_task_getpgid")
        assert os.getpgid(1) >= 0


def test_iterator() -> None:
    text = r"""
BPF_ITER(task) {
    struct task_struct *task = ctx->task;
    if (!task) return 0;
    BPF_SEQ_PRINTF(ctx->meta->seq, "%d\n", task->pid);
    return 0;
}
"""
    with bpf(text) as b:
        link = b.attach_iter("task")
        seen = link.read().split()  # type: ignore[attr-defined]
        assert str(os.getpid()).encode() in seen
        assert b"1" in seen
        b.detach_iter("task")


def test_unknown_trampoline_target() -> None:
    with pytest.raises(UnknownNameError, match="no_such_function"), bpf("KFUNC_PROBE(no_such_function) { return 0; }"):
        pass

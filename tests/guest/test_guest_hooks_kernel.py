"""Hooks on kernel functions by the section's name, on real kernels that have them."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stingless._gen.uapi import LinkType
from stingless.btf.kernel import kernel_btf
from stingless.btf.types import Kind
from stingless.errors import AttachError, NotSupportedError, StinglessError, UnknownNameError
from stingless.linux import perf_link
from stingless.linux.kernel import LinuxKernel
from stingless.linux.link_refusals import attach_type_known
from tests.hook_support import Hooks
from tests.leak_checks import open_files
from tests.linux_support import unlink_in_tmpfs


@pytest.fixture
def kernel() -> Iterator[LinuxKernel]:
    with LinuxKernel() as k:
        yield k


ME = os.getpid()
COUNT = "{ if (MINE()) hits++; return 0; }"


def has(name: str) -> bool:
    """Whether the kernel's types name the attach type."""
    return bool(attach_type_known(name))


def has_fprobe() -> bool:
    """CONFIG_FPROBE, which kprobe.multi is made of and a distribution may leave out."""
    return any(line.split()[2] == "register_fprobe_ips" for line in Path("/proc/kallsyms").read_text().splitlines())


def has_cookies() -> bool:
    helpers = kernel_btf().find("bpf_func_id", Kind.ENUM)
    assert helpers is not None
    return "BPF_FUNC_get_attach_cookie" in dict(helpers.values)


SECTIONS: tuple[tuple[str, Callable[[], object]], ...] = (
    ("kprobe/vfs_unlink", unlink_in_tmpfs),
    ("kretprobe/vfs_unlink", unlink_in_tmpfs),
    ("kprobe/vfs_unlink+0x0", unlink_in_tmpfs),
    ("ksyscall/getppid", os.getppid),
    ("kretsyscall/getppid", os.getppid),
    ("fentry/vfs_unlink", unlink_in_tmpfs),
    ("fexit/vfs_unlink", unlink_in_tmpfs),
    ("tp/syscalls/sys_enter_getppid", os.getppid),
)


def test_each_fires_until_closed(kernel: LinuxKernel) -> None:
    hooks = Hooks(
        kernel, "\n".join(f'SEC("{name}") int f{i}(void *ctx) {COUNT}' for i, (name, _) in enumerate(SECTIONS))
    )
    kernel.tracefs()
    for i, (section, action) in enumerate(SECTIONS):
        hooks.program(f"f{i}")
        before, seen = open_files(), hooks.hits
        link = hooks.attach(f"f{i}")
        for _ in range(3):
            action()
        assert hooks.hits == seen + 3, section
        link.close()
        action()
        assert hooks.hits == seen + 3, section
        assert open_files() == before, section


def test_arguments_of_a_system_call(kernel: LinuxKernel) -> None:
    """Through the wrapper's registers, which kernels since 4.17 have."""
    hooks = Hooks(
        kernel,
        """
        #include <bpf/bpf_core_read.h>
        SEC("ksyscall/umask") int BPF_KSYSCALL(prog, int mask) { if (MINE()) last = mask; return 0; }
        """,
    )
    hooks.attach()
    before = os.umask(0o321)
    assert hooks.last == 0o321
    os.umask(before)


def test_cookies(kernel: LinuxKernel) -> None:
    if not has_cookies():
        hooks = Hooks(kernel, f'SEC("kprobe/vfs_unlink") int prog(void *ctx) {COUNT}')
        with pytest.raises(NotSupportedError, match=r"a cookie for kprobe:vfs_unlink .*5\.15"):
            hooks.attach(cookie=1)
        return
    hooks = Hooks(
        kernel,
        """
        SEC("kprobe/vfs_unlink") int prog(void *ctx) { if (MINE()) last = bpf_get_attach_cookie(ctx); return 0; }
        """,
    )
    with hooks.attach(cookie=1 << 60) as link:
        unlink_in_tmpfs()
        assert hooks.last == 1 << 60
        assert link.info.type is LinkType.PERF_EVENT


def test_kprobe_multi(kernel: LinuxKernel) -> None:
    if not has("BPF_TRACE_KPROBE_MULTI") or not has_fprobe():
        with pytest.raises(StinglessError, match=r"5\.18"):
            Hooks(kernel, f'SEC("kprobe.multi/vfs_unlink") int prog(void *ctx) {COUNT}').attach()
        return
    hooks = Hooks(
        kernel,
        f"""
        SEC("kprobe.multi/vfs_unlin*") int prog(void *ctx)
        {{ if (MINE()) {{ hits++; last += bpf_get_attach_cookie(ctx); }} return 0; }}
        SEC("kretprobe.multi/vfs_unlink") int ret(void *ctx) {COUNT}
        """,
    )
    with hooks.attach() as link:
        unlink_in_tmpfs()
        assert hooks.hits == 1
        assert link.info.type is LinkType.KPROBE_MULTI
    with hooks.attach(functions=["vfs_unlink", "vfs_getattr"], cookies=[5, 70]):
        unlink_in_tmpfs()
        seen = hooks.last
    assert seen % 70 == 5
    count = hooks.hits
    with hooks.attach("ret"):
        unlink_in_tmpfs()
    assert hooks.hits == count + 1
    unlink_in_tmpfs()
    assert hooks.hits == count + 1
    with pytest.raises(UnknownNameError, match=r"nearest: .*\bvfs_unlink\b"):
        hooks.attach(functions=["vfs_getattr", "vfs_unlinkk"])
    with pytest.raises(UnknownNameError, match="matching the pattern"):
        hooks.attach(pattern="no_such_function_*")
    with pytest.raises(AttachError, match="1 cookies for 2 functions"):
        hooks.attach(functions=["vfs_unlink", "vfs_getattr"], cookies=[1])


def test_kprobe_session(kernel: LinuxKernel) -> None:
    text = f'SEC("kprobe.session/vfs_unlink") int prog(void *ctx) {COUNT}'
    if not has("BPF_TRACE_KPROBE_SESSION") or not has_fprobe():
        with pytest.raises(StinglessError, match=r"6\.10"):
            Hooks(kernel, text).attach()
        return
    hooks = Hooks(kernel, text)
    with hooks.attach():
        unlink_in_tmpfs()
    assert hooks.hits == 2
    unlink_in_tmpfs()
    assert hooks.hits == 2


def test_fentry_arguments_and_cookie(kernel: LinuxKernel, tmp_path: Path) -> None:
    """vfs_read(file, buf, count, pos): 1234 bytes are asked for, 9 are there."""
    cookie = "bpf_get_attach_cookie(ctx)" if has_cookies() else "0"
    hooks = Hooks(
        kernel,
        f"""
        SEC("fentry/vfs_read") int BPF_PROG(prog, void *file, char *buf, unsigned long count)
        {{ if (MINE()) last = count; return 0; }}
        SEC("fexit/vfs_read") int BPF_PROG(end, void *file, char *buf, unsigned long count, void *pos, long ret)
        {{ if (MINE()) last = ret; return 0; }}
        SEC("fexit/vfs_read") int baked(void *ctx) {{ if (MINE()) last = {cookie}; return 0; }}
        """,
    )
    (tmp_path / "nine").write_bytes(b"123456789")

    def read() -> None:
        fd = os.open(tmp_path / "nine", os.O_RDONLY)
        os.read(fd, 1234)
        os.close(fd)

    for name, wanted in (("prog", 1234), ("end", 9)):
        with hooks.attach(name):
            read()
            assert hooks.last == wanted
    if has("BPF_LSM_CGROUP"):  # 6.0, as are the cookies of trampolines
        with hooks.attach("baked", cookie=4711):
            read()
            assert hooks.last == 4711


def test_fmod_ret(kernel: LinuxKernel) -> None:
    """A security hook's function may be given another result: here to getpgid(2) of this process alone."""
    hooks = Hooks(
        kernel,
        'SEC("fmod_ret/security_task_getpgid") int prog(void *ctx) { if (!MINE()) return 0; hits++; return -5; }',
    )
    with hooks.attach(), pytest.raises(OSError, match="Input/output error"):
        os.getpgid(ME)
    assert hooks.hits == 1
    assert os.getpgid(ME) > 0


def test_fsession(kernel: LinuxKernel) -> None:
    text = f'SEC("fsession/vfs_unlink") int prog(void *ctx) {COUNT}'
    if not has("BPF_TRACE_FSESSION"):
        with pytest.raises(StinglessError):
            Hooks(kernel, text).attach()
        return
    hooks = Hooks(kernel, text)
    with hooks.attach():
        unlink_in_tmpfs()
    assert hooks.hits == 2
    unlink_in_tmpfs()
    assert hooks.hits == 2


LSM = """
struct inode { unsigned long i_ino; } __attribute__((preserve_access_index));
struct file { struct inode *f_inode; } __attribute__((preserve_access_index));
SEC("lsm/file_open") int BPF_PROG(prog, struct file *file)
{ if (!MINE() || file->f_inode->i_ino != NUMBER) return 0; hits++; return -1; }
"""


def test_lsm(kernel: LinuxKernel, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s")
    hooks = Hooks(kernel, LSM.replace("NUMBER", str(secret.stat().st_ino)))
    with hooks.attach(), pytest.raises(PermissionError):
        secret.read_text()
    assert hooks.hits == 1
    assert secret.read_text() == "s"


@pytest.fixture
def cgroup() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run(["mount", "-t", "cgroup2", "none", directory], check=True)
        own = Path(directory) / "of-the-test"
        own.mkdir()
        yield own
        own.rmdir()
        subprocess.run(["umount", directory], check=True)


def in_cgroup(cgroup: Path, code: str) -> str:
    with subprocess.Popen(
        [sys.executable, "-S", "-c", f"input()\ntry:\n    {code}\nexcept OSError as e:\n    print(e.errno)"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        (cgroup / "cgroup.procs").write_text(str(child.pid))
        return child.communicate("\n")[0].strip()


def test_lsm_of_a_cgroup(kernel: LinuxKernel, cgroup: Path) -> None:
    text = 'SEC("lsm_cgroup/socket_bind") int prog(void *ctx) { hits++; return 0; }'
    bind = "import socket; socket.socket().bind(('127.0.0.1', 0)); print('bound')"
    if not has("BPF_LSM_CGROUP"):
        with pytest.raises(StinglessError):
            Hooks(kernel, text).attach(cgroup=cgroup)
        return
    hooks = Hooks(kernel, text)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with hooks.attach(cgroup=cgroup) as link:
        assert in_cgroup(cgroup, bind) == "1"
        assert link.info.type is LinkType.CGROUP
    assert hooks.hits == 1
    assert in_cgroup(cgroup, bind) == "bound"
    assert hooks.hits == 1


def test_freplace(kernel: LinuxKernel) -> None:
    """A function of a loaded program, with another body; its own comes back when the link is closed."""
    hooks = Hooks(
        kernel,
        """
        __attribute__((noinline)) int verdict(struct __sk_buff *skb) { volatile int one = 1; return one; }
        SEC("tc") int prog(struct __sk_buff *skb) { return verdict(skb); }
        """,
    )
    other = Hooks(kernel, 'SEC("freplace/verdict") int mine(struct __sk_buff *skb) { hits++; return 7; }')
    target = hooks.program()
    assert target.run(bytes(64)).retval == 1
    other.program("mine", target)
    with other.attach("mine"):
        assert target.run(bytes(64)).retval == 7
    assert other.hits == 1
    assert target.run(bytes(64)).retval == 1
    # Another target than the one it was loaded for: the same object anew.
    second = hooks.kernel.load_program(hooks.spec.programs["prog"], hooks.maps)
    with other.attach("mine", program=second):
        assert (second.run(bytes(64)).retval, target.run(bytes(64)).retval) == (7, 1)
    assert second.run(bytes(64)).retval == 1
    with pytest.raises(UnknownNameError, match=r"nearest: .*verdict"):
        other.attach("mine", program=second, function="verdct")


def test_functions_that_are_not_there(kernel: LinuxKernel) -> None:
    hooks = Hooks(
        kernel,
        f"""
        SEC("kprobe/vfs_unlinkk") int prog(void *ctx) {COUNT}
        SEC("ksyscall/getppidd") int call(void *ctx) {COUNT}
        """,
    )
    with pytest.raises(UnknownNameError, match=r"nearest: .*\bvfs_unlink\b"):
        hooks.attach()
    with pytest.raises(UnknownNameError, match=r"nearest: .*\bgetppid\b"):
        hooks.attach("call")


def test_links_of_perf_events(kernel: LinuxKernel) -> None:
    """5.15 brought them; what is there before has no number."""
    hooks = Hooks(kernel, f'SEC("kprobe/vfs_unlink") int prog(void *ctx) {COUNT}')
    with hooks.attach() as link:
        if perf_link.bpf_links():
            assert link.id > 0
        else:
            with pytest.raises(NotSupportedError):
                link.id  # noqa: B018
    assert perf_link.bpf_links() is has("BPF_PERF_EVENT")


def test_fentry_of_many(kernel: LinuxKernel) -> None:
    text = f"""
    SEC("fentry.multi/vfs_unlin*") int prog(void *ctx) {COUNT}
    SEC("fexit.multi/vfs_unlink") int left(void *ctx) {{ if (MINE()) last += bpf_get_attach_cookie(ctx); return 0; }}
    """
    if not has("BPF_TRACE_FENTRY_MULTI"):
        with pytest.raises(StinglessError):  # it cannot even be loaded: "must provide btf_id"
            Hooks(kernel, text).program()
        return
    hooks = Hooks(kernel, text)
    with hooks.attach() as link:
        unlink_in_tmpfs()
        assert hooks.hits == 1
        assert link.info.type is LinkType.TRACING_MULTI
    with hooks.attach("left", functions=["vfs_unlink", "vfs_rmdir"], cookies=[5, 70]):
        unlink_in_tmpfs()
        assert hooks.last == 5
    unlink_in_tmpfs()
    assert (hooks.hits, hooks.last) == (1, 5)

"""Probes of bcc's dialect on a real kernel that has kprobes, trampolines and BPF LSM: what their arguments say."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from stingless import BPF
from stingless.btf.kernel import kernel_btf
from stingless.btf.types import Kind
from stingless.compile import compile_bcc
from stingless.obj.reader import read_object
from stingless.target.release import kernel_version

HEAD = f"""
#include <linux/fs.h>
#include <linux/sched.h>
#include <net/sock.h>
#define ME ((bpf_get_current_pid_tgid() >> 32) == {os.getpid()})
struct seen_t {{ u64 numbers[10]; char name[32]; char comm[TASK_COMM_LEN]; }};
BPF_ARRAY(seen, struct seen_t, 1);
static inline struct seen_t *here(void) {{ int zero = 0; return seen.lookup(&zero); }}
"""


def numbers_of(text: str, act: Callable[[], object], prepare: Callable[[BPF], object] = lambda _: None) -> list[int]:
    with BPF(text=HEAD + text) as b:
        prepare(b)
        act()
        return list(b["seen"][0].numbers)


def nine_bytes(directory: Path) -> Path:
    path = directory / "nine.txt"
    path.write_bytes(b"123456789")
    return path


def read(path: Path) -> None:
    with path.open("rb", buffering=0) as file:
        file.read(1234)


def test_arguments_of_a_kprobe_and_the_result(tmp_path: Path) -> None:
    path = nine_bytes(tmp_path)
    text = """
    int kprobe__vfs_read(struct pt_regs *ctx, struct file *file, char __user *buf, size_t count) {
        struct seen_t *s = here();
        if (!ME || !s || count != 1234)
            return 0;
        s->numbers[0] = count;
        s->numbers[1] = file->f_inode->i_ino;
        s->numbers[2] = S_ISREG(file_inode(file)->i_mode);
        s->numbers[3] = (u64)buf != 0;
        bpf_probe_read_kernel_str(s->name, sizeof(s->name), (void *)file->f_path.dentry->d_name.name);
        bpf_get_current_comm(s->comm, sizeof(s->comm));
        return 0;
    }
    int kretprobe__vfs_read(struct pt_regs *ctx) {
        struct seen_t *s = here();
        if (ME && s && s->numbers[0] && !s->numbers[4])
            s->numbers[4] = PT_REGS_RC(ctx);
        return 0;
    }
    """
    with BPF(text=HEAD + text) as b:
        read(path)
        found = b["seen"][0]
        assert list(found.numbers)[:5] == [1234, path.stat().st_ino, 1, 1, 9]
        assert found.name == b"nine.txt"
        assert found.comm == Path("/proc/self/comm").read_bytes().strip()


def test_arguments_of_a_system_call(tmp_path: Path) -> None:
    text = """
    int syscall__openat(struct pt_regs *ctx, int dfd, const char __user *filename, int flags, umode_t mode) {
        struct seen_t *s = here();
        if (!ME || !s || mode != 0640)
            return 0;
        s->numbers[0] = dfd;
        s->numbers[1] = flags & O_ACCMODE;
        s->numbers[2] = mode;
        bpf_probe_read_user_str(s->name, sizeof(s->name), filename);
        return 0;
    }
    """
    directory = os.open(tmp_path, os.O_RDONLY)
    with BPF(text=HEAD + text) as b:
        b.attach_kprobe(event=b.get_syscall_fnname("openat"), fn_name="syscall__openat")
        os.close(os.open("made", os.O_CREAT | os.O_WRONLY, 0o640, dir_fd=directory))
        found = b["seen"][0]
        assert (list(found.numbers)[:3], found.name) == ([directory, os.O_WRONLY, 0o640], b"made")
    os.close(directory)


def test_arguments_of_a_trampoline_and_the_result(tmp_path: Path) -> None:
    path = nine_bytes(tmp_path)
    text = """
    KFUNC_PROBE(vfs_read, struct file *file, char *buf, size_t count) {
        struct seen_t *s = here();
        if (ME && s && count == 1234) {
            s->numbers[0] = count;
            s->numbers[1] = file->f_inode->i_ino;
        }
        return 0;
    }
    KRETFUNC_PROBE(vfs_read, struct file *file, char *buf, size_t count, loff_t *pos, int ret) {
        struct seen_t *s = here();
        if (ME && s && count == 1234 && !s->numbers[2])
            s->numbers[2] = ret;
        return 0;
    }
    """
    assert numbers_of(text, lambda: read(path))[:3] == [1234, path.stat().st_ino, 9]


def test_a_trampoline_with_arguments_on_the_stack() -> None:
    if kernel_version() < (6, 6, 0):
        pytest.skip("trampolines read arguments on the stack since Linux 6.6")
    text = """
    KFUNC_PROBE(ip_make_skb, struct sock *sk, struct flowi4 *fl4, void *getfrag, void *from, int length,
                int transhdrlen, struct ipcm_cookie *ipc, void *rtp, void *cork, unsigned int flags) {
        struct seen_t *s = here();
        if (ME && s) {
            s->numbers[0] = length;
            s->numbers[1] = transhdrlen;
            s->numbers[2] = bpf_ntohs(sk->sk_dport);
            s->numbers[3] = flags;
        }
        return 0;
    }
    """

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.connect(("127.0.0.1", 4321))
            one.send(b"12345", socket.MSG_DONTWAIT)

    assert numbers_of(text, send)[:4] == [13, 8, 4321, socket.MSG_DONTWAIT]


def test_headers_of_a_packet_and_its_socket() -> None:
    text = """
    int kprobe__tcp_v4_rcv(struct pt_regs *ctx, struct sk_buff *skb) {
        struct tcphdr *tcp = tcp_hdr(skb);
        struct iphdr *ip = ip_hdr(skb);
        struct seen_t *s = here();
        if (!s || tcp->dest != htons(PORT) || !tcp->syn)
            return 0;
        s->numbers[0] = ip->protocol == IPPROTO_TCP;
        s->numbers[1] = ip->ihl;
        s->numbers[2] = ntohl(ip->daddr) == INADDR_LOOPBACK;
        s->numbers[3] = tcp_hdrlen(skb);
        s->numbers[4] = tcp->ack;
        s->numbers[5] = skb->dev->ifindex;
        return 0;
    }
    int kprobe__tcp_set_state(struct pt_regs *ctx, struct sock *sk, int state) {
        struct seen_t *s = here();
        if (!ME || !s || sk->sk_dport != htons(PORT))
            return 0;
        if (state == TCP_SYN_SENT)
            s->numbers[6] = sk->sk_family;
        s->numbers[7] = inet_sk(sk)->inet_dport == htons(PORT);
        s->numbers[8] = tcp_sk(sk)->inet_conn.icsk_inet.sk.sk_state == sk->__sk_common.skc_state;
        return 0;
    }
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = numbers_of(
            text.replace("PORT", str(port)), lambda: socket.create_connection(("127.0.0.1", port)).close()
        )
        server.accept()[0].close()
    assert found[:3] == [1, 5, 1]
    assert found[3] >= 20
    assert found[4:9] == [0, socket.if_nametoindex("lo"), socket.AF_INET, 1, 1]


def test_an_lsm_hook_denies_one_file_to_this_process(tmp_path: Path) -> None:
    path = nine_bytes(tmp_path)
    text = f"""
    LSM_PROBE(file_open, struct file *file) {{
        return ME && file->f_inode->i_ino == {path.stat().st_ino} ? -EPERM : 0;
    }}
    """
    if not BPF.support_lsm():
        pytest.skip("this kernel was not started with lsm=...,bpf")
    with BPF(text=HEAD + text), pytest.raises(PermissionError):
        path.read_bytes()
    assert path.read_bytes() == b"123456789"


def test_a_function_whose_return_value_is_modified(tmp_path: Path) -> None:
    path = nine_bytes(tmp_path)
    text = f"""
    KMOD_RET(security_file_open, struct file *file, int ret) {{
        return ME && file->f_inode->i_ino == {path.stat().st_ino} ? -EACCES : 0;
    }}
    """
    with BPF(text=HEAD + text) as b:
        b.attach_fmod_ret("security_file_open")
        with pytest.raises(PermissionError):
            path.read_bytes()
    assert path.read_bytes() == b"123456789"


def test_types_of_modules() -> None:
    """Of each module that has BTF, some struct of its own: the size that the program sees is that of its BTF."""
    btf = kernel_btf()
    checked = 0
    for name in btf.modules():
        module = btf.module_btf(name)
        own = (module.type(i) for i in range(len(btf), len(module)))
        struct = next(
            (t for t in own if t.kind is Kind.STRUCT and t.name and btf.find(t.name, Kind.STRUCT) is None), None
        )
        if struct is None or struct.name.startswith("btf_trace"):
            continue
        text = f"u64 f(void *ctx) {{ return sizeof(struct {struct.name}); }}"
        (program,) = read_object(compile_bcc(text, lambda *_: ())).programs.values()
        assert int.from_bytes(program.code[4:8], "little") == struct.size, (name, struct.name)
        checked += 1
        if checked == 3:
            break
    if not checked:
        pytest.skip("no module with BTF is loaded")

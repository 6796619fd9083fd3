"""`BPF`'s attach verbs on the host's kernel: tracepoints, uprobes, perf events, sockets, XDP, cgroups, sock maps; each
filtered to this process, or in a cgroup or network namespace of our own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stingless import BPF
from stingless.bcc import BPFAttachType, Perf, PerfSWConfig, PerfType, lib
from stingless.bcc.attaching import num_open_probes
from stingless.errors import AttachError, CompileError, LoadError, MapError, UnknownNameError
from stingless.linux import scope
from tests.bcc_counts import COUNT, MINE, bpf, counts
from tests.hook_support import c_program
from tests.leak_checks import open_files
from tests.linux_support import IS_ROOT

pytestmark = pytest.mark.skipif(not IS_ROOT, reason="bpf(2) needs root")

PROGRAMS = f"""{COUNT}
int tp(void *ctx) {{ {MINE} count(2); return 0; }}
int sample(struct bpf_perf_event_data *ctx) {{ count(3); return 0; }}
"""


@pytest.fixture
def b() -> Iterator[BPF]:
    with bpf(PROGRAMS) as made:
        yield made


# Tracepoints


def test_tracepoints_by_regular_expression(b: BPF) -> None:
    assert b.attach_tracepoint(tp_re="syscalls:sys_(enter|exit)_getpgid$", fn_name="tp") is b
    assert b.num_open_tracepoints() == 2
    assert set(b.tracepoint_fds) == {b"syscalls:sys_enter_getpgid", b"syscalls:sys_exit_getpgid"}
    os.getpgid(0)
    assert counts(b)[2] == 2
    b.detach_tracepoint(b"syscalls:sys_enter_getpgid")
    os.getpgid(0)
    assert counts(b)[2] == 3
    with pytest.raises(UnknownNameError, match="Failed to attach BPF program tp to tracepoint sched:sched_swich"):
        b.attach_tracepoint("sched:sched_swich", fn_name="tp")


def test_raw_tracepoint() -> None:
    with bpf(f"BPF_ARRAY(n, u64, 1); int raw(void *ctx) {{ {MINE} n.increment(0); return 0; }}") as b:
        b.attach_raw_tracepoint(tp="sys_enter", fn_name="raw")
        os.getpgid(0)
        assert list(b.raw_tracepoint_fds) == [b"sys_enter"]
        b.detach_raw_tracepoint("sys_enter")
        seen = counts(b)[0]
        assert seen > 0
        os.getpgid(0)
        assert counts(b)[0] == seen


def test_tracepoint_names() -> None:
    assert BPF.tracepoint_exists("sched", b"sched_switch")
    assert not BPF.tracepoint_exists("sched", "no_such")
    assert BPF.get_tracepoints(b"sched:sched_swit.*") == ["sched:sched_switch"]


# Uprobes

FUNCTIONS = "\n".join(f"__attribute__((noipa)) int work_{i}(int x) {{ return x + {i}; }}" for i in range(12))
CALLS = "".join(f"work_{i}(1);" for i in range(12))
PROGRAM = f"#include <unistd.h>\n{FUNCTIONS}\nint main() {{ char c; read(0, &c, 1); {CALLS} }}"


@pytest.fixture(scope="module")
def program() -> Iterator[Path]:
    with c_program(PROGRAM) as path:
        yield path


@contextmanager
def waiting(program: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A child that waits for a byte before it calls its functions."""
    with subprocess.Popen([program], stdin=subprocess.PIPE) as child:
        yield child


def finish(child: subprocess.Popen[bytes]) -> None:
    child.communicate(b"x", timeout=20)


@pytest.mark.parametrize("pid", [False, True])
def test_uprobes_by_regular_expression(program: Path, pid: bool) -> None:
    """All at once in one link, or one each for a single process."""
    before = open_files()
    with waiting(program) as child, bpf(COUNT, child.pid) as b:
        where: Any = {"pid": child.pid} if pid else {}
        b.attach_uprobe(name=str(program), sym_re="^work_", fn_name="f", **where)
        b.attach_uretprobe(name=str(program), sym_re=b"^work_1", fn_name="g", **where)
        assert b.num_open_uprobes() == num_open_probes() == 12 + 3
        (place,) = [address for name, address in BPF.get_user_functions_and_addresses(str(program), "^work_7$")]
        b.detach_uprobe(name=str(program), addr=place, **where)
        assert b.num_open_uprobes() == 14
        finish(child)
        assert counts(b)[:2] == [11, 3]
    assert num_open_probes() == 0
    assert open_files() == before


def test_uprobe_by_address_and_offset(program: Path) -> None:
    address = BPF.get_user_addresses(str(program), "^work_3$").pop()
    with waiting(program) as child, bpf(COUNT, child.pid) as b:
        b.attach_uprobe(str(program), addr=address, fn_name="f")
        b.attach_uprobe(str(program), "work_4", fn_name="g", sym_off=0)
        finish(child)
        assert counts(b)[:2] == [1, 1]


def test_uprobe_refused(b: BPF, program: Path) -> None:
    with pytest.raises(UnknownNameError, match="work_5"):
        b.attach_uprobe(str(program), sym="wrk_5", fn_name="f")
    with pytest.raises(AttachError, match="could not determine the place"):
        b.attach_uprobe(str(program), addr=1 << 40, fn_name="f")
    with pytest.raises(ValueError, match="sym_off"):
        b.attach_uprobe(str(program), addr=1, sym_off=4, fn_name="f")


def test_patterns_that_match_nothing(b: BPF, program: Path) -> None:
    with pytest.warns(RuntimeWarning, match=r"no function in .* matches '\^no_such': f is attached to nothing"):
        b.attach_uprobe(str(program), sym_re="^no_such", fn_name="f")
    with pytest.warns(RuntimeWarning, match="no tracepoint matches 'sched:no_such.*': f is attached to nothing"):
        b.attach_tracepoint(tp_re="sched:no_such.*", fn_name="f")


def test_uprobe_quota(b: BPF) -> None:
    with pytest.raises(AttachError, match="Number of open probes would exceed global quota"):
        b.attach_uprobe(name="c", sym_re=".*", fn_name="f")
    assert b.num_open_uprobes() == 0


def test_library_of_a_process() -> None:
    assert BPF.find_library("c") == os.path.realpath(BPF.find_library("c") or b"")
    assert BPF.find_library("no_such_library") is None
    assert BPF.find_exe(b"sh") is not None
    assert BPF.find_exe(b"no-such-program") is None
    assert b"strlen" in BPF.get_user_functions("c", "^strlen$")


# Perf events


def spin(seconds: float) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def test_perf_event_of_a_process_and_its_children(b: BPF) -> None:
    """`pid` counts what it starts, too: the parent sleeps."""
    code = "import subprocess, sys; input(); subprocess.run([sys.executable, '-Sc', 'sum(range(9_000_000))'])"
    with subprocess.Popen([sys.executable, "-Sc", code], stdin=subprocess.PIPE, text=True) as child:
        b.attach_perf_event(
            ev_type=PerfType.SOFTWARE,
            ev_config=PerfSWConfig.TASK_CLOCK,
            fn_name="sample",
            sample_period=1_000_000,
            pid=child.pid,
        )
        child.communicate("\n", timeout=30)
    assert counts(b)[3] > 20
    b.detach_perf_event(PerfType.SOFTWARE, PerfSWConfig.TASK_CLOCK)
    with pytest.raises(UnknownNameError, match="is not attached"):
        b.detach_perf_event(PerfType.SOFTWARE, PerfSWConfig.TASK_CLOCK)


def test_perf_event_by_attr(b: BPF) -> None:
    attr = Perf.perf_event_attr()
    attr.type, attr.config, attr.sample_period = PerfType.SOFTWARE, PerfSWConfig.CPU_CLOCK, 1_000_000
    b.attach_perf_event_raw(attr=attr, fn_name=b"sample", pid=os.getpid())
    assert list(b.open_perf_events) == [(PerfType.SOFTWARE, PerfSWConfig.CPU_CLOCK)]
    spin(0.2)
    b.detach_perf_event(ev_type=PerfType.SOFTWARE, ev_config=PerfSWConfig.CPU_CLOCK)
    seen = counts(b)[3]
    assert seen > 30
    spin(0.05)
    assert counts(b)[3] == seen
    with pytest.raises(AttributeError, match="no_such_field"):
        attr.no_such_field = 1


def test_perf_event_needs_one_rate(b: BPF) -> None:
    with pytest.raises(AttachError, match="sample_period or a sample_freq"):
        b.attach_perf_event(PerfType.SOFTWARE, PerfSWConfig.CPU_CLOCK, "sample", pid=os.getpid())


# Cgroups, sock maps, packets


@pytest.fixture
def cgroup() -> Iterator[Path]:
    path, why = scope.create_cgroup()
    if path is None:
        pytest.skip(why)
    yield path
    path.rmdir()


def test_attach_func_to_a_cgroup(cgroup: Path) -> None:
    text = "int deny(struct bpf_sock_addr *ctx) { return 0; }"
    code = "import socket; input(); s = socket.socket(2, 2); s.connect(('127.0.0.1', 9)); print('connected')"

    def result() -> str:
        with subprocess.Popen(
            [sys.executable, "-Sc", code], stdin=subprocess.PIPE, stdout=-1, stderr=-1, text=True
        ) as child:
            (cgroup / "cgroup.procs").write_text(str(child.pid))
            out, err = child.communicate("\n", timeout=20)
        return out.strip() or err.strip().splitlines()[-1]

    fd = os.open(cgroup, os.O_RDONLY)
    try:
        with bpf(text) as b:
            fn = b.load_func("deny", BPF.CGROUP_SOCK_ADDR, None, BPFAttachType.CGROUP_INET4_CONNECT)
            assert result() == "connected"
            b.attach_func(fn, fd, BPFAttachType.CGROUP_INET4_CONNECT)
            assert result().startswith("PermissionError")
            b.detach_func(fn, fd, BPFAttachType.CGROUP_INET4_CONNECT)
            assert result() == "connected"
            with pytest.raises(UnknownNameError):
                b.detach_func(fn, fd, BPFAttachType.CGROUP_INET4_CONNECT)
            with pytest.raises(AttachError):
                b.attach_func(fn, fd, BPFAttachType.TRACE_FENTRY)
            with pytest.raises(TypeError, match=r"arg 1 must be of type BPF\.Function"):
                b.attach_func("deny", fd, BPFAttachType.CGROUP_INET4_CONNECT)  # type: ignore[arg-type]
    finally:
        os.close(fd)


def test_attach_func_to_a_sock_map() -> None:
    text = """
BPF_SOCKHASH(sockets, u32, 8);
BPF_ARRAY(n, u64, 1);
int verdict(struct sk_msg_md *msg) { n.increment(0); return SK_PASS; }
"""
    with bpf(text) as b, socket.create_server(("127.0.0.1", 0)) as server:
        fn = b.load_func("verdict", BPF.SK_MSG)
        map_fd = lib.bpf_table_fd(b.module, b"sockets")
        assert map_fd > 0
        b.attach_func(fn, map_fd, BPFAttachType.SK_MSG_VERDICT)
        with socket.create_connection(server.getsockname()) as near, server.accept()[0] as far:
            b["sockets"].map.update((1).to_bytes(4, "little"), near.fileno().to_bytes(4, "little"))
            near.sendall(b"hello")
            assert far.recv(5) == b"hello"
        assert counts(b) == [1]
        b.detach_func(fn, map_fd, BPFAttachType.SK_MSG_VERDICT)


def in_new_namespace(code: str) -> str:
    """What a script prints in a network namespace of its own, where the loopback interface is up."""
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$0" -c "$1"', sys.executable, code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_xdp_takes_the_place_of_another() -> None:
    code = """
import socket, time
from stingless.bcc import BPF
b = BPF(text='''BPF_ARRAY(n, u64, 2);
int first(struct xdp_md *ctx) { n.increment(0); return XDP_PASS; }
int second(struct xdp_md *ctx) { n.increment(1); return XDP_PASS; }''')
def sent():
    with socket.socket(2, 2) as s:
        s.sendto(b"x", ("127.0.0.1", 9))
    return [min(v.value, 1) for v in b["n"].values()]
b.attach_xdp("lo", b.load_func("first", BPF.XDP), BPF.XDP_FLAGS_SKB_MODE)
print(sent())
BPF.attach_xdp(b"lo", b.load_func("second", BPF.XDP), BPF.XDP_FLAGS_SKB_MODE)
print(sent())
try:
    b.attach_xdp("lo", b.load_func("first", BPF.XDP), BPF.XDP_FLAGS_SKB_MODE | BPF.XDP_FLAGS_UPDATE_IF_NOEXIST)
except Exception as e:
    print(type(e).__name__)
BPF.remove_xdp("lo", 0)
b["n"].clear()
print(sent())
b.remove_xdp("lo")
"""
    assert in_new_namespace(code).splitlines() == ["[1, 0]", "[1, 1]", "AttachError", "[0, 0]"]


def test_raw_socket_delivers_what_the_filter_lets_through() -> None:
    code = """
import os, socket, select
from stingless.bcc import BPF
b = BPF(text='''#include <bcc/proto.h>
int udp_only(struct __sk_buff *skb) {
    u8 *cursor = 0;
    struct ethernet_t *eth = cursor_advance(cursor, sizeof(*eth));
    if (eth->type != 0x0800) return 0;
    struct ip_t *ip = cursor_advance(cursor, sizeof(*ip));
    return ip->nextp == 17 ? -1 : 0;
}''')
fn = b.load_func("udp_only", BPF.SOCKET_FILTER)
BPF.attach_raw_socket(fn, "lo")
with socket.socket(2, 2) as s:
    s.sendto(b"it is UDP", ("127.0.0.1", 9))
select.select([fn.sock], [], [], 5)
print(os.read(fn.sock, 2048)[-9:].decode())
"""
    assert in_new_namespace(code) == "it is UDP\n"


# Functions and errors


def test_load_func(b: BPF) -> None:
    fn = b.load_func(b"f", BPF.KPROBE)
    assert fn is b.load_func("f", BPF.KPROBE)
    assert (fn.name, fn.bpf, isinstance(fn, BPF.Function), fn.fd > 0) == (b"f", b, True, True)
    assert b.funcs == {b"f": fn}
    with pytest.raises(UnknownNameError, match="no_such"):
        b.load_func("no_such", BPF.KPROBE)


def test_refused_program_is_named() -> None:
    with bpf("int bad(struct pt_regs *ctx) { return *(int *)(ctx + 1); }") as b:
        with pytest.raises(LoadError, match="Failed to load BPF program bad") as refused:
            b.load_func("bad", BPF.KPROBE)
        assert isinstance(refused.value, OSError)


def test_no_ring_buffer_to_poll(b: BPF) -> None:
    with pytest.raises(MapError, match="No ring buffers to poll"):
        b.ring_buffer_poll()
    b.perf_buffer_poll(timeout=0)


def test_debug_flags(capfd: pytest.CaptureFixture[str]) -> None:
    with bpf("BPF_HASH(h, int); int f(void *ctx) { int k = 7; h.increment(k); return 42; }", debug=0x3F) as b:
        b.load_func("f", BPF.KPROBE)
    err = capfd.readouterr().err
    assert "processed " in err, "the verifier's log ends so"
    assert "R10=fp0" in err
    assert "r0 = 42" in err
    assert "; main.c:1: BPF_HASH(h, int)" in err
    assert "define " in err and "@f(" in err, "LLVM IR"
    assert "int f(void *ctx)" in err


def test_disassembly_names_the_table(b: BPF) -> None:
    fd = lib.bpf_table_fd(b.module, "n")
    assert f"<map at fd #{fd}>" in b.disassemble_func("f")
    assert len(b.dump_func("f")) == 8 * (len(b.disassemble_func(b"f").splitlines()) - 1)


def test_source_beside_the_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "program.c").write_text("int beside(void *ctx) { return 0; }")
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "script.py")])
    b = BPF(src_file=b"program.c")
    assert list(b.spec.programs) == ["beside"]
    b.cleanup()
    with pytest.raises(FileNotFoundError, match="Could not find file"):
        BPF(src_file="absent.c")


def test_empty_text_is_a_bpf_that_answers() -> None:
    b = BPF(text="")
    assert b.get_syscall_fnname("clone").endswith(b"_sys_clone")
    assert len(b) == 0
    b.cleanup()


def test_compile_error_names_the_module() -> None:
    with pytest.raises(CompileError, match=r"main\.c:1"):
        BPF(text=b"int f(void *ctx) { return no_such_thing; }")

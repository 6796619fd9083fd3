"""Tables of bcc's dialect on Linux: a test a method that runs the program and looks at what it did."""

from __future__ import annotations

import errno
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from stingless._gen.uapi import AttachType, ProgramType
from stingless._sys.perf_event import perf_event_open
from stingless.compile.dialect.tables import METHODS
from stingless.embedded.kernel import EmbeddedKernel
from stingless.errors import LoadError, UnknownNameError, VerifierError
from stingless.events import Cgroup, Sockmap
from stingless.kernel import EventOptions, Kernel
from stingless.linux import scope
from stingless.linux.kernel import LinuxKernel
from tests import table_cases
from tests.leak_checks import open_files
from tests.table_cases import PACKET, Case, Tables, returned

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="bpf(2) needs root")
RAW, XDP, CLS = ProgramType.RAW_TRACEPOINT, ProgramType.XDP, ProgramType.SCHED_CLS


@pytest.fixture
def kernel() -> Iterator[LinuxKernel]:
    with LinuxKernel() as made:
        yield made


@pytest.fixture(params=[LinuxKernel, EmbeddedKernel])
def either(request: pytest.FixtureRequest) -> Iterator[Kernel]:
    made: Kernel = request.param()
    try:
        yield made
    finally:
        made.close()


def key(number: int) -> bytes:
    return number.to_bytes(4, "little")


def number(value: bytes | None) -> int:
    assert value is not None
    return int.from_bytes(value, "little")


@pytest.mark.parametrize(
    "case", table_cases.METHODS + table_cases.TABLES + table_cases.TEXTS, ids=lambda case: case.name
)
def test_what_programs_see(case: Case, kernel: LinuxKernel) -> None:
    assert returned(kernel, case) == case.value


# Events


def records(tables: Tables, name: str = "t") -> list[bytes]:
    with_events = tables.maps[name].open_events(EventOptions())
    try:
        tables.run()
        return [record.data for record in with_events.poll(1000)]
    finally:
        with_events.close()


def test_perf_submit(either: Kernel) -> None:
    text = "BPF_PERF_OUTPUT(t);\nint f(struct __sk_buff *skb) { u64 v = 5; return t.perf_submit(skb, &v, sizeof(v)); }"
    with Tables(either, text) as tables:
        (record,) = records(tables)
        assert record[:8] == (5).to_bytes(8, "little")


def test_perf_submit_skb(kernel: LinuxKernel) -> None:
    text = "BPF_PERF_OUTPUT(t);\nint f(struct __sk_buff *skb) { u64 v = 5; return t.perf_submit_skb(skb, 20, &v, 8); }"
    with Tables(kernel, text) as tables:
        (record,) = records(tables)
        # A socket filter's packet begins after the Ethernet header.
        assert record[:28] == (5).to_bytes(8, "little") + PACKET[14:34]


RING = """
struct event { u32 a, b; };
BPF_RINGBUF_OUTPUT(t, 1);
int f(struct __sk_buff *skb) {
    struct event e = {1, 2}, *p;
    t.ringbuf_output(&e, sizeof(e), 0);
    p = t.ringbuf_reserve(sizeof(*p));
    if (!p) return 1;
    p->a = 3; p->b = 4;
    t.ringbuf_discard(p, BPF_RB_NO_WAKEUP);
    p = t.ringbuf_reserve(sizeof(*p));
    if (!p) return 1;
    p->a = 5; p->b = 6;
    t.ringbuf_submit(p, 0);
    return 0;
}
"""


def test_ring_buffer_verbs(either: Kernel) -> None:
    with Tables(either, RING) as tables:
        assert records(tables) == [key(1) + key(2), key(5) + key(6)]


# Programs and stacks


def test_call(either: Kernel) -> None:
    text = (
        "BPF_PROG_ARRAY(p, 2);\nint f(struct __sk_buff *skb) { p.call(skb, 1); return 1; }"
        "int g(struct __sk_buff *skb) { return 7; }"
    )
    with Tables(either, text) as tables:
        assert tables.run().retval == 1
        tables.maps["p"].update(key(1), key(tables.load("g", ProgramType.SOCKET_FILTER).fd))
        assert tables.run().retval == 7


@pytest.mark.parametrize(("macro", "frame"), [("BPF_STACK_TRACE", 8), ("BPF_STACK_TRACE_BUILDID", 32)])
def test_get_stackid(macro: str, frame: int, kernel: LinuxKernel) -> None:
    flag = "BPF_F_USER_STACK" if frame == 32 else "0"
    text = f"{macro}(t, 100);\nint f(void *ctx) {{ return t.get_stackid(ctx, {flag}); }}"
    with Tables(kernel, text) as tables:
        stack = tables.run(kind=RAW, data=None).retval
        assert stack < 128
        found = tables.maps["t"].lookup(key(stack))
        assert found is not None and len(found) == 127 * frame
        assert any(found[:frame])


def test_perf_counters(kernel: LinuxKernel) -> None:
    """PERF_COUNT_SW_CPU_CLOCK of each CPU."""
    text = """
    BPF_PERF_ARRAY(t, 4096);
    BPF_ARRAY(out, struct bpf_perf_event_value, 1);
    int read(void *ctx) { return t.perf_read(bpf_get_smp_processor_id()) > 1000; }
    int value(void *ctx) {
        int zero = 0;
        struct bpf_perf_event_value v = {};
        if (t.perf_counter_value(bpf_get_smp_processor_id(), &v, sizeof(v))) return 1;
        out.update(&zero, &v);
        return 0;
    }
    int absent(void *ctx) { return t.perf_read(4000); }
    """
    events = []
    with Tables(kernel, text) as tables:
        try:
            for cpu in os.sched_getaffinity(0):
                events.append(perf_event_open(1, 0, cpu=cpu))
                tables.maps["t"].update(key(cpu), key(events[-1].fileno()))
            assert tables.run("read", RAW, None).retval == 1
            assert tables.run("value", RAW, None).retval == 0
            assert number(tables.maps["out"].lookup(key(0))) & 0xFFFFFFFFFFFFFFFF > 1000
            assert tables.run("absent", RAW, None).retval == 2**32 - errno.ENOENT
        finally:
            for event in events:
                event.close()


# Control groups


@pytest.fixture
def cgroup() -> Iterator[Path]:
    path, why = scope.create_cgroup() if scope.own_cgroup() is not None else (None, "no cgroup v2 hierarchy is mounted")
    if path is None:
        pytest.skip(why)
    yield path
    path.rmdir()


def test_check_current_task(kernel: LinuxKernel, cgroup: Path) -> None:
    text = "BPF_CGROUP_ARRAY(t, 3);\n" + "".join(
        f"int f{i}(void *ctx) {{ return t.check_current_task({i}); }}\n" for i in range(3)
    )
    root = next(parent for parent in cgroup.parents if not (parent.parent / "cgroup.procs").exists())
    with Tables(kernel, text) as tables:
        for i, path in enumerate((root, cgroup)):
            directory = os.open(path, os.O_RDONLY)
            tables.maps["t"].update(key(i), key(directory))
            os.close(directory)
        assert [tables.run(f"f{i}", RAW, None).retval for i in range(3)] == [1, 0, 2**32 - errno.EAGAIN]


@pytest.mark.parametrize("macro", ["BPF_CGROUP_STORAGE", "BPF_PERCPU_CGROUP_STORAGE"])
def test_get_local_storage(macro: str, kernel: LinuxKernel) -> None:
    text = f"""
    {macro}(t, u64);
    int f(struct __sk_buff *skb) {{
        u64 *p = t.get_local_storage(0);
        *p += 3;
        p = t.get_local_storage(0);
        return *p == 3;
    }}
    """
    with Tables(kernel, text) as tables:
        assert tables.run(kind=ProgramType.CGROUP_SKB).retval == 1


# Storage of sockets and tasks


def test_sk_storage(kernel: LinuxKernel) -> None:
    text = """
    BPF_SK_STORAGE(t, u64);
    int f(struct __sk_buff *skb) {
        u64 first = 4, *p;
        struct bpf_sock *sk = skb->sk;
        if (!sk || !(sk = bpf_sk_fullsock(sk))) return 90;
        if (t.sk_storage_get(sk, 0, 0)) return 91;
        p = t.sk_storage_get(sk, &first, BPF_SK_STORAGE_GET_F_CREATE);
        if (!p) return 92;
        *p += 1;
        p = t.sk_storage_get(sk, 0, 0);
        if (!p || *p != 5) return 93;
        if (t.sk_storage_delete(sk)) return 94;
        return t.sk_storage_get(sk, 0, 0) ? 95 : 1;
    }
    """
    with Tables(kernel, text) as tables:
        assert tables.run(kind=CLS).retval == 1


def test_task_storage(kernel: LinuxKernel) -> None:
    text = """
    BPF_TASK_STORAGE(t, u64);
    int f(void *ctx) {
        struct task_struct *task = bpf_get_current_task_btf();
        u64 *p = t.task_storage_get(task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
        if (!p) return 92;
        *p += 5;
        p = t.task_storage_get(task, 0, 0);
        if (!p || *p != 5) return 93;
        if (t.task_storage_delete(task)) return 94;
        return t.task_storage_get(task, 0, 0) ? 95 : 1;
    }
    """
    with Tables(kernel, text) as tables:
        assert tables.run(kind=RAW, data=None).retval == 1


# Redirection


def test_redirect_map(kernel: LinuxKernel) -> None:
    text = "BPF_DEVMAP(dev, 2); BPF_CPUMAP(cpu, 2); BPF_XSKMAP(xsk, 2);\n" + "".join(
        f"int {name}{i}(struct xdp_md *ctx) {{ return {name}.redirect_map({i}, XDP_PASS); }}\n"
        for name in ("dev", "cpu", "xsk")
        for i in range(2)
    )
    with Tables(kernel, text) as tables:
        tables.maps["dev"].update(key(1), key(socket.if_nametoindex("lo")))
        tables.maps["cpu"].update(key(1), key(64))
        found = {name: tables.run(name, XDP).retval for name in ("dev0", "dev1", "cpu0", "cpu1", "xsk0", "xsk1")}
    passed, redirected = 2, 4
    assert found == {
        "dev0": passed,
        "dev1": redirected,
        "cpu0": passed,
        "cpu1": redirected,
        "xsk0": passed,
        "xsk1": passed,
    }


def test_lookup_in_an_xskmap(kernel: LinuxKernel) -> None:
    text = "BPF_XSKMAP(t, 2);\nint f(struct xdp_md *ctx) { int k = 1; return t.lookup(&k) ? 3 : 2; }"
    with Tables(kernel, text) as tables:
        assert tables.run(kind=XDP).retval == 2


SOCKETS = """
struct place { u32 port; };
BPF_SOCKHASH(hash, struct place, 8);
BPF_SOCKMAP(map, 8);
int taken(struct bpf_sock_ops *ops) {
    struct place k = {};
    u32 end = ops->op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB;
    if (!end && ops->op != BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB)
        return 0;
    k.port = ops->local_port;
    hash.sock_hash_update(ops, &k, BPF_NOEXIST);
    map.sock_map_update(ops, &end, BPF_ANY);
    return 0;
}
BPF_ARRAY(runs, u64, 1);
int msg_hash(struct sk_msg_md *msg) {
    struct place k = {};
    k.port = bpf_ntohl(msg->remote_port);
    runs.increment(0);
    return hash.msg_redirect_hash(msg, &k, BPF_F_INGRESS);
}
int msg_map(struct sk_msg_md *msg) { runs.increment(0); return map.msg_redirect_map(msg, 0, BPF_F_INGRESS); }
int skb_hash(struct __sk_buff *skb) {
    struct place k = {};
    k.port = skb->local_port;
    runs.increment(0);
    return hash.sk_redirect_hash(skb, &k, BPF_F_INGRESS);
}
int skb_map(struct __sk_buff *skb) { runs.increment(0); return map.sk_redirect_map(skb, 0, BPF_F_INGRESS); }
"""
TRAFFIC = """
import socket, sys
sys.stdin.readline()
with socket.create_server(("127.0.0.1", 0)) as server:
    client = socket.create_connection(server.getsockname())
    accepted, _ = server.accept()
accepted.settimeout(5)
client.send(b"through the map")
print(accepted.recv(100))
"""


@pytest.mark.parametrize("table", ["hash", "map"])
@pytest.mark.parametrize("kind", [ProgramType.SK_MSG, ProgramType.SK_SKB])
def test_sockets_are_redirected(kind: ProgramType, table: str, kernel: LinuxKernel, cgroup: Path) -> None:
    """The sockets of a child get into the maps when they are connected; what one sends reaches the other by them."""
    message = kind is ProgramType.SK_MSG
    where = AttachType.SK_MSG_VERDICT if message else AttachType.SK_SKB_STREAM_VERDICT
    with Tables(kernel, SOCKETS) as tables, ExitStack() as attached:
        verdict = tables.load(f"{'msg' if message else 'skb'}_{table}", kind, where)
        attached.callback(kernel.attach(verdict, Sockmap(tables.maps[table].fd, where)).close)
        watch = tables.load("taken", ProgramType.SOCK_OPS, AttachType.CGROUP_SOCK_OPS)
        attached.callback(kernel.attach(watch, Cgroup(str(cgroup), AttachType.CGROUP_SOCK_OPS)).close)
        with subprocess.Popen(
            [sys.executable, "-S", "-c", TRAFFIC], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as child:
            (cgroup / "cgroup.procs").write_text(str(child.pid))
            out, _ = child.communicate("\n", timeout=20)
        assert out == "b'through the map'\n"
        assert number(tables.maps["runs"].lookup(key(0))) >= 1


# Maps of maps


@pytest.mark.parametrize("macro", ['BPF_ARRAY_OF_MAPS(t, "first", 2)', 'BPF_HASH_OF_MAPS(t, u32, "first", 2)'])
def test_maps_of_maps(macro: str, kernel: LinuxKernel) -> None:
    text = f"""
    BPF_ARRAY(first, u64, 4); BPF_ARRAY(second, u64, 4);
    {macro};
    int f(struct __sk_buff *skb) {{
        u32 i = 1, k = 2;
        void *inner = t.lookup(&i);
        if (!inner) return 90;
        u64 *p = bpf_map_lookup_elem(inner, &k);
        return p ? *p : 91;
    }}
    """
    with Tables(kernel, text) as tables:
        assert tables.run().retval == 90
        tables.maps["second"].update(key(2), (6).to_bytes(8, "little"))
        tables.maps["t"].update(key(1), key(tables.maps["second"].fd))
        assert tables.run().retval == 6


# Shared tables


PUBLIC = 'BPF_TABLE_{}("hash", u32, u64, told, 8);\nint f(struct __sk_buff *skb) {{ told.increment(3, 5); return 0; }}'
EXTERN = """
BPF_TABLE("extern", u32, u64, told, 8);
int f(struct __sk_buff *skb) { u32 k = 3; u64 *p = told.lookup(&k); return p ? *p : 0; }
"""


@pytest.mark.parametrize("scope_of", ["PUBLIC", "SHARED"])
def test_shared_tables(scope_of: str, either: Kernel) -> None:
    """They live as long as one of the objects that use them."""
    with Tables(either, PUBLIC.format(scope_of)) as first, Tables(either, EXTERN) as second:
        assert second.run().retval == 0
        first.run()
        assert second.run().retval == 5
        first.close()
        with Tables(either, EXTERN) as third:
            assert third.run().retval == 5
        assert second.run().retval == 5
    with pytest.raises(UnknownNameError, match=r"no shared table named 'told'.*BPF_TABLE_PUBLIC"):
        Tables(either, EXTERN)


def test_the_newest_shared_table_counts(either: Kernel) -> None:
    with Tables(either, PUBLIC.format("PUBLIC")) as first, Tables(either, PUBLIC.format("PUBLIC")) as second:
        first.run()
        with Tables(either, EXTERN) as third:
            assert third.run().retval == 0
            second.run()
            assert third.run().retval == 5


# Pinned tables


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    made = tmp_path / "bpffs"
    made.mkdir()
    if subprocess.run(["mount", "-t", "bpf", "bpf", made], check=False, capture_output=True).returncode:
        pytest.skip("no bpffs can be mounted")
    try:
        yield made
    finally:
        subprocess.run(["umount", made], check=True)


PINNED = """
BPF_TABLE_PINNED("hash", u32, u64, t, 8, "{}/a/b/counts");
int f(struct __sk_buff *skb) {{ u32 k = 3; t.increment(3); u64 *p = t.lookup(&k); return p ? *p : 0; }}
"""


def test_pinned_tables(kernel: LinuxKernel, directory: Path) -> None:
    with Tables(kernel, PINNED.format(directory)) as first:
        assert first.run().retval == 1
    assert (directory / "a/b/counts").exists()
    with Tables(kernel, PINNED.format(directory)) as second, Tables(kernel, PINNED.format(directory)) as third:
        assert (second.run().retval, third.run().retval) == (2, 3)
    with Tables(kernel, PINNED.format(directory).replace("t, 8", "t, 20")) as fourth:
        assert fourth.run().retval == 4
    unlike = re.escape("a/b/counts is unlike it: value_size is 8, not 4; remove the pin")
    with pytest.raises(LoadError, match=unlike):
        Tables(kernel, PINNED.format(directory).replace("u32, u64, t", "u32, u32, t"))


def test_a_pin_in_no_bpffs(kernel: LinuxKernel, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="counts"):
        Tables(kernel, PINNED.format(tmp_path))


def test_nothing_stays_open(kernel: LinuxKernel, directory: Path, tmp_path: Path) -> None:
    counts = []
    for _ in range(4):
        with Tables(kernel, PUBLIC.format("PUBLIC")), Tables(kernel, EXTERN), Tables(kernel, PINNED.format(directory)):
            pass
        for text in (EXTERN, PINNED.format(tmp_path)):
            with pytest.raises((UnknownNameError, OSError)):
                Tables(kernel, text)
        counts.append(open_files())
    assert counts[3] == counts[1]


def test_pinned_queues_and_xsk_maps(kernel: LinuxKernel, directory: Path) -> None:
    text = f"""
    BPF_QUEUESTACK_PINNED("queue", q, u32, 4, 0, "{directory}/q");
    BPF_XSKMAP(x, 2, "{directory}/x");
    int push(struct __sk_buff *skb) {{ u32 v = 6; return q.push(&v, 0); }}
    int pop(struct __sk_buff *skb) {{ u32 v = 0; q.pop(&v); return v; }}
    """
    with Tables(kernel, text) as first, Tables(kernel, text) as second:
        assert first.run("push").retval == 0
        assert second.run("pop").retval == 6
    assert (directory / "x").exists()


# What cannot be


def test_every_method_is_tried() -> None:
    """Those of inodes can be used by LSM programs only, in the guest: tests/guest/test_guest_bcc_tables.py."""
    cases = table_cases.METHODS + table_cases.TABLES
    text = Path(__file__).read_text() + " ".join(case.body for case in cases)
    untried = {method for method in METHODS if not re.search(rf"[\w}}]\.{method}\(", text)}
    assert untried == {"inode_storage_get", "inode_storage_delete"}


def test_a_method_of_another_kind_of_table(kernel: LinuxKernel) -> None:
    text = "BPF_HASH(t, u32);\nint f(struct __sk_buff *skb) { u64 v = 1; return t.push(&v, 0); }"
    with Tables(kernel, text) as tables, pytest.raises(VerifierError, match="map_type 1"):
        tables.run()

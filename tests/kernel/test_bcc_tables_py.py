"""bcc's tables on Linux: what they promise everywhere, and the types of maps that only Linux has."""

from __future__ import annotations

import ctypes as ct
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stingless import BPF, MapError, NotSupportedError
from stingless._gen.uapi import MapType
from stingless.bcc import table as tables
from stingless.bcc.tables.hashes import Storage
from stingless.bcc.tables.make import make_table
from stingless.bcc.tables.objects import DevMapHash, SockHash, SockMap
from stingless.cpus import online_cpus
from stingless.kernel import BPF_NOEXIST, Kernel
from stingless.linux.kernel import LinuxKernel
from stingless.obj.spec import MapSpec
from tests.bcc_table_checks import EventTableChecks, TableChecks
from tests.leak_checks import open_files

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="loading programs takes root")


class TestTablesLinux(TableChecks):
    def make(self) -> Kernel:
        return LinuxKernel()


class TestEventTablesLinux(EventTableChecks):
    def make(self) -> Kernel:
        return LinuxKernel()


@pytest.fixture
def kernel() -> Iterator[LinuxKernel]:
    made = LinuxKernel()
    yield made
    made.close()


def table(kernel: Kernel, kind: MapType, key: int, value: int, entries: int = 4, **more: Any) -> Any:
    return make_table(None, kernel.create_map(MapSpec("t", kind, key, value, entries, **more)), name="t")


def test_maps_in_maps(kernel: LinuxKernel) -> None:
    template = MapSpec("inner", MapType.HASH, 4, 4, 8)
    inner = [table(kernel, MapType.HASH, 4, 4, 8) for _ in range(2)]
    for kind, cls in ((MapType.HASH_OF_MAPS, tables.MapInMapHash), (MapType.ARRAY_OF_MAPS, tables.MapInMapArray)):
        outer = table(kernel, kind, 4, 4, inner=template)
        assert type(outer) is cls
        outer[ct.c_int(1)] = ct.c_int(inner[0].get_fd())
        outer[2] = inner[1]
        ids = [each.map.info.id for each in inner]
        assert (outer[1].value, outer[ct.c_int(2)].value) == tuple(ids)
        assert sorted((k.value, v.value) for k, v in outer.items()) == [(1, ids[0]), (2, ids[1])]
        del outer[ct.c_int(1)]
        assert 1 not in outer
        with pytest.raises(MapError):
            outer[1] = outer
        outer.clear()
        assert outer.items() == []


def test_cgroup_array(kernel: LinuxKernel, tmp_path: Path) -> None:
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    directory = next((fields[1] for fields in mounts if fields[2] == "cgroup2"), None)
    if directory is None:
        pytest.skip("there is no cgroup2")
    cgroups = table(kernel, MapType.CGROUP_ARRAY, 4, 4)
    assert type(cgroups) is tables.CgroupArray
    before = open_files()
    cgroups[0] = directory
    cgroups[1] = Path(directory)
    assert open_files() == before
    fd = os.open(directory, os.O_RDONLY)
    cgroups[2] = fd
    os.close(fd)
    for key in (0, 1, 2):
        del cgroups[key]
    with pytest.raises(KeyError):
        del cgroups[2]
    with pytest.raises(FileNotFoundError):
        cgroups[0] = str(tmp_path / "none")


def test_redirection(kernel: LinuxKernel) -> None:
    loopback = socket.if_nametoindex("lo")
    devices = table(kernel, MapType.DEVMAP, 4, 4)
    assert type(devices) is tables.DevMap
    devices[ct.c_int(1)] = ct.c_int(loopback)
    assert [(k.value, v.value) for k, v in devices.items() if v.value] == [(1, loopback)]
    del devices[1]
    assert 1 not in devices
    by_key = table(kernel, MapType.DEVMAP_HASH, 4, 8)
    assert type(by_key) is DevMapHash
    by_key[99] = loopback
    assert [k.value for k in by_key] == [99] and by_key[99].value & 0xFFFFFFFF == loopback
    cpus = table(kernel, MapType.CPUMAP, 4, 4)
    assert type(cpus) is tables.CpuMap
    cpus[0] = 192
    assert cpus[0].value == 192
    cpus.clear()
    assert type(table(kernel, MapType.XSKMAP, 4, 4)) is tables.XskMap


def test_sockets(kernel: LinuxKernel) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        by_index, by_key = table(kernel, MapType.SOCKMAP, 4, 8), table(kernel, MapType.SOCKHASH, 8, 8)
        assert (type(by_index), type(by_key)) == (SockMap, SockHash)
        by_index[1] = client
        by_key[ct.c_ulonglong(7)] = client.fileno()
        cookie = client.getsockopt(socket.SOL_SOCKET, 57, 8)  # SO_COOKIE
        assert by_index[1].value == by_key[7].value == int.from_bytes(cookie, "little")
        assert [k.value for k in by_key] == [7]
        del by_index[1], by_key[7]
        assert 1 not in by_index and len(by_key) == 0


def test_storage(kernel: LinuxKernel) -> None:
    source = """
    #include <linux/bpf.h>
    #include <bpf/bpf_helpers.h>
    struct { __uint(type, BPF_MAP_TYPE_SK_STORAGE); __uint(map_flags, BPF_F_NO_PREALLOC); __type(key, int);
             __type(value, __u64); } sockets SEC(".maps");
    """
    from stingless.compile import compile_text
    from stingless.obj.reader import read_object
    from stingless.programs import LoadedObject

    loaded = LoadedObject(kernel, read_object(compile_text(source)))
    sockets = make_table(None, loaded.maps["sockets"])
    assert type(sockets) is Storage
    with socket.socket() as one:
        assert one.fileno() not in sockets
        sockets[one.fileno()] = 7
        assert sockets[ct.c_int(one.fileno())].value == 7
        del sockets[one.fileno()]
        assert one.fileno() not in sockets
    loaded.close()


STACKS = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct { __uint(type, BPF_MAP_TYPE_STACK_TRACE); __uint(max_entries, 64); __uint(key_size, 4);
         __uint(value_size, 127 * 8); } stacks SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_STACK_TRACE); __uint(max_entries, 64); __uint(key_size, 4);
         __uint(value_size, 20 * 32); __uint(map_flags, BPF_F_STACK_BUILD_ID); } ids SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 4); __type(key, int); __type(value, __s64); }
    found SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); __uint(max_entries, 256); __uint(key_size, 4);
         __uint(value_size, 4); } clock SEC(".maps");

static void keep(int index, __s64 value) { bpf_map_update_elem(&found, &index, &value, 0); }

SEC("raw_tp/sys_enter") int on_call(void *ctx)
{
	struct bpf_perf_event_value value = {};

	if (bpf_get_current_pid_tgid() >> 32 != PROCESS)
		return 0;
	keep(0, bpf_get_stackid(ctx, &stacks, BPF_F_REUSE_STACKID));
	keep(1, bpf_get_stackid(ctx, &ids, BPF_F_USER_STACK | BPF_F_REUSE_STACKID));
	if (!bpf_perf_event_read_value(&clock, BPF_F_CURRENT_CPU, &value, sizeof(value)))
		keep(2, value.counter);
	return 0;
}
char LICENSE[] SEC("license") = "GPL";
"""


@pytest.fixture
def traced(kernel: LinuxKernel, tmp_path: Path) -> Iterator[BPF]:
    from stingless.compile import compile_text

    path = tmp_path / "stacks.o"
    path.write_bytes(compile_text(STACKS.replace("PROCESS", str(os.getpid()))))
    with BPF(object_file=path, kernel=kernel) as bpf:
        yield bpf


def test_stacks(traced: BPF) -> None:
    traced.attach_raw_tracepoint("sys_enter", "on_call")
    os.getppid()
    traced.detach_raw_tracepoint("sys_enter")
    stacks, stack_id = traced["stacks"], traced["found"][0]
    assert type(stacks) is tables.StackTrace and stack_id.value >= 0
    frames = list(stacks.walk(stack_id.value))
    assert 0 < len(frames) <= 127 and all(frames)
    assert frames == [address for address in stacks[ct.c_int(stack_id.value)].ip if address]
    assert list(stacks.walk(stack_id.value, hex)) == [hex(address) for address in frames]
    assert stack_id.value in [key.value for key in stacks] and len(stacks) == len(stacks.items())
    with pytest.raises(KeyError):
        stacks.walk(-14)
    stacks.clear()
    assert stack_id.value in stacks  # as in bcc
    del stacks[stack_id.value]
    assert stack_id.value not in stacks


def test_stacks_by_build_id(traced: BPF) -> None:
    traced.attach_raw_tracepoint("sys_enter", "on_call")
    os.getppid()
    traced.detach_raw_tracepoint("sys_enter")
    ids, stack_id = traced["ids"], traced["found"][1].value
    assert stack_id >= 0
    stack = ids[stack_id]
    frames = list(ids.walk(stack_id))
    statuses = [frame.status for frame in stack.trace]
    wanted = next(
        (at for at, status in enumerate(statuses) if status != tables.StackTrace.BPF_STACK_BUILD_ID_VALID), 20
    )
    assert len(frames) == wanted
    for frame in frames:
        assert any(frame.build_id) and frame.offset == frame.ip
    if stack.trace[0].status == tables.StackTrace.BPF_STACK_BUILD_ID_IP:
        assert stack.trace[0].ip > 1 << 12


def test_perf_counters(traced: BPF) -> None:
    clock = traced["clock"]
    before = open_files()
    clock.open_perf_event(1, 0)  # PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK
    assert open_files() == before + len(online_cpus())
    traced.attach_raw_tracepoint("sys_enter", "on_call")
    seen = []
    for _ in range(2):
        os.getppid()
        seen.append(traced["found"][2].value)
    traced.detach_raw_tracepoint("sys_enter")
    assert seen[0] > 0
    traced["found"].clear()
    start = time.monotonic()
    traced.perf_buffer_poll(50)  # there are counters, but no buffers: it waits all the same
    assert time.monotonic() - start > 0.04
    opened = open_files()
    clock.close_perf_event()
    assert open_files() == opened - len(online_cpus())
    traced.attach_raw_tracepoint("sys_enter", "on_call")
    os.getppid()
    traced.detach_raw_tracepoint("sys_enter")
    assert traced["found"][2].value == 0
    opened = open_files()
    clock.open_perf_event(1, 0, pid=os.getpid())
    del clock[0]
    assert open_files() == opened + len(online_cpus()) - 1
    with pytest.raises(NotSupportedError, match="perf event type 99, config 0x5"):
        clock.open_perf_event(99, 5)
    assert ct.get_errno() == 2


def test_nothing_stays_open(kernel: LinuxKernel, tmp_path: Path) -> None:
    from stingless.compile import compile_text

    path = tmp_path / "stacks.o"
    path.write_bytes(compile_text(STACKS.replace("PROCESS", str(os.getpid()))))
    counts = []
    for _ in range(3):
        with BPF(object_file=path, kernel=kernel) as bpf:
            bpf["clock"].open_perf_event(1, 0)
            bpf["clock"].open_perf_buffer(lambda cpu, data, size: None)
            bpf["clock"].open_perf_buffer(lambda cpu, data, size: None)
        counts.append(open_files())
    assert counts[0] == counts[2]


def test_table_of_a_descriptor(kernel: LinuxKernel) -> None:
    """As scripts do for maps that others pinned: by a descriptor, or in a subclass that sets what it knows."""

    class Pinned(tables.Array):
        def __init__(self, fd: int, keytype: Any, leaftype: Any, max_entries: int) -> None:
            self.map_fd, self.Key, self.Leaf, self.max_entries = fd, keytype, leaftype, max_entries

    made = kernel.create_map(MapSpec("numbers", MapType.ARRAY, 4, 8, 4))
    made.update((2).to_bytes(4, "little"), (7).to_bytes(8, "little"))
    pinned = Pinned(made.fd, ct.c_uint32, ct.c_uint64, 4)
    assert pinned[2].value == 7 and [v.value for v in pinned.values()] == [0, 0, 7, 0]
    pinned[ct.c_int(3)] = ct.c_uint64(9)
    by_fd = tables.Table(None, None, made.fd, ct.c_int, ct.c_longlong, "numbers")
    assert type(by_fd) is tables.Array and by_fd[3].value == 9


def test_user_types_of_another_size(kernel: LinuxKernel) -> None:
    made = kernel.create_map(MapSpec("numbers", MapType.HASH, 8, 8, 4))
    narrow = make_table(None, made, ct.c_uint, ct.c_uint)
    narrow[5] = 6
    assert [(k.value, v.value) for k, v in narrow.items()] == [(5, 6)]
    assert made.lookup((5).to_bytes(8, "little")) == (6).to_bytes(8, "little")
    wide = make_table(None, made, ct.c_ulonglong * 2, ct.c_ulonglong * 2)
    [(key, leaf)] = wide.items()
    assert (list(key), list(leaf)) == ([5, 0], [6, 0])


def test_nothing_is_lost_while_entries_are_taken(kernel: LinuxKernel) -> None:
    """An entry that is replaced is in what was taken, or stays: never neither."""
    import threading

    made = kernel.create_map(MapSpec("counts", MapType.HASH, 4, 8, 256))
    counts = make_table(None, made)
    taken: list[tuple[int, int]] = []
    stop = threading.Event()

    def take() -> None:
        while not stop.is_set():
            taken.extend((key.value, leaf.value) for key, leaf in counts.items_lookup_and_delete_batch())

    thread = threading.Thread(target=take)
    thread.start()
    added = []
    for number in range(3000):
        try:
            made.update((number % 256).to_bytes(4, "little"), number.to_bytes(8, "little"), BPF_NOEXIST)
            added.append((number % 256, number))
        except MapError:
            continue  # it was not taken yet
    stop.set()
    thread.join()
    taken += [(key.value, leaf.value) for key, leaf in counts.items()]
    assert sorted(taken) == sorted(added) and len(added) >= 256

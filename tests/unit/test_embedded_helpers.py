"""Helpers of the embedded kernel.  What both kernels must do alike is compared in tests/kernel."""

from __future__ import annotations

import ctypes
import gc
import os
import re
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stingless._gen.helpers import Helper
from stingless._gen.uapi import ProgramType
from stingless._sys import runtime, runtime_maps
from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction, add_imm, call, encode, exit_, ld_imm64, load, mov, mov_imm, store
from stingless.embedded.helpers import supported_helpers
from stingless.embedded.kernel import EmbeddedKernel
from stingless.obj.spec import ProgramSpec
from tests import helper_programs as programs
from tests.helper_programs import Loaded

EFAULT, EINVAL = -14 & (1 << 64) - 1, -22 & (1 << 64) - 1


@pytest.fixture
def kernel() -> Iterator[EmbeddedKernel]:
    with EmbeddedKernel() as kernel:
        yield kernel


def execute(
    code: list[Instruction], ctx: bytes = b"", task: runtime.Task | None = None, *maps: runtime_maps.Map
) -> int:
    program = runtime.Program(encode(code), ProgramType.KPROBE, runtime.Ring(0), list(maps))
    return program.run_context(ctx, task=task)[0]


def test_every_helper_has_a_name_and_a_number() -> None:
    assert {int(helper) for helper in Helper} >= supported_helpers()
    assert len(supported_helpers()) >= 50


def test_identity_of_the_caller() -> None:
    assert execute([call(Helper.get_current_pid_tgid), exit_()]) == os.getpid() << 32 | threading.get_native_id()
    assert execute([call(Helper.get_current_uid_gid), exit_()]) == os.getgid() << 32 | os.getuid()
    in_thread: list[int] = []
    thread = threading.Thread(
        target=lambda: in_thread.append(execute([call(Helper.get_current_pid_tgid), exit_()]) & 0xFFFFFFFF)
    )
    thread.start()
    thread.join()
    assert in_thread[0] == thread.native_id != os.getpid()


def test_identity_of_a_task() -> None:
    task = runtime.Task(pid=12, tgid=10, uid=1000, gid=100, cpu=0, comm=b"bash", cgroup=77)
    assert execute([call(Helper.get_current_pid_tgid), exit_()], task=task) == 10 << 32 | 12
    assert execute([call(Helper.get_current_uid_gid), exit_()], task=task) == 100 << 32 | 1000
    assert execute([call(Helper.get_current_cgroup_id), exit_()], task=task) == 77
    assert execute([call(Helper.get_smp_processor_id), exit_()], task=task) == 0
    name = [
        mov(1, 10),
        add_imm(1, -16),
        mov_imm(2, 16),
        call(Helper.get_current_comm),
        load(op.DW, 0, 10, -16),
        exit_(),
    ]
    assert execute(name, task=task) == int.from_bytes(b"bash\0\0\0\0", "little")
    name[2] = mov_imm(2, 3)
    assert execute([mov_imm(3, -1), store(op.DW, 10, -16, 3), *name], task=task) == int.from_bytes(
        b"ba\0\xff\xff\xff\xff\xff", "little"
    )


def test_own_name() -> None:
    name = [
        mov(1, 10),
        add_imm(1, -16),
        mov_imm(2, 16),
        call(Helper.get_current_comm),
        load(op.DW, 0, 10, -16),
        exit_(),
    ]
    comm = Path("/proc/thread-self/comm").read_bytes().rstrip(b"\n")
    assert execute(name) == int.from_bytes(comm[:8].ljust(8, b"\0"), "little")


@pytest.mark.parametrize(
    ("helper", "clock"),
    [
        (Helper.ktime_get_ns, time.CLOCK_MONOTONIC),
        (Helper.ktime_get_boot_ns, time.CLOCK_BOOTTIME),
        (Helper.ktime_get_tai_ns, time.CLOCK_TAI),
    ],
)
def test_clocks(helper: Helper, clock: int) -> None:
    before = time.clock_gettime_ns(clock)
    now = execute([call(helper), exit_()])
    assert before <= now <= time.clock_gettime_ns(clock)


def test_random_numbers_differ() -> None:
    found = {execute([call(Helper.get_prandom_u32), exit_()]) for _ in range(100)}
    assert len(found) > 95 and max(found) < 1 << 32


def test_current_task_cannot_be_read() -> None:
    code = [
        call(Helper.get_current_task),
        mov(3, 0),
        mov(1, 10),
        add_imm(1, -8),
        mov_imm(2, 8),
        call(Helper.probe_read_kernel),
        exit_(),
    ]
    assert execute(code) == EFAULT


def read_kernel(address: int, helper: Helper = Helper.probe_read_kernel) -> tuple[int, int]:
    """(result, the 8 bytes that were read)."""
    read = [*ld_imm64(3, address), mov(1, 10), add_imm(1, -8), mov_imm(2, 8), call(helper)]
    seeded = [mov_imm(4, -1), store(op.DW, 10, -8, 4), *read]
    return execute([*seeded, exit_()]), execute([*seeded, load(op.DW, 0, 10, -8), exit_()])


def test_kernel_memory_is_not_this_process() -> None:
    """Only what an execution may see is readable: the interpreter's own process is as secret as unmapped memory."""
    secret = ctypes.create_string_buffer(b"12345678")
    assert read_kernel(ctypes.addressof(secret)) == (EFAULT, 0)
    assert read_kernel(0xFFFF800000000000) == (EFAULT, 0)
    # The same bytes as user memory of the caller's own task.
    assert read_kernel(ctypes.addressof(secret), Helper.probe_read_user) == (0, int.from_bytes(b"12345678", "little"))
    assert read_kernel(8, Helper.probe_read_user) == (EFAULT, 0)
    assert read_kernel(8, Helper.probe_read) == (EFAULT, 0)


def test_kernel_memory_includes_values_and_context() -> None:
    array = runtime_maps.Map(2, 4, 8, 2)
    array.set(b"\1\0\0\0", b"abcdefgh", 0)
    wanted = int.from_bytes(b"abcdefgh", "little")
    assert read_kernel(array.memory + 8) == (0, wanted)
    assert read_kernel(array.memory + 9)[0] == EFAULT  # the last byte is outside
    code = [
        mov(3, 1),
        mov(1, 10),
        add_imm(1, -8),
        mov_imm(2, 8),
        call(Helper.probe_read_kernel),
        load(op.DW, 0, 10, -8),
    ]
    assert execute([*code, exit_()], b"abcdefgh") == wanted
    address = array.memory
    del array
    assert read_kernel(address)[0] == EFAULT


def test_user_string_up_to_unmapped_memory() -> None:
    """A string may end right before memory that cannot be read; one that does not end there is an error."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    page = os.sysconf("SC_PAGESIZE")
    area = libc.mmap(None, 2 * page, 3, 0x22, -1, 0)
    try:
        libc.munmap(area + page, page)
        ctypes.memmove(area + page - 4, b"end\0", 4)
        read = [*ld_imm64(3, area + page - 4), mov(1, 10), add_imm(1, -64), mov_imm(2, 64)]
        assert execute([*read, call(Helper.probe_read_user_str), exit_()]) == 4
        ctypes.memmove(area + page - 4, b"endless", 4)
        assert execute([*read, call(Helper.probe_read_user_str), exit_()]) == EFAULT
    finally:
        libc.munmap(area, page)


def test_for_each_map_elem() -> None:
    """The callback sees each key and value once; returning 1 ends the walk."""
    table = runtime_maps.Map(1, 4, 8, 8)
    for number in range(1, 6):
        table.set(number.to_bytes(4, "little"), (number * 10).to_bytes(8, "little"), 0)

    def walk(stop_after: int) -> tuple[int, int]:
        main = [
            mov_imm(6, 0),
            store(op.DW, 10, -8, 6),
            mov_imm(6, stop_after),
            store(op.DW, 10, -16, 6),
            *ld_imm64(1, table.address),
            *ld_imm64(2, 7, op.PSEUDO_FUNC),
            mov(3, 10),
            add_imm(3, -16),
            mov_imm(4, 0),
            call(Helper.for_each_map_elem),
            load(op.DW, 1, 10, -8),
            exit_(),
        ]
        callback = [
            load(op.W, 1, 2, 0),  # key
            load(op.DW, 2, 3, 0),  # value
            load(op.DW, 5, 4, 8),  # the sum
            Instruction(op.ALU64 | op.ADD | op.X, 5, 1),
            Instruction(op.ALU64 | op.ADD | op.X, 5, 2),
            store(op.DW, 4, 8, 5),
            load(op.DW, 5, 4, 0),  # how many are left
            add_imm(5, -1),
            store(op.DW, 4, 0, 5),
            mov_imm(0, 0),
            Instruction(op.JMP | op.JNE | op.K, 5, 0, 1, 0),
            mov_imm(0, 1),
            exit_(),
        ]
        sum_of = [*main]
        sum_of[-1:] = [mov(0, 1), exit_()]
        sum_of[6:8] = ld_imm64(2, 8, op.PSEUDO_FUNC)
        return execute(main + callback), execute(sum_of + callback)

    assert walk(99) == (5, sum(n + n * 10 for n in range(1, 6)))
    assert walk(2)[0] == 2


FORMATS = [
    ("plain", (), "plain"),
    ("%d %u %x", (-1, -1, 255), "-1 4294967295 ff"),
    ("%ld %lu %lx", (-1, 5, 1 << 40), "-1 5 10000000000"),
    ("%lld %llu %llx", (-(1 << 40), 5, 1 << 40), f"{-(1 << 40)} 5 10000000000"),
    ("%i%%|%5d|%-3d|", (1, 2, 3), "1%|    2|3  |"),
    ("%p", (0x1234,), "0000000000001234"),
    ("%c%c", (104, 105), "hi"),
    ("two\nlines\n", (), "two\nlines"),
]
BAD_FORMATS = ["%f", "%n", "%", "%d %d %d %d", "%5.2d", "%hd", "\x7f", "\x01"]


def printk(kernel: EmbeddedKernel, text: bytes, arguments: tuple[int, ...] = ()) -> int:
    """bpf_trace_printk() of a format in a map, past the verifier."""
    constant = runtime_maps.Map(2, 4, len(text), 1)
    constant.set(bytes(4), text, 0)
    code = [*ld_imm64(1, constant.memory), mov_imm(2, len(text))]
    for register, value in enumerate(arguments, 3):
        code += ld_imm64(register, value & (1 << 64) - 1)
    program = runtime.Program(
        encode([*code, call(Helper.trace_printk), exit_()]), ProgramType.KPROBE, kernel.trace, [constant]
    )
    task = runtime.Task(pid=1234, tgid=1234, cpu=0, comm=b"bash")
    return program.run_context(b"", task=task)[0]


@pytest.mark.parametrize(("text", "arguments", "expected"), FORMATS, ids=[text for text, _, _ in FORMATS])
def test_trace_lines(kernel: EmbeddedKernel, text: str, arguments: tuple[int, ...], expected: str) -> None:
    reader = kernel.open_trace()
    length = printk(kernel, text.encode() + b"\0", arguments)
    assert length == len(expected) + text.endswith("\n")
    first, *more = expected.split("\n")
    line = reader.readline(1000)
    assert line is not None
    match = re.fullmatch(r"( +bash)-1234    \[000\] d\.\.31 ( *[0-9]+\.[0-9]{6}): bpf_trace_printk: (.*)", line)
    assert match, line
    assert len(match[1]) == 16 and match[3] == first
    assert abs(float(match[2]) - time.monotonic()) < 60
    assert [reader.readline(1000) for _ in more] == more
    assert reader.readline(0) is None


@pytest.mark.parametrize("text", BAD_FORMATS)
def test_refused_formats(kernel: EmbeddedKernel, text: str) -> None:
    reader = kernel.open_trace()
    assert printk(kernel, text.encode("latin-1") + b"\0", (1, 2, 3)) == EINVAL
    assert printk(kernel, b"no end") == EINVAL
    assert reader.readline(0) is None


def test_strings_in_trace_lines(kernel: EmbeddedKernel) -> None:
    """%s reads map values and the caller's memory; what cannot be read is an empty string."""
    text = ctypes.create_string_buffer(b"from user space")
    reader = kernel.open_trace()
    printk(kernel, b"[%s] [%s]\0", (ctypes.addressof(text), 8))
    assert (reader.readline(1000) or "").endswith(": [from user space] []")


@pytest.mark.parametrize("name", ["STRTOL", "STRNCMP", "MAPS", "RINGBUF", "DYNPTR", "LOOPS", "ITERATORS", "STRINGS"])
def test_programs_of_the_comparison_run(kernel: EmbeddedKernel, name: str) -> None:
    """Without root, too; the expected words are in tests/kernel."""
    loaded = Loaded(kernel, getattr(programs, name))
    assert loaded.run().retval == 0
    assert any(loaded.out)


def test_snprintf(kernel: EmbeddedKernel) -> None:
    loaded = Loaded(kernel, programs.SNPRINTF)
    name = ctypes.create_string_buffer(b"bee")
    loaded.run(ctx=ctypes.addressof(name).to_bytes(8, "little"))
    texts = [loaded.out[64 + 64 * i : 128 + 64 * i].split(b"\0")[0] for i in range(8)]
    assert texts[0] == b"-5 7 4000000000 beef BEEF"
    assert texts[3] == b"bee % z|     bee|bee     |"
    assert texts[7] == b"1234"
    assert struct.unpack_from("<q", loaded.out, 7 * 8)[0] == len("1234567 8") + 1


def test_cgroup_of_the_caller(kernel: EmbeddedKernel) -> None:
    found = execute([call(Helper.get_current_cgroup_id), exit_()])
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    path = next((line[3:] for line in lines if line.startswith("0::")), None)
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    roots = [fields[4] for fields in mounts if fields[fields.index("-") + 1] == "cgroup2"]
    if path is None or not roots:
        pytest.skip("no cgroup v2 hierarchy is mounted")
    assert found == (Path(roots[0]) / path.lstrip("/")).stat().st_ino


def test_per_cpu_values_of_concurrent_runs_are_not_lost(kernel: EmbeddedKernel) -> None:
    """Runs on one CPU exclude each other, so that a plain increment of a per-CPU value is enough."""
    text = """
    MAP(hits, PERCPU_ARRAY, __u32, __u64, 1);
    SEC("raw_tp") int prog(void *ctx) {
        __u32 key = 0; __u64 *value = bpf_map_lookup_elem(&hits, &key);
        if (value) for (int i = 0; i < 20; i++) *(volatile __u64 *)value += 1;
        return 0;
    }
    """
    loaded = Loaded(kernel, text)
    threads = [threading.Thread(target=lambda: loaded.program.run(repeat=20000)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = loaded.maps["hits"].lookup(bytes(4)) or b""
    assert sum(struct.unpack(f"<{len(total) // 8}Q", total)) == 4 * 20000 * 20


def test_socket_filter_returns_32_bits(kernel: EmbeddedKernel) -> None:
    spec = ProgramSpec("f", "socket", ProgramType.SOCKET_FILTER, encode([mov_imm(0, -1), exit_()]))
    assert kernel.load_program(spec, {}).run(bytes(20)).retval == 0xFFFFFFFF


def test_timers_end_with_their_program(kernel: EmbeddedKernel) -> None:
    """Called back by a thread of the runtime; what is armed still when the program and its map go is never called."""
    loaded = Loaded(kernel, programs.TIMER)
    loaded.run(bytes(64))
    deadline = time.monotonic() + 5
    while struct.unpack_from("<q", loaded.out, 16 * 8)[0] < 3 and time.monotonic() < deadline:
        time.sleep(0.005)
    assert struct.unpack_from("<3q", loaded.out, 16 * 8) == (3, 77, 7)
    fresh = Loaded(kernel, programs.TIMER)
    fresh.run(bytes(64))
    fresh.program.close()
    for each in fresh.maps.values():
        each.close()
    del fresh
    gc.collect()
    time.sleep(0.01)

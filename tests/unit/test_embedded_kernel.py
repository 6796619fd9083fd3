"""The embedded kernel's programs: contexts, packets, refusals, life and death."""

from __future__ import annotations

import errno
import gc
import struct
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stingless._gen.uapi import MapType, ProgramType
from stingless._sys import runtime
from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction, encode, exit_, load, mov_imm
from stingless.embedded import ctx_access
from stingless.embedded.kernel import EmbeddedKernel
from stingless.errors import AttachError, ClosedError, LoadError, NotSupportedError, UnknownNameError
from stingless.events import Kprobe, Tracing, Xdp
from stingless.kernel import Kernel
from stingless.obj.spec import MapRef, MapSpec, ProgramSpec
from tests.helper_programs import Loaded

RETURN_1 = encode([mov_imm(0, 1), exit_()])


@pytest.fixture
def kernel() -> Iterator[EmbeddedKernel]:
    with EmbeddedKernel() as kernel:
        yield kernel


def program(type: ProgramType, code: bytes = RETURN_1, **changes: object) -> ProgramSpec:
    return replace(ProgramSpec("p", "section", type, code), **changes)  # type: ignore[arg-type]


def test_it_is_a_kernel(kernel: EmbeddedKernel) -> None:
    as_protocol: Kernel = kernel
    assert as_protocol.name == "embedded"


@pytest.mark.parametrize("type", [ProgramType.KPROBE, ProgramType.TRACEPOINT, ProgramType.PERF_EVENT])
def test_tracing_programs_run_on_a_context(kernel: EmbeddedKernel, type: ProgramType) -> None:
    """Which Linux cannot.  Context accesses beyond what was given are refused, not read."""
    code = encode([load(op.DW, 0, 1, 16), exit_()])
    loaded = kernel.load_program(program(type, code), {})
    context = struct.pack("<3Q", 1, 2, 0xABCDEF)
    result = loaded.run(ctx=context)
    assert result.retval == 0xABCDEF and result.ctx == context
    with pytest.raises(LoadError, match="it uses 24 bytes of its context; 16 were given"):
        loaded.run(ctx=context[:16])
    with pytest.raises(LoadError, match="takes a context and no packet"):
        loaded.run(bytes(20), context)


def test_task_of_a_run(kernel: EmbeddedKernel) -> None:
    spec = program(ProgramType.KPROBE, encode([Instruction(op.JMP | op.CALL, imm=14), exit_()]))
    assert kernel.load_program(spec, {}).run(task=runtime.Task(pid=77, tgid=70)).retval == 77


PACKETS = """
struct { long length, meta, second; } out;
SEC("%s") int prog(struct %s *ctx) {
    unsigned char *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
    unsigned char *meta = (void *)(long)ctx->data_meta;
    out.length = end - data;
    out.meta = data - meta;
    if (data + 15 > end) return 9;
    out.second = data[1];
    data[0] = 0xee;
    return 3;
}
"""


@pytest.mark.parametrize(("section", "type"), [("xdp", "xdp_md"), ("tc", "__sk_buff")])
def test_packet_pointers(kernel: EmbeddedKernel, section: str, type: str) -> None:
    loaded = Loaded(kernel, PACKETS % (section, type))
    packet = bytes(range(100, 160))
    result = loaded.run(packet)
    assert result.retval == 3 and result.data == b"\xee" + packet[1:]
    assert struct.unpack("<3q", loaded.out) == (60, 0, 101)
    assert loaded.run(packet[:14]).retval == 9


def test_metadata_before_the_packet(kernel: EmbeddedKernel) -> None:
    loaded = Loaded(kernel, PACKETS % ("xdp", "xdp_md"))
    data = b"meta" + bytes(range(60))
    result = loaded.run(data, struct.pack("<6I", 4, len(data), 0, 0, 0, 0))
    assert struct.unpack_from("<2q", loaded.out) == (60, 4)
    assert result.data == b"meta\xee" + data[5:]
    assert struct.unpack("<6I", result.ctx)[:2] == (4, 64)
    with pytest.raises(LoadError, match="data_end is the length"):
        loaded.run(data, struct.pack("<6I", 4, len(data) + 1, 0, 0, 0, 0))


def test_short_and_long_packets(kernel: EmbeddedKernel) -> None:
    xdp = kernel.load_program(program(ProgramType.XDP), {})
    for data in (None, b"", bytes(13)):
        with pytest.raises(LoadError, match="14 bytes at least") as caught:
            xdp.run(data)
        assert caught.value.errno == errno.EINVAL
    longest = 3520 + 17 * 4096  # a page, and as many fragments as there can be
    assert len(xdp.run(bytes(longest)).data) == longest
    with pytest.raises(LoadError, match="more than 17 fragments"):
        xdp.run(bytes(longest + 1))
    assert xdp.run_packet(bytes(65536), 1) == (1, bytes(65536))  # a source may have larger ones


def test_run_packet_sees_the_link_header(kernel: EmbeddedKernel) -> None:
    code = encode([Instruction(op.ALU64 | op.MOV | op.X, 6, 1), Instruction(op.LD | op.ABS | op.H, imm=12), exit_()])
    loaded = kernel.load_program(program(ProgramType.SOCKET_FILTER, code), {})
    frame = bytes(12) + b"\x08\x06" + bytes(46)
    assert loaded.run_packet(frame, 3) == (0x0806, frame)


def test_context_rewrite_keeps_other_fields() -> None:
    code = bytearray(encode([load(op.W, 2, 1, 0), load(op.W, 3, 1, 4), load(op.W, 4, 1, 12), exit_()]))
    ctx_access.rewrite(code, ProgramType.XDP, [(0, "data"), (1, "data_end")])
    assert bytes(code) == encode([load(op.DW, 2, 1, 192), load(op.DW, 3, 1, 200), load(op.W, 4, 1, 12), exit_()])


def test_repeat(kernel: EmbeddedKernel) -> None:
    text = 'struct { long runs; } out; SEC("raw_tp") int prog(void *ctx) { out.runs++; return 0; }'
    loaded = Loaded(kernel, text)
    result = loaded.program.run(repeat=1000)
    assert int.from_bytes(loaded.out, "little") == 1000 and result.duration_ns < 1_000_000


def test_refused_programs(kernel: EmbeddedKernel) -> None:
    with pytest.raises(LoadError, match="has no type: its section 'section' does not tell one"):
        kernel.load_program(program(ProgramType.UNSPEC), {})
    with pytest.raises(NotSupportedError, match="program type LSM"):
        kernel.load_program(program(ProgramType.LSM), {})
    with pytest.raises(UnknownNameError, match="no map named 'counts'"):
        kernel.load_program(program(ProgramType.XDP, map_refs=(MapRef(0, "counts"),)), {})


def test_program_and_event_must_fit(kernel: EmbeddedKernel) -> None:
    xdp = kernel.load_program(program(ProgramType.XDP), {})
    with pytest.raises(AttachError, match="runs KPROBE programs") as caught:
        kernel.attach(xdp, Kprobe("sys_clone"))
    assert caught.value.errno == errno.EINVAL
    with pytest.raises(AttachError, match="runs XDP programs"):
        kernel.attach(kernel.load_program(program(ProgramType.KPROBE), {}), Xdp("lo"))
    with pytest.raises(NotSupportedError, match="fentry"):
        kernel.attach(xdp, Tracing())


def test_objects_of_another_kernel(kernel: EmbeddedKernel) -> None:
    class Foreign:
        spec = MapSpec("m", MapType.ARRAY, 4, 4, 1)

    with pytest.raises(TypeError, match="of another kernel"):
        kernel.open_events(Foreign())  # type: ignore[arg-type]


def test_tracepoint_format(kernel: EmbeddedKernel) -> None:
    text = kernel.tracepoint_format("syscalls", "sys_enter_openat")
    assert text.startswith("name: sys_enter_openat\n")
    assert "field:int __syscall_nr;\toffset:8;\tsize:4;\tsigned:1;" in text
    assert re_field(text, "filename") == (24, 8)
    assert "field:unsigned long args[6];\toffset:16;\tsize:48;" in kernel.tracepoint_format("raw_syscalls", "sys_enter")
    with pytest.raises(UnknownNameError, match="sys_enter_openat"):
        kernel.tracepoint_format("syscalls", "sys_enter_openatt")


def re_field(text: str, name: str) -> tuple[int, int]:
    (line,) = (line for line in text.splitlines() if f" {name};" in line)
    parts = dict(part.strip().split(":", 1) for part in line.strip().rstrip(";").split(";"))
    return int(parts["offset"]), int(parts["size"])


def test_memory_of_a_closed_map_stays_while_a_program_uses_it(kernel: EmbeddedKernel) -> None:
    loaded = Loaded(kernel, 'struct { long runs; } out; SEC("raw_tp") int prog(void *c) { return ++out.runs; }')
    loaded.maps[".bss"].close()
    assert [loaded.run().retval for _ in range(3)] == [1, 2, 3]


def test_close_frees_everything() -> None:
    kernel = EmbeddedKernel()
    map = kernel.create_map(MapSpec("m", MapType.HASH, 4, 4, 4))
    loaded = kernel.load_program(program(ProgramType.XDP), {})
    memory, code = weakref.ref(map.handle), weakref.ref(loaded.handle)
    kernel.close()
    kernel.close()
    gc.collect()
    assert memory() is None and code() is None
    with pytest.raises(ClosedError):
        map.lookup(bytes(4))
    with pytest.raises(ClosedError):
        loaded.run(bytes(60))
    with pytest.raises(ClosedError):
        kernel.create_map(MapSpec("m", MapType.HASH, 4, 4, 4))


def test_missing_runtime_says_how_to_build_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(runtime, "library_path", lambda: tmp_path / "libstingless-runtime.none.so")
    runtime.library.cache_clear()
    try:
        with pytest.raises(NotSupportedError, match=r"is missing; in a source tree `python hatch_build.py` builds it"):
            EmbeddedKernel()
    finally:
        runtime.library.cache_clear()


def test_probes_answer_for_maps_and_programs(kernel: EmbeddedKernel) -> None:
    answers = {probe.name: probe for probe in kernel.probes()}
    assert answers["map HASH"].supported and answers["map RINGBUF"].supported
    assert answers["program XDP"].supported and answers["program KPROBE"].supported
    for probe in answers.values():
        assert probe.supported or probe.why

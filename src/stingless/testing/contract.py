"""The contract of the `Kernel` protocol, as a test suite that any implementation runs.

    class TestMine(KernelContract):
        @pytest.fixture
        def kernel(self): ...

A difference between two kernels is a bug in the one that is not Linux.
"""

from __future__ import annotations

import errno
import struct
from dataclasses import replace
from typing import Any

import pytest

from stingless._gen.uapi import MapType, ProgramType
from stingless.compile import compile_object
from stingless.cpus import possible_cpus
from stingless.errors import ClosedError, LoadError, MapError, UnknownNameError, VerifierError
from stingless.events import Kprobe, Tracepoint, Xdp
from stingless.kernel import BPF_EXIST, BPF_NOEXIST, Kernel, RunResult
from stingless.obj.reader import read_object
from stingless.obj.spec import MapSpec, ProgramSpec
from stingless.programs import LoadedObject

PACKET = bytes(range(64))
XDP_DROP, XDP_PASS = 1, 2
_HEAD = "#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\n"
_MAP = 'struct {{ __uint(type, BPF_MAP_TYPE_{kind}); __uint(max_entries, {size}); {types} }} {name} SEC(".maps");\n'


def u32(value: int) -> bytes:
    return struct.pack("=I", value)


def u64(value: int) -> bytes:
    return struct.pack("=Q", value)


def map_text(name: str, kind: str, size: int, types: str = "__type(key, u32); __type(value, u64);") -> str:
    """The C declaration of a map."""
    return _MAP.format(name=name, kind=kind, size=size, types=types)


def load(kernel: Kernel, text: str) -> LoadedObject:
    """Compile C (plain, not bcc's dialect) and create its maps."""
    return LoadedObject(kernel, read_object(compile_object(_HEAD + text + 'char _l[] SEC("license") = "GPL";')))


def run(kernel: Kernel, body: str, maps: str = "", data: bytes = PACKET) -> RunResult:
    """Run the body of an XDP program once."""
    loaded = load(kernel, f'{maps}SEC("xdp") int prog(struct xdp_md *ctx) {{ {body} }}')
    try:
        return loaded.program("prog").run(data)
    finally:
        loaded.close()


HASH = MapSpec("hash", MapType.HASH, 4, 8, 4)
ARRAY = MapSpec("array", MapType.ARRAY, 4, 8, 4)


class KernelContract:
    """Subclass it with a fixture `kernel`."""

    # Maps

    def test_hash(self, kernel: Kernel) -> None:
        map = kernel.create_map(HASH)
        assert map.lookup(u32(1)) is None
        map.update(u32(1), u64(10))
        map.update(u32(2), u64(20))
        assert map.lookup(u32(1)) == u64(10)
        assert dict(map.items()) == {u32(1): u64(10), u32(2): u64(20)}
        map.delete(u32(1))
        assert map.lookup(u32(1)) is None
        with pytest.raises(KeyError):
            map.delete(u32(1))
        map.close()

    def test_hash_flags(self, kernel: Kernel) -> None:
        map = kernel.create_map(HASH)
        with pytest.raises(MapError) as missing:
            map.update(u32(1), u64(1), BPF_EXIST)
        assert missing.value.errno == errno.ENOENT
        map.update(u32(1), u64(1), BPF_NOEXIST)
        with pytest.raises(MapError) as there:
            map.update(u32(1), u64(2), BPF_NOEXIST)
        assert there.value.errno == errno.EEXIST
        map.update(u32(1), u64(3), BPF_EXIST)
        assert map.lookup(u32(1)) == u64(3)
        with pytest.raises(MapError) as unknown:
            map.update(u32(1), u64(3), 1 << 20)
        assert unknown.value.errno == errno.EINVAL

    def test_full_hash(self, kernel: Kernel) -> None:
        map = kernel.create_map(HASH)
        for key in range(4):
            map.update(u32(key), u64(key))
        with pytest.raises(MapError) as full:
            map.update(u32(4), u64(4))
        assert full.value.errno == errno.E2BIG
        map.update(u32(3), u64(33))  # one that is there still changes
        map.delete(u32(0))
        map.update(u32(4), u64(4))

    def test_lru_hash_forgets(self, kernel: Kernel) -> None:
        map = kernel.create_map(replace(HASH, type=MapType.LRU_HASH, max_entries=256))
        for key in range(2000):
            map.update(u32(key), u64(key))
        assert map.lookup(u32(1999)) == u64(1999)
        assert 1 <= len(list(map.items())) <= 2000

    def test_array(self, kernel: Kernel) -> None:
        map = kernel.create_map(ARRAY)
        assert [k for k, _ in map.items()] == [u32(k) for k in range(4)]
        map.update(u32(3), u64(7))
        assert map.lookup(u32(3)) == u64(7)
        assert map.lookup(u32(4)) is None
        for key, flags, error in ((4, 0, errno.E2BIG), (0, BPF_NOEXIST, errno.EEXIST)):
            with pytest.raises(MapError) as caught:
                map.update(u32(key), u64(1), flags)
            assert caught.value.errno == error
        with pytest.raises(MapError) as fixed:
            map.delete(u32(0))
        assert fixed.value.errno == errno.EINVAL

    def test_keys_in_turn(self, kernel: Kernel) -> None:
        map = kernel.create_map(HASH)
        assert map.next_key(None) is None
        for key in range(4):
            map.update(u32(key), u64(key))
        seen, key_at = set(), map.next_key(None)
        while key_at is not None:
            seen.add(key_at)
            key_at = map.next_key(key_at)
        assert seen == {u32(k) for k in range(4)}
        assert map.next_key(u32(99)) == map.next_key(None)  # an unknown key starts again

    def test_per_cpu(self, kernel: Kernel) -> None:
        map = kernel.create_map(MapSpec("cpus", MapType.PERCPU_ARRAY, 4, 4, 2))
        assert map.value_bytes == 8 * possible_cpus()
        value = b"".join(u32(7 + cpu) + bytes(4) for cpu in range(possible_cpus()))
        map.update(u32(1), value)
        assert map.lookup(u32(1)) == value

    def test_wrong_sizes_are_told(self, kernel: Kernel) -> None:
        map = kernel.create_map(HASH)
        with pytest.raises((MapError, ValueError), match=r"\b4\b"):
            map.lookup(b"\0")
        with pytest.raises((MapError, ValueError), match=r"\b8\b"):
            map.update(u32(0), b"\0")

    @pytest.mark.parametrize(
        "change",
        [{"max_entries": 0}, {"key_size": 0}, {"value_size": 0}, {"flags": 1 << 30}],
        ids=lambda c: next(iter(c)),
    )
    def test_impossible_maps(self, kernel: Kernel, change: dict[str, Any]) -> None:
        with pytest.raises(LoadError) as caught:
            kernel.create_map(replace(HASH, **change))
        assert caught.value.errno == errno.EINVAL
        assert "hash" in str(caught.value)

    def test_array_keys_have_four_bytes(self, kernel: Kernel) -> None:
        with pytest.raises(LoadError) as caught:
            kernel.create_map(replace(ARRAY, key_size=8))
        assert caught.value.errno == errno.EINVAL

    def test_content_and_freezing(self, kernel: Kernel) -> None:
        map = kernel.create_map(MapSpec(".rodata", MapType.ARRAY, 4, 8, 1, 1 << 7, initial=u64(5), frozen=True))
        assert map.lookup(u32(0)) == u64(5)
        with pytest.raises(MapError) as caught:
            map.update(u32(0), u64(6))
        assert caught.value.errno == errno.EPERM

    def test_closed_map(self, kernel: Kernel) -> None:
        map = kernel.create_map(HASH)
        map.close()
        map.close()
        with pytest.raises(ClosedError):
            map.lookup(u32(0))

    # Programs

    def test_verdict_and_packet(self, kernel: Kernel) -> None:
        result = run(
            kernel,
            "char *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;"
            "if (data + 2 > end) return XDP_DROP; data[1] = data[0] + 7; return XDP_PASS;",
        )
        assert result.retval == XDP_PASS
        assert result.data == bytes([0, 7]) + PACKET[2:]

    def test_packet_bounds(self, kernel: Kernel) -> None:
        body = (
            "char *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;"
            "return data + 100 > end ? XDP_DROP : XDP_PASS;"
        )
        assert run(kernel, body).retval == XDP_DROP
        assert run(kernel, body, data=bytes(200)).retval == XDP_PASS

    @pytest.mark.parametrize(
        ("expression", "value"),
        [
            ("(u32)(x / 0 + 5)", 5),
            ("x % 7", 1000003 % 7),
            ("(u32)((s32)x * -3)", -3000009 & 0xFFFFFFFF),
            ("(u32)(x << 33 >> 33)", 1000003 & 0x7FFFFFFF),
            ("__builtin_bswap32(x)", int.from_bytes((1000003).to_bytes(4, "little"), "big")),
            ("(u32)((s32)(x << 20) >> 8)", (((1000003 << 20 & 0xFFFFFFFF) ^ 1 << 31) - (1 << 31) >> 8) & 0xFFFFFFFF),
        ],
    )
    def test_arithmetic(self, kernel: Kernel, expression: str, value: int) -> None:
        body = f"volatile u64 v = 1000003; u64 x = v; u64 zero = v - 1000003; (void)zero; return {expression};"
        assert run(kernel, body.replace("x / 0", "x / zero")).retval == value

    def test_maps_are_shared(self, kernel: Kernel) -> None:
        text = map_text("counts", "HASH", 8) + (
            'SEC("xdp") int prog(struct xdp_md *ctx) { u32 key = 3; u64 one = 1;'
            "u64 *seen = bpf_map_lookup_elem(&counts, &key); if (seen) __sync_fetch_and_add(seen, 1);"
            "else bpf_map_update_elem(&counts, &key, &one, BPF_ANY); return XDP_PASS; }"
        )
        loaded = load(kernel, text)
        program = loaded.program("prog")
        for _ in range(3):
            program.run(PACKET)
        program.run(PACKET, repeat=10)
        assert loaded.maps["counts"].lookup(u32(3)) == u64(13)
        loaded.maps["counts"].update(u32(3), u64(100))
        program.run(PACKET)
        assert loaded.maps["counts"].lookup(u32(3)) == u64(101)
        loaded.close()

    def test_global_variables(self, kernel: Kernel) -> None:
        text = (
            "volatile u32 seen = 40; const volatile u32 step = 2;"
            'SEC("xdp") int prog(struct xdp_md *ctx) { seen += step; return seen; }'
        )
        loaded = load(kernel, text)
        assert loaded.program("prog").run(PACKET).retval == 42
        assert loaded.maps[".data"].lookup(u32(0)) == u32(42)
        loaded.close()

    def test_sub_programs(self, kernel: Kernel) -> None:
        text = (
            "static __noinline u32 add(u32 a, u32 b) { volatile u32 c = a; return c + b; }"
            'SEC("xdp") int prog(struct xdp_md *ctx) { return add(add(1, 2), add(3, 4)); }'
        )
        loaded = load(kernel, text)
        assert loaded.program("prog").run(PACKET).retval == 10
        loaded.close()

    def test_tail_call(self, kernel: Kernel) -> None:
        text = map_text("jumps", "PROG_ARRAY", 2, "__uint(key_size, 4); __uint(value_size, 4);") + (
            'SEC("xdp") int first(struct xdp_md *ctx) { bpf_tail_call(ctx, &jumps, 1); return 7; }'
            'SEC("xdp") int second(struct xdp_md *ctx) { return 8; }'
        )
        loaded = load(kernel, text)
        first = loaded.program("first")
        assert first.run(PACKET).retval == 7  # an empty slot falls through
        loaded.maps["jumps"].update(u32(1), u32(loaded.program("second").fd))
        assert first.run(PACKET).retval == 8
        loaded.close()

    def test_trace_printk(self, kernel: Kernel) -> None:
        reader = kernel.open_trace()
        run(
            kernel,
            'char ok[] = "ok"; bpf_printk("contract %d %s", 42, ok); return XDP_PASS;',
        )
        while (line := reader.readline(2000)) is not None:
            if "contract" in line:
                break
        assert line is not None and line.endswith("bpf_trace_printk: contract 42 ok")
        reader.close()

    def test_ring_buffer(self, kernel: Kernel) -> None:
        text = map_text("events", "RINGBUF", 4096, "") + (
            'SEC("xdp") int prog(struct xdp_md *ctx) { u64 v = 5; bpf_ringbuf_output(&events, &v, sizeof(v), 0);'
            "u32 *r = bpf_ringbuf_reserve(&events, 4, 0); if (!r) return 0; *r = 6; bpf_ringbuf_submit(r, 0);"
            "r = bpf_ringbuf_reserve(&events, 4, 0); if (r) bpf_ringbuf_discard(r, 0); return XDP_PASS; }"
        )
        loaded = load(kernel, text)
        reader = kernel.open_events(loaded.maps["events"])
        assert reader.poll(0) == []
        loaded.program("prog").run(PACKET)
        assert [r.data for r in reader.poll(1000)] == [u64(5), u32(6)]
        reader.close()
        loaded.close()

    def test_perf_buffer(self, kernel: Kernel) -> None:
        types = "__uint(key_size, 4); __uint(value_size, 4);"
        text = map_text("events", "PERF_EVENT_ARRAY", 0, types) + (
            'SEC("xdp") int prog(struct xdp_md *ctx) { u64 v = 5;'
            "return bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &v, sizeof(v)); }"
        )
        loaded = load(kernel, text)
        reader = kernel.open_events(loaded.maps["events"])
        assert loaded.program("prog").run(PACKET).retval == 0
        (record,) = reader.poll(1000)
        assert record.data[:8] == u64(5) and not record.lost  # Linux pads records to 8 bytes, less 4
        assert 0 <= record.cpu < possible_cpus()
        reader.close()
        loaded.close()

    # The verifier

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ("u32 k = 0; u64 *v = bpf_map_lookup_elem(&m, &k); return *v;", "map_value_or_null"),
            ("u32 k = 0; u64 *v = bpf_map_lookup_elem(&m, &k); return v ? v[1] : 0;", "invalid access to map value"),
            ("return *(char *)(long)ctx->data;", "invalid access to packet"),
            ("u64 x; asm volatile(\"%0 = *(u64 *)(r10 - 520)\" : \"=r\"(x)); return x;", "stack"),
            ("u64 x; asm volatile(\"%0 = r9\" : \"=r\"(x)); return x;", "!read_ok"),
            ("volatile int i = 1; while (i) ; return 0;", "loop|back-edge|too large|complex"),
            ("return *(u32 *)((char *)ctx + 400);", "context|ctx"),
            ("*(volatile u64 *)8 = 1; return 0;", "invalid mem access"),
        ],
    )  # fmt: skip
    def test_refusals(self, kernel: Kernel, body: str, words: str) -> None:
        with pytest.raises(VerifierError, match=words) as caught:
            run(kernel, body, map_text("m", "HASH", 1))
        error = caught.value
        assert error.program == "prog" and error.summary and error.log
        assert error.insn is not None

    @pytest.mark.parametrize(
        "code", [b"", b"\0" * 8, b"\x95" + bytes(7), b"\xff" * 16, b"\x05\x00\xff\xff" + bytes(4), b"\xb7" + bytes(7)]
    )
    def test_malformed_code(self, kernel: Kernel, code: bytes) -> None:
        with pytest.raises(LoadError):
            kernel.load_program(ProgramSpec("bad", "", ProgramType.XDP, code), {})

    def test_program_needs_a_type(self, kernel: Kernel) -> None:
        with pytest.raises(LoadError, match="type"):
            kernel.load_program(
                ProgramSpec("untyped", "", ProgramType.UNSPEC, b"\xb7" + bytes(7) + b"\x95" + bytes(7)), {}
            )

    # Attaching

    def test_program_must_fit_the_event(self, kernel: Kernel) -> None:
        code = b"\xb7" + bytes(7) + b"\x95" + bytes(7)
        program = kernel.load_program(ProgramSpec("packets", "", ProgramType.XDP, code), {})
        for event in (Kprobe("__x64_sys_getpid"), Tracepoint("syscalls", "sys_enter_getpid")):
            with pytest.raises(OSError, match="packets"):
                kernel.attach(program, event)
        program.close()

    def test_unknown_names_get_the_nearest(self, kernel: Kernel) -> None:
        code = b"\xb7" + bytes(7) + b"\x95" + bytes(7)
        tracing = kernel.load_program(ProgramSpec("p", "", ProgramType.TRACEPOINT, code), {})
        with pytest.raises((UnknownNameError, OSError), match="sys_enter_openat"):
            kernel.attach(tracing, Tracepoint("syscalls", "sys_enter_openatt"))
        packets = kernel.load_program(ProgramSpec("p", "", ProgramType.XDP, code), {})
        with pytest.raises((UnknownNameError, OSError), match="nosuch0"):
            kernel.attach(packets, Xdp("nosuch0"))

    def test_closed_program(self, kernel: Kernel) -> None:
        program = kernel.load_program(
            ProgramSpec("p", "", ProgramType.XDP, b"\xb7" + bytes(7) + b"\x95" + bytes(7)), {}
        )
        program.close()
        program.close()
        with pytest.raises(ClosedError):
            program.run(PACKET)

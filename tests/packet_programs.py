"""Programs that do to a packet what a script tells them: an array `script` of operations in, `out` with results.

The same script runs on Linux and on the embedded kernel, and all that can be seen of it is compared.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from typing import Any

from stingless.kernel import Kernel, Map

OPERATIONS = 6

_HEAD = r"""
#define BETWEEN(from, to) ({ long n = (void *)(long)(to) - (void *)(long)(from); asm volatile("" : "+r"(n)); n; })
struct op { int code; int size; unsigned long a, b, c; unsigned char bytes[32]; };
struct seen { long result; unsigned int words[10]; unsigned char bytes[32]; };
struct op script[6];
struct { struct seen seen[6]; unsigned int first, last, length; } out;
"""

SKB = (
    _HEAD
    + r"""
static __noinline int apply(struct __sk_buff *skb, unsigned int i) {
    if (i >= 6) return 0;
    struct op *op = &script[i];
    struct seen *seen = &out.seen[i];
    long r = 0;
    unsigned int size = op->size;
    if (size < 1 || size > 32) size = 32;
    switch (op->code) {
    case 0: r = bpf_skb_load_bytes(skb, op->a, seen->bytes, size); break;
    case 1: r = bpf_skb_load_bytes_relative(skb, op->a, seen->bytes, size, op->b); break;
    case 2: r = bpf_skb_store_bytes(skb, op->a, op->bytes, size, op->b); break;
    case 3: r = bpf_l3_csum_replace(skb, op->a, op->b, op->c, op->size); break;
    case 4: r = bpf_l4_csum_replace(skb, op->a, op->b, op->c, op->size); break;
    case 5: r = bpf_csum_diff((void *)op->bytes, op->a & 28, (void *)op->bytes, op->b & 28, op->c); break;
    case 6: r = bpf_skb_vlan_push(skb, op->a, op->b); break;
    case 7: r = bpf_skb_vlan_pop(skb); break;
    case 8: r = bpf_skb_change_proto(skb, op->a, op->b); break;
    case 9: r = bpf_skb_change_type(skb, op->a); break;
    case 10: r = bpf_skb_change_tail(skb, op->a, op->b); break;
    case 11: r = bpf_skb_change_head(skb, op->a, op->b); break;
    case 12: r = bpf_skb_pull_data(skb, op->a); break;
    case 13: r = bpf_skb_adjust_room(skb, (int)op->a, op->b, op->c); break;
    case 14: r = bpf_csum_level(skb, op->a); break;
    case 15: r = bpf_csum_update(skb, op->a); break;
    case 16: r = bpf_set_hash(skb, op->a); break;
    case 17: bpf_set_hash_invalid(skb); break;
    case 18: r = bpf_redirect(op->a, op->b); break;
    case 19: r = bpf_redirect_peer(op->a, op->b); break;
    case 20: skb->mark = op->a; skb->priority = op->b; skb->cb[3] = op->c; break;
    case 21: skb->tc_classid = op->a; skb->tc_index = op->b; skb->tstamp = op->c; break;
    case 22: skb->queue_mapping = op->a; break;
    case 23: r = bpf_clone_redirect(skb, 0, op->b); break;
    case 24: r = bpf_get_route_realm(skb) + bpf_get_cgroup_classid(skb); break;
    case 25: r = bpf_skb_set_tstamp(skb, op->a, op->b); break;
    case 26: {
        unsigned char *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
        if (data + 40 > end) { r = -1; break; }
        __builtin_memcpy(seen->bytes, data + 8, 32);
        data[20] ^= 0x5a;
        break;
    }
    }
    seen->result = r;
    seen->words[0] = skb->len;
    seen->words[1] = skb->pkt_type | skb->vlan_present << 8;
    seen->words[2] = skb->protocol;
    seen->words[3] = skb->vlan_tci | skb->vlan_proto << 16;
    seen->words[4] = BETWEEN(skb->data, skb->data_end);
    seen->words[5] = skb->hash;
    seen->words[6] = skb->tc_index ^ skb->tc_classid;
    seen->words[7] = skb->queue_mapping;
    seen->words[8] = skb->gso_segs + skb->gso_size * 3 + BETWEEN(skb->data_meta, skb->data);
    seen->words[9] = skb->wire_len + skb->tstamp_type;
    return 0;
}
SEC("tc") int prog(struct __sk_buff *skb) {
    out.length = skb->len;
    out.first = skb->ifindex + (skb->ingress_ifindex << 8);
    for (int i = 0; i < 6; i++) apply(skb, i);
    out.last = skb->mark + skb->priority;
    return script[0].a;
}
"""
)

XDP = (
    _HEAD
    + r"""
static __noinline int apply(struct xdp_md *xdp, unsigned int i) {
    if (i >= 6) return 0;
    struct op *op = &script[i];
    struct seen *seen = &out.seen[i];
    long r = 0;
    unsigned int size = op->size;
    if (size < 1 || size > 32) size = 32;
    switch (op->code) {
    case 0: r = bpf_xdp_load_bytes(xdp, op->a, seen->bytes, size); break;
    case 1: r = bpf_xdp_store_bytes(xdp, op->a, op->bytes, size); break;
    case 2: r = bpf_xdp_adjust_head(xdp, op->a); break;
    case 3: r = bpf_xdp_adjust_tail(xdp, op->a); break;
    case 4: r = bpf_xdp_adjust_meta(xdp, op->a); break;
    case 5: r = bpf_csum_diff((void *)op->bytes, op->a & 28, (void *)op->bytes, op->b & 28, op->c); break;
    case 6: r = bpf_redirect(op->a, op->b); break;
    case 7: {
        unsigned char *data = (void *)(long)xdp->data, *end = (void *)(long)xdp->data_end;
        if (data + 40 > end) { r = -1; break; }
        __builtin_memcpy(seen->bytes, data + 8, 32);
        data[20] ^= 0x5a;
        break;
    }
    case 8: {
        unsigned char *meta = (void *)(long)xdp->data_meta, *data = (void *)(long)xdp->data;
        if (meta + 4 > data) { r = -1; break; }
        seen->bytes[0] = meta[0];
        meta[1] = 0x77;
        break;
    }
    }
    seen->result = r;
    seen->words[0] = bpf_xdp_get_buff_len(xdp);
    seen->words[1] = BETWEEN(xdp->data, xdp->data_end);
    seen->words[2] = BETWEEN(xdp->data_meta, xdp->data);
    return 0;
}
SEC("xdp") int prog(struct xdp_md *xdp) {
    out.first = xdp->ingress_ifindex;
    out.last = xdp->rx_queue_index;
    for (int i = 0; i < 6; i++) apply(xdp, i);
    return script[0].a;
}
"""
)

_OP = struct.Struct("<iiQQQ32s")
Operation = tuple[int, int, int, int, int, bytes]


def script_bytes(operations: list[Operation]) -> bytes:
    nothing: Operation = (-1, 0, 0, 0, 0, b"")
    filled = [*operations, *[nothing] * OPERATIONS][:OPERATIONS]
    return b"".join(
        _OP.pack(code, size, *(n % (1 << 64) for n in (a, b, c)), data) for code, size, a, b, c, data in filled
    )


def _offset(rng: random.Random, length: int) -> int:
    return rng.choice(
        [rng.randrange(length + 2), rng.choice([0, 12, 14, 24, 34, 36, 50]), length, length - 1, 0xFFFF, -1]
    )


def _skb_operation(rng: random.Random, length: int) -> Operation:
    code = rng.randrange(27)
    size = rng.choice([1, 2, 4, 6, 20, 32, rng.randrange(40)])
    a, b, c = rng.getrandbits(32), rng.getrandbits(32), rng.getrandbits(32)
    data = rng.choice([rng.randbytes(32), bytes(32), b"\xff" * 32])
    if code in (0, 1, 2, 3, 4):
        a = _offset(rng, length)
        if code == 1:
            b = rng.randrange(3)
        elif code == 2:
            b = rng.choice([0, 1, 2, 3, 4])
        elif code in (3, 4):
            a &= ~rng.choice([0, 1, 1, 1])
            size = rng.choice([0, 2, 4, 2, 4, 3])
            b = rng.choice([0, b]) if size else 0
            if code == 4:
                size |= rng.choice([0, 0x10, 0x20, 0x60, 0x80, 0x100])
    elif code == 6:
        a, b = rng.choice([0x81, 0xA888, 0]), rng.getrandbits(16)
    elif code == 8:
        a, b = rng.choice([0x0008, 0xDD86, 0x0608]), rng.choice([0, 0, 0, 1])
    elif code == 9:
        a = rng.randrange(6)
    elif code == 10:
        a, b = (
            rng.choice([rng.randrange(2000), length - 3, length + 9, 16064, 16065, 0, 14, 33, 34]),
            rng.choice([0, 0, 0, 7]),
        )
    elif code == 11:
        a, b = rng.choice([rng.randrange(300), 14, 0, 16000, 0xFFFFFFFF]), rng.choice([0, 0, 0, 7])
    elif code == 12:
        a = rng.choice([0, length, length + 1, 14])
    elif code == 13:
        a = rng.choice([20, 40, 8, 28, 50, -20, -4, -20, -40, -14, 4096, -5000, rng.randrange(-80, 200)])
        b = rng.choice([0, 1, 0, 1, 2])
        c = rng.choice(
            [
                0,
                0,
                1,
                2,
                4,
                6,
                2 | 8,
                4 | 16,
                2 | 24,
                32,
                2 | 64 | 14 << 56,
                2 | 8 << 56,
                128,
                256,
                384,
                1 << 20,
                4 | 64,
            ]
        )
    elif code == 14:
        a = rng.randrange(5)
    elif code in (18, 19, 23):
        a, b = rng.randrange(3), rng.choice([0, 0, 1, 2, 4])
    elif code == 22:
        a = rng.choice([0, 1, 7, 65534])  # what is greater, Linux does not store
    elif code == 25:
        a, b = rng.choice([0, a]), rng.randrange(4)
    return code, size, a, b, c, data


def _xdp_operation(rng: random.Random, length: int) -> Operation:
    code = rng.randrange(9)
    size = rng.choice([1, 2, 4, 6, 20, 32, rng.randrange(40)])
    a, b, c = rng.getrandbits(32), rng.choice([0, 0, 1]), rng.getrandbits(32)
    if code in (0, 1):
        a = rng.choice([_offset(rng, length), length - size, max(length - 4096, 0), 3520 - 7, 0x10000])
    elif code == 2:
        a = rng.choice([-4, 14, -256, -216, -20, 20, rng.randrange(-300, 300), length - 14, length])
    elif code == 3:
        a = rng.choice([-4, 10, 1, rng.randrange(-300, 300), 14 - length, -length, 4000, -4096, -5000])
    elif code == 4:
        a = rng.choice([-4, -32, -252, -256, 4, -3, 0, rng.randrange(-70, 70) * 4])
    return code, size, a, b, c, rng.randbytes(32)


def packets(rng: random.Random) -> Iterator[bytes]:
    """Frames as hosts send them, some of them cut or with wrong bytes."""
    while True:
        target = rng.choice([bytes(6), b"\xff" * 6, b"\x01\x00\x5e\x00\x00\x01", b"\x02\x00\x00\x00\x00\x01"])
        payload = rng.randbytes(rng.choice([0, 1, 18, 40, 100, rng.randrange(1400)]))
        kind = rng.choice([6, 17, 1, 58, 132])
        ports = rng.randbytes(4)
        upper = {
            6: ports + rng.randbytes(8) + b"\x50\x18" + rng.randbytes(6),
            17: ports + struct.pack(">HH", 8 + len(payload), rng.getrandbits(16)),
        }
        body = upper.get(kind, rng.randbytes(8)) + payload
        if rng.random() < 0.6:
            proto, network = 0x0800, struct.pack(
                ">BBHHHBBH4s4s", 0x45, 0, 20 + len(body), rng.getrandbits(16), 0, 64, kind, rng.getrandbits(16),
                rng.randbytes(4), rng.randbytes(4),
            )  # fmt: skip
        elif rng.random() < 0.7:
            proto, network = 0x86DD, struct.pack(">IHBB", 6 << 28, len(body), kind, 64) + rng.randbytes(32)
        else:
            proto, network = rng.choice([0x0806, 0x88CC, 0x0026, 0x05FF, 0x0600]), rng.choice([b"", b"\xff\xff"])
        tags = b"".join(
            struct.pack(">HH", rng.choice([0x8100, 0x88A8]), rng.getrandbits(16))
            for _ in range(rng.choice([0, 0, 0, 1, 2]))
        )
        frame = target + rng.randbytes(6) + tags + struct.pack(">H", proto) + network + body
        if rng.random() < 0.1:
            frame = frame[: rng.randrange(len(frame))]
        yield frame


def sk_buff(rng: random.Random, length: int) -> bytes | None:
    """A context for a run, mostly one that the kernel takes."""
    if rng.random() < 0.5:
        return None
    ctx = bytearray(192)
    for at in (8, 32, 36, *range(48, 68, 4), 152, 156, 184, 188):
        if rng.random() < 0.3:
            ctx[at : at + 4] = rng.randbytes(4)
    if rng.random() < 0.3:
        struct.pack_into(
            "<II", ctx, 160, rng.choice([0, length, length + 9, length - 1, 65536, 65537]), rng.choice([0, 3, 65536])
        )
    if rng.random() < 0.2:
        struct.pack_into("<I", ctx, 176, rng.choice([0, 100]))
    if rng.random() < 0.1:
        at = rng.randrange(192)
        ctx[at] |= not 40 <= at < 44  # every interface is there in the embedded kernel
    size = rng.choice([192, 192, 192, 192, 48, 184, 200, 100, 4])
    return bytes(ctx).ljust(size, b"\0")[:size]


def xdp_md(rng: random.Random, length: int) -> bytes | None:
    if rng.random() < 0.5:
        return None
    meta = rng.choice([0, 0, 4, 8, 32, 252, 256, 3])
    end = rng.choice([length, length, length, min(length, 100), length - 1, max(length - 60, 0), length + 1, 10])
    fields = [meta, end, 0, rng.choice([0, 0, 1]), 0, 0]
    if rng.random() < 0.05:
        fields[rng.choice([2, 4, 5])] = 1
    return struct.pack("<6I", *fields)


Case = tuple[bytes, bytes | None, bytes]  # packet, context, script


def cases(seed: int, kind: str, captured: Sequence[bytes] = ()) -> Iterator[Case]:
    """Generated ones, or `captured` frames in turn."""
    rng = random.Random(seed)
    frames = cycle(captured) if captured else packets(rng)
    while True:
        frame = next(frames)
        operation: Callable[[random.Random, int], Operation] = _skb_operation
        if kind == "xdp":
            operation = _xdp_operation
            if rng.random() < 0.1:
                frame += rng.randbytes(rng.choice([2200, 3000, 5000, 9000, 30000]))
        elif rng.random() < 0.02:
            frame += bytes(rng.choice([2200, 3000, 5000]))
        count = rng.randrange(OPERATIONS + 1)
        operations = [operation(rng, len(frame)) for _ in range(count)]
        ctx = (xdp_md if kind == "xdp" else sk_buff)(rng, len(frame))
        yield frame, ctx, script_bytes(operations)


class Runner:
    """One of the two programs on one kernel."""

    def __init__(self, kernel: Kernel, kind: str) -> None:
        from tests.helper_programs import compiled

        spec = compiled(XDP if kind == "xdp" else SKB)
        self.maps: dict[str, Map] = {name: kernel.create_map(each) for name, each in spec.maps.items()}
        (program,) = spec.programs.values()
        self.program = kernel.load_program(program, self.maps)
        self._script = spec.variables["script"].spec
        self._out = spec.variables["out"].spec

    def run(self, case: Case) -> Any:
        """All that can be seen of a run: (errno,) when it was refused."""
        frame, ctx, script = case
        bss = self.maps[".bss"]
        size = bss.value_bytes
        value = bytearray(size)
        value[self._script.offset : self._script.offset + len(script)] = script
        bss.update(bytes(4), bytes(value))
        try:
            result = self.program.run(frame, ctx)
        except OSError as error:
            return (error.errno,)
        after = bss.lookup(bytes(4)) or b""
        out = after[self._out.offset : self._out.offset + self._out.size]
        return result.retval, result.data, result.ctx, out

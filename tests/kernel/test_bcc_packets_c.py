"""Packet headers of bcc's dialect on Linux: what programs write, and the checksums that they keep."""

from __future__ import annotations

import os
import struct

import pytest

from stingless._gen.uapi import ProgramType
from stingless.linux.kernel import LinuxKernel
from tests.packet_headers import CURSOR, ETHERNET, IP, UDP
from tests.table_cases import Tables

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="bpf(2) needs root")


def run(text: str, packet: bytes) -> bytes:
    """The packet after a classifier's run."""
    with LinuxKernel() as kernel, Tables(kernel, text) as tables:
        return tables.run("f", ProgramType.SCHED_CLS, packet).data


@pytest.mark.parametrize(
    ("statement", "offset", "written"),
    [
        ("p->ttl = 7;", 8, b"\x07"),
        ("p->ttl -= 1;", 8, b"\x3f"),
        ("p->ttl--;", 8, b"\x3f"),
        ("--p->ttl;", 8, b"\x3f"),
        ("p->tos |= 3;", 1, b"\xc3"),
        ("p->ttl <<= 1;", 8, b"\x80"),
        ("p->hlen = 7;", 0, b"\x47"),
        ("p->ver = p->hlen + 1;", 0, b"\x65"),
        ("p->df = 0;", 6, b"\x20\x0a"),
        ("p->foffset = 0x1fff;", 6, b"\x7f\xff"),
        ("p->tlen = 0x0102;", 2, b"\x01\x02"),
        ("p->src = p->dst;", 12, b"\x0a\x00\x00\xfe"),
        ("p->src = p->dst = 0x01020304;", 12, b"\x01\x02\x03\x04\x01\x02\x03\x04"),
        ("if (p->ttl > 1) p->ttl = max(p->ttl, 70);", 8, b"\x46"),
    ],
)
def test_stores(statement: str, offset: int, written: bytes) -> None:
    text = (
        "#define max(a, b) ((a) > (b) ? (a) : (b))\n" + CURSOR + "cursor += sizeof(struct ethernet_t);"
        f"struct ip_t *p = cursor_advance(cursor, sizeof(*p)); {statement} return 0; }}"
    )
    expected = bytearray(IP)
    expected[offset : offset + len(written)] = written
    assert run(text, ETHERNET + IP) == ETHERNET + expected


def checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def test_checksums() -> None:
    """An address is replaced, with the checksum of the IP header and of the UDP datagram."""
    ip = IP[:10] + bytes(2) + IP[12:]
    ip = ip[:10] + checksum(ip).to_bytes(2, "big") + ip[12:]

    def sum_of(header: bytes) -> int:
        return checksum(header[12:] + bytes([0, 17]) + UDP[4:6] + UDP[:6] + bytes(2))

    udp = UDP[:6] + sum_of(ip).to_bytes(2, "big")
    text = CURSOR + (
        "struct ethernet_t *e = cursor_advance(cursor, sizeof(*e));"
        "struct ip_t *ip = cursor_advance(cursor, sizeof(*ip));"
        "struct udp_t *udp = cursor_advance(cursor, sizeof(*udp)); u32 old = ip->src, new = 0xc0a80105;"
        "incr_cksum_l4(&udp->crc, old, new, 1); incr_cksum_l3(&ip->hchecksum, old, new); ip->src = new; return 0; }"
    )
    data = run(text, ETHERNET + ip + udp)
    changed = data[14:34]
    assert changed[12:16] == bytes.fromhex("c0a80105")
    assert checksum(changed) == 0
    assert data[-2:] == sum_of(changed).to_bytes(2, "big")


@pytest.mark.parametrize(("name", "size"), [("byte", 1), ("half", 2), ("word", 4), ("dword", 8)])
def test_stores_by_offset(name: str, size: int) -> None:
    text = f"int f(struct __sk_buff *skb) {{ bpf_store_{name}(skb, 4, 0x0102030405060708); return 0; }}"
    data = run(text, bytes(20))
    assert data == bytes(4) + bytes(range(9 - size, 9)) + bytes(16 - size)

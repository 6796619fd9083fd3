"""Captures in and out: pcapng files as other tools write them, verdicts applied, the command line."""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stingless._gen.uapi import ProgramType
from stingless.cli import main
from stingless.embedded.kernel import EmbeddedKernel
from stingless.embedded.sources import verdicts
from stingless.embedded.sources.pcap import Frame, PcapError, parse, read, write
from stingless.kernel import Kernel
from stingless.linux.kernel import LinuxKernel
from tests.helper_programs import HEAD, Loaded

FRAMES = [Frame(1000 * 10**9 + i, 64 + i, bytes(12) + b"\x08\x00" + b"\x45" + bytes([i]) * (49 + i)) for i in range(8)]

TC = """
SEC("tc") int prog(struct __sk_buff *skb) {
    if (skb->len % 2) return 2;
    bpf_skb_vlan_push(skb, 0x81, 7);
    return bpf_skb_change_tail(skb, 60, 0);
}
"""
XDP = """
SEC("xdp") int prog(struct xdp_md *ctx) {
    if (bpf_xdp_adjust_meta(ctx, -4)) return 9;
    unsigned char *data = (void *)(long)ctx->data;
    if (data + 16 > (void *)(long)ctx->data_end) return 0;
    if (data[15] == 3) return 1;
    data[15] += ctx->ingress_ifindex;
    return 2 + data[15] % 2;
}
"""
FILTER = 'SEC("socket") int prog(struct __sk_buff *skb) { return skb->len % 2 ? 0 : 20; }'
CGROUP = 'SEC("cgroup_skb/ingress") int prog(struct __sk_buff *skb) { return skb->len % 2; }'


def test_written_captures_are_read(tmp_path: Path) -> None:
    for name in ("a.pcap", "a.pcapng"):
        assert write(tmp_path / name, ((frame, "comment") for frame in FRAMES)) == len(FRAMES)
        assert list(read(tmp_path / name)) == FRAMES
    assert b"comment" in (tmp_path / "a.pcapng").read_bytes()


def block(order: str, kind: int, body: bytes) -> bytes:
    length = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + length + body + length


def section(order: str, *interfaces: bytes) -> bytes:
    head = block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
    return head + b"".join(block(order, 1, interface) for interface in interfaces)


@pytest.mark.parametrize("order", "<>")
def test_pcapng_of_other_tools(order: str) -> None:
    plain = struct.pack(order + "HHI", 1, 0, 0)
    fine = plain + struct.pack(order + "HHBxxx", 9, 1, 0x80 | 10) + struct.pack(order + "HHq", 14, 8, 5) + bytes(4)
    packets = [
        (6, struct.pack(order + "IIIII", 1, 0, 2048, 3, 90) + b"abc\0", Frame(5 * 10**9 + 2 * 10**9, 90, b"abc")),
        (6, struct.pack(order + "IIIII", 0, 1, 7, 4, 4) + b"abcd", Frame(((1 << 32) + 7) * 1000, 4, b"abcd")),
        (2, struct.pack(order + "HHIIII", 0, 9, 0, 8, 1, 1) + b"x\0\0\0", Frame(8000, 1, b"x")),
        (3, struct.pack(order + "I", 2) + b"yz\0\0", Frame(0, 2, b"yz")),
    ]
    content = section(order, plain, fine) + block(order, 4, bytes(8))
    content += b"".join(block(order, kind, body) for kind, body, _ in packets)
    assert list(parse(content)) == [frame for _, _, frame in packets]
    # Another section has interfaces of its own.
    other = "<" if order == ">" else ">"
    with pytest.raises(PcapError, match="of interface 0, and there are 0 so far"):
        list(parse(content + section(other) + block(other, 6, struct.pack(other + "IIIII", 0, 0, 0, 0, 0))))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (section("<")[:-2], "of which"),
        (section("<") + b"\1\0\0\0\x0d\0\0\0" + bytes(4), "claims 13 bytes"),
        (section("<") + b"\1\0\0\0\x0c\0\0\0" + bytes(4), "does not end with its length"),
        (section("<") + bytes(8), "cut within its header"),
        (section("<", b""), "interface at byte 28 is cut"),
        (section("<") + block("<", 6, bytes(8)), "packet at byte 28 is cut"),
        (section("<", struct.pack("<HHI", 113, 0, 0)) + block("<", 3, bytes(4)), "link type 113"),
        (section("<", bytes(8)), None),
        (
            section("<", struct.pack("<HHI", 1, 0, 0)) + block("<", 6, struct.pack("<5I", 0, 0, 0, 5, 5)),
            "claims 5 bytes",
        ),
    ],
)
def test_malformed_pcapng(content: bytes, words: str | None) -> None:
    if words is None:
        assert list(parse(content)) == []
        return
    with pytest.raises(PcapError, match=words):
        list(parse(content))


@given(st.binary(max_size=120))
def test_any_bytes_give_frames_or_an_error(junk: bytes) -> None:
    with suppress(PcapError):
        list(parse(section("<", struct.pack("<HHI", 1, 0, 0)) + junk))


def kernels() -> list[type[Kernel]]:
    return [EmbeddedKernel, LinuxKernel] if os.geteuid() == 0 else [EmbeddedKernel]


@pytest.mark.parametrize("kernel", kernels())
def test_verdicts(kernel: type[EmbeddedKernel]) -> None:
    with kernel() as made:
        found = list(verdicts.apply(Loaded(made, XDP).program, FRAMES))
        assert [each.name for each in found[:4]] == ["XDP_TX", "XDP_PASS", "XDP_TX", "XDP_DROP"]
        assert found[3].left is None
        left = found[0].left
        assert left is not None and left.data[:16] == FRAMES[0].data[:15] + b"\1"
        assert (left.time_ns, left.length) == (FRAMES[0].time_ns, 64)
        tc = list(verdicts.apply(Loaded(made, TC).program, FRAMES))
        assert [each.name for each in tc] == ["TC_ACT_OK", "TC_ACT_SHOT"] * 4
        tag = bytes.fromhex("81000007") if kernel is EmbeddedKernel else b""  # a test run does not tell it
        assert tc[0].left is not None and tc[0].left.data == FRAMES[0].data[:12] + tag + FRAMES[0].data[12:60]
        kept = [each.left and each.left.data for each in verdicts.apply(Loaded(made, FILTER).program, FRAMES)]
        assert kept == [frame.data[:20] if i % 2 == 0 else None for i, frame in enumerate(FRAMES)]
        passed = [each.left and each.left.data for each in verdicts.apply(Loaded(made, CGROUP).program, FRAMES)]
        assert passed == [None if i % 2 == 0 else frame.data for i, frame in enumerate(FRAMES)]
        assert [each.name for each in verdicts.apply(Loaded(made, CGROUP).program, FRAMES[:2])] == ["drop", "pass"]


def test_names_of_verdicts() -> None:
    P = ProgramType
    assert verdicts.name(P.XDP, 77) == "XDP 77 (as XDP_ABORTED)"
    assert verdicts.name(P.SCHED_CLS, 0xFFFFFFFF) == "TC_ACT_UNSPEC"
    assert verdicts.name(P.LWT_XMIT, 7) == "BPF_REDIRECT"


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "in.pcap", FRAMES)
    (tmp_path / "xdp.bpf.c").write_text(HEAD + XDP)
    program, source, out = (str(tmp_path / name) for name in ("xdp.bpf.c", "in.pcap", "out.pcapng"))
    assert main(["packets", program, source, "-w", out, "-l", "-i", "3"]) == 0
    said = capsys.readouterr().out
    assert "4: 67 bytes: XDP_DROP\n" in said
    assert "1: 64 bytes: XDP_TX, 64 bytes go on\n" in said
    assert "prog: 8 frames, 7 go on" in said and "       1 XDP_DROP" in said
    assert len(list(read(out))) == 7 and next(read(out)).data[15] == 3
    assert b"XDP_TX" in Path(out).read_bytes()
    for arguments, words in (
        ([program, source, "-n", "proq"], "no program named 'proq'; the nearest: prog"),
        ([program, program], "not a pcap file"),
        ([program, str(tmp_path / "none")], "No such file"),
    ):
        assert main(["packets", *arguments]) == 2
        assert words in capsys.readouterr().err

"""Reading captures: files as other tools write them, and files that nothing should write."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stingless._gen.uapi import ProgramType
from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction, encode, exit_, jump, load, mov, mov_imm
from stingless.embedded.kernel import EmbeddedKernel
from stingless.embedded.sources.pcap import Frame, PcapError, parse, read
from stingless.embedded.sources.verdicts import apply
from stingless.obj.spec import ProgramSpec

FRAMES = [b"\xff" * 12 + b"\x08\x06" + bytes(46), b"\x02" * 12 + b"\x08\x00" + bytes(50), b""]


def capture(frames: list[bytes], order: str = "<", nanoseconds: bool = False, kind: int = 1, major: int = 2) -> bytes:
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    content = struct.pack(order + "IHHiIII", magic, major, 4, 0, 0, 262144, kind)
    for number, frame in enumerate(frames):
        content += struct.pack(order + "IIII", 1000 + number, 7, len(frame), len(frame) + 4) + frame
    return content


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("nanoseconds", [False, True])
def test_both_byte_orders_and_both_resolutions(order: str, nanoseconds: bool, tmp_path: Path) -> None:
    file = tmp_path / "capture.pcap"
    file.write_bytes(capture(FRAMES, order, nanoseconds))
    unit = 1 if nanoseconds else 1000
    assert list(read(file)) == [
        Frame((1000 + number) * 10**9 + 7 * unit, len(frame) + 4, frame) for number, frame in enumerate(FRAMES)
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "ends after 0"),
        (capture([])[:23], "ends after 23"),
        (bytes(24), "starts with 00000000"),
        (b"\x0a\x0d\x0d\x0a" + bytes(24), "no byte order mark"),
        (capture([], kind=113), "113 is not Ethernet"),
        (capture([], major=3), r"version 3\.4"),
        (capture(FRAMES[:1])[:30], "byte 24 is cut"),
        (capture(FRAMES[:1])[:-1], "60 bytes, of which 59"),
        (capture([]) + struct.pack("<IIII", 0, 0, 0xFFFFFFFF, 0), "claims 4294967295"),
    ],
)
def test_malformed_files_are_refused(content: bytes, words: str) -> None:
    with pytest.raises(PcapError, match=words):
        list(parse(content))


def test_frames_before_the_malformed_place_are_read() -> None:
    frames = parse(capture(FRAMES[:2])[:-1])
    assert next(frames).data == FRAMES[0]
    with pytest.raises(PcapError):
        next(frames)


@given(st.binary(max_size=200), st.integers(0, 300), st.integers(0, 150))
def test_any_bytes_are_read_or_refused(noise: bytes, at: int, keep: int) -> None:
    whole = bytearray(capture(FRAMES))
    whole[at : at + len(noise)] = noise
    for content in (noise, capture([]) + noise, bytes(whole), bytes(whole[:keep])):
        try:
            frames = list(parse(content))
        except PcapError:
            continue
        assert sum(len(frame.data) + 16 for frame in frames) + 24 == len(content)


def test_a_program_runs_over_a_capture() -> None:
    # return frame[13] == 6 (the low byte of ARP's EtherType) ? XDP_DROP : XDP_PASS
    code = encode(
        [
            load(op.W, 2, 1, 0),  # data
            load(op.W, 3, 1, 4),  # data_end
            mov(4, 2),
            Instruction(op.ALU64 | op.ADD | op.K, 4, imm=14),
            mov_imm(0, 2),
            Instruction(op.JMP | op.JGT | op.X, 4, 3, 3),
            load(op.B, 5, 2, 13),
            jump(op.JNE, 5, 6, 1),
            mov_imm(0, 1),
            exit_(),
        ]
    )
    with EmbeddedKernel() as kernel:
        program = kernel.load_program(ProgramSpec("drop_arp", "xdp", ProgramType.XDP, code), {})
        said = [(each.frame.data, each.value) for each in apply(program, parse(capture(FRAMES[:2])))]
    assert said == [(FRAMES[0], 1), (FRAMES[1], 2)]

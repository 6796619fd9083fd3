"""What packet helpers give where Linux is not asked: sizes that grow, targets that are noted, repeated runs."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator

import pytest

from stingless.embedded.kernel import EmbeddedKernel
from stingless.errors import LoadError
from tests.helper_programs import Loaded
from tests.packet_programs import Runner, script_bytes

FRAME = bytes(12) + b"\x08\x00" + b"\x45" + bytes(59)


@pytest.fixture
def kernel() -> Iterator[EmbeddedKernel]:
    with EmbeddedKernel() as kernel:
        yield kernel


def test_edits_are_in_the_result(kernel: EmbeddedKernel) -> None:
    text = """
SEC("tc") int prog(struct __sk_buff *skb) {
    char text[4] = "edit";
    bpf_skb_vlan_push(skb, 0x81, 5);
    bpf_skb_store_bytes(skb, 20, text, 4, 0);
    return bpf_skb_change_tail(skb, skb->len + 2, 0);
}
"""
    result = Loaded(kernel, text).run(FRAME)
    assert result.retval == 0
    assert result.data == FRAME[:20] + b"edit" + FRAME[24:] + bytes(2)  # the tag is beside the packet, as on Linux


def test_headers_pushed_again_and_again(kernel: EmbeddedKernel) -> None:
    """A run of many goes on with the same packet, which moves in its buffer and at last has no more room."""
    text = 'SEC("tc") int prog(struct __sk_buff *skb) { return bpf_skb_vlan_push(skb, 0x81, 5); }'
    program = Loaded(kernel, text).program
    result = program.run(FRAME, repeat=1001)
    assert result.retval == 0
    assert result.data == FRAME[:12] + bytes.fromhex("81000005") * 1000 + FRAME[12:]
    assert program.run(FRAME, repeat=100_000).retval == 2**32 - errno.ENOMEM


def test_redirect_target(kernel: EmbeddedKernel) -> None:
    text = 'SEC("tc") int prog(struct __sk_buff *skb) { bpf_clone_redirect(skb, 3, 0); return bpf_redirect(7, 1); }'
    result = Loaded(kernel, text).program.handle.run_packet(FRAME)  # type: ignore[attr-defined]
    assert (result.retval, result.redirect, result.clones) == (7, (7, 1), 1)


def test_hash_is_the_flow_s(kernel: EmbeddedKernel) -> None:
    text = 'SEC("tc") int prog(struct __sk_buff *skb) { return bpf_get_hash_recalc(skb); }'
    program = Loaded(kernel, text).program
    there = bytes(12) + b"\x08\x00" + struct.pack(">B8xB2x4s4sHH16x", 0x45, 17, b"abcd", b"efgh", 1000, 53)
    back = bytes(12) + b"\x08\x00" + struct.pack(">B8xB2x4s4sHH16x", 0x45, 17, b"efgh", b"abcd", 53, 1000)
    other = bytes(12) + b"\x08\x00" + struct.pack(">B8xB2x4s4sHH16x", 0x45, 17, b"efgh", b"abcd", 54, 1000)
    assert program.run(there).retval == program.run(back).retval != program.run(other).retval
    assert program.run(there).retval


def test_fragments(kernel: EmbeddedKernel) -> None:
    runner = Runner(kernel, "xdp")
    data = bytes(i % 251 for i in range(9000))
    # Load across the end of the first page, shrink into the first page, and grow there.
    script = script_bytes([(0, 8, 3516, 0, 0, b""), (3, 0, -5500, 0, 0, b""), (3, 0, 20, 0, 0, b"")])
    _, after, _, out = runner.run((data, None, script))
    assert out[48:56] == data[3516:3524]
    assert after == data[:3500] + bytes(20)


def test_what_is_wrong_with_a_context(kernel: EmbeddedKernel) -> None:
    tc = Loaded(kernel, 'SEC("tc") int prog(struct __sk_buff *skb) { return 0; }').program
    for ctx, words, code in (
        (b"\1", "byte 0 of struct __sk_buff is not 0", errno.EINVAL),
        (bytes(193) + b"\1", "192 bytes, not 194", errno.E2BIG),
        (bytes(160) + b"\5", "wire_len is 5", errno.EINVAL),
    ):
        with pytest.raises(LoadError, match=words) as caught:
            tc.run(FRAME, ctx)
        assert caught.value.errno == code
    with pytest.raises(LoadError, match="network header of its protocol has 20 bytes, of which 6"):
        tc.run(FRAME[:20])

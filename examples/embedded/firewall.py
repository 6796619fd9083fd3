"""A packet program tested without root: verdicts, maps and many packets at once, at the speed of machine code."""

import struct
import time
from ipaddress import IPv4Address
from pathlib import Path

import stingless
from stingless.contexts import XdpMd
from stingless.embedded.kernel import EmbeddedKernel

XDP_DROP, XDP_PASS = 1, 2
UDP = 17


def packet(source: str) -> bytes:
    """An Ethernet frame with an IPv4 header and eight bytes of UDP."""
    ethernet = struct.pack("!6s6sH", b"\2" * 6, b"\4" * 6, 0x0800)
    addresses = IPv4Address(source).packed + IPv4Address("192.0.2.1").packed
    return ethernet + struct.pack("!BBHHHBBH", 0x45, 0, 28, 1, 0, 64, UDP, 0) + addresses + bytes(8)


source = Path(__file__).with_name("firewall.bpf.c")
with EmbeddedKernel() as kernel, stingless.load(source, kernel=kernel) as obj:
    firewall = obj.programs["firewall"]
    bad = int.from_bytes(IPv4Address("203.0.113.7").packed, "little")
    obj.maps["blocked"][bad] = 0

    assert firewall.run(packet("198.51.100.1")).retval == XDP_PASS
    assert firewall.run(ctx=XdpMd(data=packet("203.0.113.7"), ingress_ifindex=2)).retval == XDP_DROP
    print("one packet passes, one is dropped:", obj.maps["blocked"][bad], "hit")

    flood = [packet(f"203.0.113.{n % 256}") for n in range(100_000)]
    begin = time.perf_counter()
    verdicts = firewall.program.run_many(flood, keep=False).retvals
    each = (time.perf_counter() - begin) / len(flood)
    dropped = int((verdicts == XDP_DROP).sum())
    print(f"{dropped} of {len(flood)} dropped, {each * 1e9:.0f} ns a packet with all that Python does")
    assert dropped == sum(n % 256 == 7 for n in range(len(flood)))
    assert obj.maps["protocols"][UDP] == len(flood) + 2

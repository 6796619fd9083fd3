"""tc programs in the way of real packets between two namespaces, in both directions."""

from __future__ import annotations

import socket

import pytest

from stingless.embedded.kernel import EmbeddedKernel
from stingless.embedded.sources.tc import TcLink
from stingless.events import Tc
from stingless.testing import net
from tests.helper_programs import Loaded
from tests.lab_checks import USERS, run_check

MARKS = """
SEC("tc") int prog(struct __sk_buff *skb) {
    if (skb->protocol != 0x0008) return -1;
    unsigned char kind = 0, first = 0, mark = '!';
    unsigned short none = 0;
    bpf_skb_load_bytes(skb, 23, &kind, 1);
    bpf_skb_load_bytes(skb, 42, &first, 1);
    if (kind != 17) return 0;
    if (first == 'D') return 2;
    bpf_skb_store_bytes(skb, 40, &none, 2, 0); /* no checksum */
    bpf_skb_store_bytes(skb, 42, &mark, 1, 0);
    return 0;
}
"""


def check_ingress() -> None:
    with net.lab() as lab, EmbeddedKernel() as kernel, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here:
        here.bind((lab.address, 0))
        here.settimeout(5)
        link = kernel.attach(Loaded(kernel, MARKS).program, Tc("veth0"))
        assert isinstance(link, TcLink)
        port = here.getsockname()[1]
        lab.peer_send_udp(port, b"Dropped")
        lab.peer_send_udp(port, b"hello")
        assert here.recv(100) == b"!ello"
        assert link.verdicts[0] >= 1 and link.verdicts[2] == 1
        assert "arrive at veth0" in link.note
        link.close()
        lab.peer_send_udp(port, b"hello")
        assert here.recv(100) == b"hello"


def check_egress() -> None:
    with net.lab() as lab, EmbeddedKernel() as kernel, lab.peer_socket() as peer:
        peer.bind((lab.peer_address, 0))
        peer.settimeout(5)
        link = kernel.attach(Loaded(kernel, MARKS).program, Tc("veth0", egress=True))
        assert isinstance(link, TcLink)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here:
            here.sendto(b"Dropped", peer.getsockname())
            here.sendto(b"hello", peer.getsockname())
        assert peer.recv(100) == b"!ello"
        assert link.verdicts[2] == 1 and "leave veth0" in link.note
        link.close()


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("check", [check_ingress, check_egress])
def test_tc(check: object, user: str) -> None:
    run_check(check, user)  # type: ignore[arg-type]

"""A socket filter: of all the packets at an interface, a raw socket gets only the UDP datagrams to one port."""

from stingless import BPF

import os
import time

from stingless.testing import net  # two network namespaces: veth0 is here, a peer at the other end

program = r"""
#include <uapi/linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>

int udp_only(struct __sk_buff *skb) {
    struct iphdr ip;
    struct udphdr udp;

    if (skb->protocol != htons(ETH_P_IP))
        return 0;  // 0 bytes of it: drop
    if (bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)) || ip.protocol != IPPROTO_UDP)
        return 0;
    if (bpf_skb_load_bytes(skb, ETH_HLEN + sizeof(ip), &udp, sizeof(udp)) || udp.dest != htons(4242))
        return 0;
    return -1;  // all of it: keep
}
"""

HEADERS = 14 + 20 + 8  # Ethernet, IP, UDP

with net.lab() as lab:
    b = BPF(text=program)
    fn = b.load_func("udp_only", BPF.SOCKET_FILTER)
    BPF.attach_raw_socket(fn, "veth0")

    lab.ping_gets_through()
    lab.peer_send_udp(4242, b"hello")
    lab.peer_send_udp(53, b"not for us")
    lab.peer_send_udp(4242, b"bye")

    payload = b""
    while payload != b"bye":
        try:
            packet = os.read(fn.sock, 2048)
        except BlockingIOError:
            time.sleep(0.01)
            continue
        payload = packet[HEADERS:]
        print(f"UDP datagram of {len(payload)} bytes: {payload.decode()}")
    b.cleanup()

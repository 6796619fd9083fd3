"""XDP: count the packets that arrive at an interface, by protocol, before the network stack sees them."""

from stingless import BPF

from stingless.testing import net  # two network namespaces: veth0 is here, a peer at the other end

program = r"""
#include <uapi/linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>

BPF_HASH(packets, u32, u64);
BPF_ARRAY(bytes, u64, 1);

int count(struct xdp_md *ctx) {
    void *data = (void *)(long)ctx->data;
    void *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = data + sizeof(*eth);

    if ((void *)(ip + 1) > data_end || eth->h_proto != htons(ETH_P_IP))
        return XDP_PASS;

    u32 protocol = ip->protocol;
    packets.increment(protocol);

    int zero = 0;
    u64 *total = bytes.lookup(&zero);
    if (total)
        *total += data_end - data;
    return XDP_PASS;
}
"""

NAMES = {1: "ICMP", 6: "TCP", 17: "UDP"}
device = "veth0"
flags = BPF.XDP_FLAGS_SKB_MODE

with net.lab() as lab:
    b = BPF(text=program)
    fn = b.load_func("count", BPF.XDP)
    b.attach_xdp(device, fn, flags)
    try:
        lab.ping_gets_through()
        for _ in range(3):
            lab.udp_gets_through()
        lab.tcp_gets_through()
    finally:
        b.remove_xdp(device, flags)

    print(f"{'PROTOCOL':<10} PACKETS")
    for protocol, count in sorted(b["packets"].items(), key=lambda item: item[0].value):
        print(f"{NAMES.get(protocol.value, protocol.value):<10} {count.value}")
    print(f"{b['bytes'][0].value} bytes")

"""A packet program that drops: UDP datagrams get through before it is attached, not while, and again after."""

from stingless import BPF

from stingless.testing import net  # two network namespaces: veth0 is here, a peer at the other end

program = r"""
#include <uapi/linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>

int drop_udp(struct xdp_md *ctx) {
    void *data = (void *)(long)ctx->data;
    void *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = data + sizeof(*eth);

    if ((void *)(ip + 1) > data_end)
        return XDP_PASS;
    if (eth->h_proto == htons(ETH_P_IP) && ip->protocol == IPPROTO_UDP)
        return XDP_DROP;
    return XDP_PASS;
}
"""

device = "veth0"
flags = BPF.XDP_FLAGS_SKB_MODE


def send(when):
    """The peer sends a UDP datagram and a ping.  Returns what became of them."""
    udp, ping = lab.udp_gets_through(), lab.ping_gets_through()
    print(f"{when}: {'got through' if udp else 'dropped'} (ping: {'answered' if ping else 'no answer'})")
    return udp, ping


with net.lab() as lab:
    b = BPF(text=program)
    fn = b.load_func("drop_udp", BPF.XDP)

    before = send("before")
    b.attach_xdp(device, fn, flags)
    try:
        attached = send("with the program")
    finally:
        b.remove_xdp(device, flags)
    after = send("after")

if (before, attached, after) != ((True, True), (False, True), (True, True)):
    raise SystemExit("that is not what the program says")

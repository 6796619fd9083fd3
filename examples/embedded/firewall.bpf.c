// SPDX-License-Identifier: Apache-2.0
// Drops IPv4 packets of the addresses in a map, and counts what it sees by protocol.
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __be32);
	__type(value, __u64);
} blocked SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u64);
} protocols SEC(".maps");

SEC("xdp")
int firewall(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *ethernet = data;
	struct iphdr *ip = (void *)(ethernet + 1);

	if ((void *)(ip + 1) > end || ethernet->h_proto != bpf_htons(0x0800))
		return XDP_PASS;
	__u32 protocol = ip->protocol;
	__u64 *seen = bpf_map_lookup_elem(&protocols, &protocol);
	if (seen)
		__sync_fetch_and_add(seen, 1);
	__be32 from = ip->saddr;
	__u64 *hits = bpf_map_lookup_elem(&blocked, &from);
	if (!hits)
		return XDP_PASS;
	__sync_fetch_and_add(hits, 1);
	return XDP_DROP;
}

char _license[] SEC("license") = "GPL";

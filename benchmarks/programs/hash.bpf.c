// A hash of 100,000 flows; nothing but the map is needed.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct key {
	__u32 a, b;
};

struct value {
	__u64 count, bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 100000);
	__type(key, struct key);
	__type(value, struct value);
} flows SEC(".maps");

char _license[] SEC("license") = "GPL";

// A ring buffer of 64 MiB, and a socket filter that puts 4,000 records of 48 bytes in it for each packet.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct record {
	__u64 number, time, bytes;
	__u32 pid, cpu;
	char comm[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 << 20);
} events SEC(".maps");

__u64 count;
const struct record *record_type; // keeps the type in the object's BTF

SEC("socket")
int fill(struct __sk_buff *skb)
{
	for (int i = 0; i < 4000; i++) {
		struct record *r = bpf_ringbuf_reserve(&events, sizeof(*r), 0);
		if (!r)
			return 0;
		r->number = count++;
		r->time = i;
		r->bytes = 1500;
		r->pid = 1;
		r->cpu = 0;
		__builtin_memcpy(r->comm, "benchmark", 10);
		bpf_ringbuf_submit(r, BPF_RB_NO_WAKEUP);
	}
	return 0;
}

char _license[] SEC("license") = "GPL";

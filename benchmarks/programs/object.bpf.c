// What a tool's object is like: CO-RE reads, several programs, maps of several types, constants and variables.
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

struct event {
	__u64 time;
	__u32 pid, parent;
	char comm[TASK_COMM_LEN];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 << 10);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10240);
	__type(key, __u32);
	__type(value, __u64);
} starts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

const volatile __u32 wanted;
__u64 total;
const struct event *event_type; // keeps the type in the object's BTF

static int note(__u32 slot)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u32 pid = BPF_CORE_READ(task, tgid);
	struct event *e;
	__u64 *count, now = bpf_ktime_get_ns();

	if (wanted && pid != wanted)
		return 0;
	count = bpf_map_lookup_elem(&counts, &slot);
	if (count)
		++*count;
	bpf_map_update_elem(&starts, &pid, &now, BPF_ANY);
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e)
		return 0;
	e->time = now;
	e->pid = pid;
	e->parent = BPF_CORE_READ(task, real_parent, tgid);
	bpf_get_current_comm(e->comm, sizeof(e->comm));
	bpf_ringbuf_submit(e, 0);
	__sync_fetch_and_add(&total, 1);
	return 0;
}

SEC("tp/sched/sched_process_exec") int on_exec(void *ctx) { return note(0); }
SEC("tp/sched/sched_process_fork") int on_fork(void *ctx) { return note(1); }
SEC("tp/sched/sched_process_exit") int on_exit(void *ctx) { return note(2); }
SEC("raw_tp/sched_switch") int on_switch(void *ctx) { return note(3); }
SEC("tp/syscalls/sys_enter_openat") int on_open(void *ctx) { return note(4); }
SEC("tp/syscalls/sys_exit_openat") int on_opened(void *ctx) { return note(5); }

char _license[] SEC("license") = "GPL";

"""Who starts what: the kernel's structures are read as C reads them, with no kernel header and no probe_read()."""

from stingless import BPF

program = r"""
#include <linux/sched.h>

struct start {
    u32 pid, parent;
    char comm[TASK_COMM_LEN], parent_comm[TASK_COMM_LEN];
};
BPF_PERF_OUTPUT(starts);

TRACEPOINT_PROBE(sched, sched_process_exec) {
    struct task_struct *task = (struct task_struct *)bpf_get_current_task();
    struct start start = {.pid = task->tgid, .parent = task->real_parent->tgid};
    bpf_get_current_comm(start.comm, sizeof(start.comm));
    bpf_probe_read_kernel_str(start.parent_comm, sizeof(start.parent_comm), task->real_parent->comm);
    starts.perf_submit(args, &start, sizeof(start));
    return 0;
}
"""

b = BPF(text=program)


def show(cpu, data, size):
    start = b["starts"].event(data)
    print(f"{start.comm.decode()} {start.pid}, child of {start.parent_comm.decode()} {start.parent}")


b["starts"].open_perf_buffer(show)
try:
    while True:
        b.perf_buffer_poll()
except KeyboardInterrupt:
    pass

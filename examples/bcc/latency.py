"""How long read(2) takes, as a histogram: two tracepoints, a table between them, and a table that is the histogram."""

from stingless import BPF

program = r"""
BPF_HASH(began, u32, u64);
BPF_HISTOGRAM(took);

TRACEPOINT_PROBE(syscalls, sys_enter_read) {
    u32 thread = bpf_get_current_pid_tgid();
    u64 now = bpf_ktime_get_ns();
    began.update(&thread, &now);
    return 0;
}

TRACEPOINT_PROBE(syscalls, sys_exit_read) {
    u32 thread = bpf_get_current_pid_tgid();
    u64 *then = began.lookup(&thread);
    if (then) {
        took.increment(bpf_log2l(bpf_ktime_get_ns() - *then));
        began.delete(&thread);
    }
    return 0;
}
"""

b = BPF(text=program)
try:
    while True:
        b.trace_readline()  # nothing is printed: this waits for Ctrl-C, or for the command's end
except KeyboardInterrupt:
    b["took"].print_log2_hist("nanoseconds")

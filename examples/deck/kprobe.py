"""Trigger: the entry and the return of a kernel function, here of the system call openat()."""

from stingless import BPF

program = r"""
#include <uapi/linux/ptrace.h>

int syscall__openat(struct pt_regs *ctx, int dfd, const char __user *filename, int flags) {
    char name[64] = {};
    bpf_probe_read_user_str(name, sizeof(name), filename);
    bpf_trace_printk("openat(%s)\n", name);
    return 0;
}

int on_return(struct pt_regs *ctx) {
    bpf_trace_printk("  returned %d\n", (int)PT_REGS_RC(ctx));
    return 0;
}
"""

b = BPF(text=program)
openat = b.get_syscall_fnname("openat")
b.attach_kprobe(event=openat, fn_name="syscall__openat")
b.attach_kretprobe(event=openat, fn_name="on_return")
b.trace_print(fmt="{0} {1}: {5}")

"""Trigger: a function of a user program, here opendir() of the C library."""

from stingless import BPF

program = r"""
#include <uapi/linux/ptrace.h>

int on_opendir(struct pt_regs *ctx) {
    char name[64] = {};
    bpf_probe_read_user_str(name, sizeof(name), (void *)PT_REGS_PARM1(ctx));
    bpf_trace_printk("opendir(%s)\n", name);
    return 0;
}
"""

b = BPF(text=program)
b.attach_uprobe(name="c", sym="opendir", fn_name="on_opendir")
b.trace_print(fmt="{0} {1}: {5}")

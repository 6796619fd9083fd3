"""Trigger: a tracepoint, whose record is a struct with the kernel's names."""

from stingless import BPF

program = r"""
TRACEPOINT_PROBE(syscalls, sys_enter_execve) {
    char name[64] = {};
    bpf_probe_read_user_str(name, sizeof(name), args->filename);
    bpf_trace_printk("execve(%s)\n", name);
    return 0;
}
"""

b = BPF(text=program)
b.trace_print(fmt="{0} {1}: {5}")

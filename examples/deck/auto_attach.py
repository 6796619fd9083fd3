"""The function's name says what it is attached to."""

from stingless import BPF

b = BPF(
    text=r"""
int kprobe__sys_clone(void *ctx) {
    bpf_trace_printk("Hello from a function that attached itself\n");
    return 0;
}
"""
)
b.trace_print()

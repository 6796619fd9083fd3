"""Hello world: a line for every new process."""

from stingless import BPF

program = r"""
int my_prog(void *ctx) {
    bpf_trace_printk("Hello world\n");
    return 0;
}
"""

b = BPF(text=program)
b.attach_kprobe(event="sys_clone", fn_name="my_prog")
b.trace_print()

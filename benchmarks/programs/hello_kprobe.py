"""Hello on a kprobe, `python hello_kprobe.py bcc|stingless`: the same script under either package."""

import os
import sys
from importlib import import_module

BPF = import_module(sys.argv[1]).BPF

# The hook is the whole system's: only what this process does is printed.
program = r"""
int my_prog(void *ctx) {
    if (bpf_get_current_pid_tgid() >> 32 != PID)
        return 0;
    bpf_trace_printk("Hello world\n");
    return 0;
}
"""

b = BPF(text=program.replace("PID", str(os.getpid())))
b.attach_kprobe(event=b.get_syscall_fnname("clone"), fn_name="my_prog")
print("attached", flush=True)
sys.stdin.read()

import resource  # noqa: E402 - after what is measured

print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)

"""Hello, `python hello.py bcc|stingless kprobe|tracepoint`: the same script under either package."""

import os
import sys
from ctypes import c_ulong
from importlib import import_module

BPF = import_module(sys.argv[1]).BPF

# The hook is the whole system's: only what this process does is printed.
program = r"""
BPF_HASH(mine, u64);
int my_prog(void *ctx) {
    u64 pid = bpf_get_current_pid_tgid() >> 32;
    if (!mine.lookup(&pid))
        return 0;
    bpf_trace_printk("Hello world\n");
    return 0;
}
"""

b = BPF(text=program)
b["mine"][c_ulong(os.getpid())] = c_ulong(1)
if sys.argv[2] == "kprobe":
    b.attach_kprobe(event=b.get_syscall_fnname("clone"), fn_name="my_prog")
else:
    b.attach_tracepoint(tp="syscalls:sys_enter_clone", fn_name="my_prog")
print("attached", flush=True)
sys.stdin.read()

import resource  # noqa: E402 - after what is measured

print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)

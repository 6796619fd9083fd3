"""A map shared with Python: the program counts system calls, Python prints the counts."""

from time import sleep

from stingless import BPF

program = r"""
BPF_HASH(syscalls);

int count_openat(void *ctx) {
    u64 thread = (u32)bpf_get_current_pid_tgid();
    u64 count = 0;
    u64 *seen = syscalls.lookup(&thread);
    if (seen)
        count = *seen;
    count++;
    syscalls.update(&thread, &count);
    return 0;
}
"""

b = BPF(text=program)
b.attach_kprobe(event=b.get_syscall_fnname("openat"), fn_name="count_openat")
try:
    sleep(99999999)
except KeyboardInterrupt:
    pass
total = 0
for thread, count in sorted(b["syscalls"].items(), key=lambda item: item[0].value):
    print(f"thread {thread.value}: {count.value} calls of openat")
    total += count.value
print(f"total: {total}")

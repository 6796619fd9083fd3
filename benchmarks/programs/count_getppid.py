"""Count the getppid() calls of a command: `stingless run count_getppid.py -- COMMAND`."""

from time import sleep

from stingless import BPF

program = r"""
BPF_ARRAY(calls, u64, 1);

int count(void *ctx) {
    calls.increment(0);
    return 0;
}
"""

b = BPF(text=program)
b.attach_kprobe(event=b.get_syscall_fnname("getppid"), fn_name="count")
try:
    sleep(99999999)
except KeyboardInterrupt:
    pass
print(b["calls"][0].value)

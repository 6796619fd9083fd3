"""Count the getppid() calls of a command: `stingless run count_getppid.py [return] -- COMMAND`.

With "return" a second program runs at each return, as strace looks at both.
"""

import sys
from contextlib import suppress
from time import sleep

from stingless import BPF

program = r"""
BPF_ARRAY(calls, u64, 1);
BPF_ARRAY(returns, u64, 1);

int count(void *ctx) {
    calls.increment(0);
    return 0;
}

int count_return(void *ctx) {
    returns.increment(0);
    return 0;
}
"""

b = BPF(text=program)
function = b.get_syscall_fnname("getppid")
b.attach_kprobe(event=function, fn_name="count")
if "return" in sys.argv:
    b.attach_kretprobe(event=function, fn_name="count_return")
with suppress(KeyboardInterrupt):
    sleep(99999999)
print(b["calls"][0].value, b["returns"][0].value)

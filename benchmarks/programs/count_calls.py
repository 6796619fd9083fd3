"""Counts a function's entries, and with "return" its returns: `stingless run count_calls.py PROGRAM FUNCTION`."""

import sys
from contextlib import suppress
from time import sleep

from stingless import BPF

program = r"""
BPF_ARRAY(counts, u64, 2);

int count(void *ctx) {
    counts.increment(0);
    return 0;
}

int count_return(void *ctx) {
    counts.increment(1);
    return 0;
}
"""

b = BPF(text=program)
b.attach_uprobe(name=sys.argv[1], sym=sys.argv[2], fn_name="count")
if "return" in sys.argv:
    b.attach_uretprobe(name=sys.argv[1], sym=sys.argv[2], fn_name="count_return")
with suppress(KeyboardInterrupt):
    sleep(99999999)
print(b["counts"][0].value, b["counts"][1].value)

"""A bcc script that uses entries of bcc's reference guide on a command, and says what it saw: run on both kernels.

The command is `COMMAND`, a Python that calls getpgid(2) and labs(3).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

COMMAND = """
import ctypes, os, sys
os.getpgid(0)
text = ctypes.create_string_buffer(b"hello, world", 16)
libc = ctypes.CDLL(None)
libc.labs(ctypes.c_long(-7))
libc.atoi(text)
os.getpgid(0)
print("command", os.getpid(), os.getuid(), os.getgid())
"""

SCRIPT = r"""
import ctypes as ct, json, time
from bcc import BPF

text = '''
#include <linux/sched.h>
#include <uapi/linux/ptrace.h>
struct data_t {
    u64 ids, users, ts;
    u32 random, logs[5];
    int whole, cut, filled;
    char comm[TASK_COMM_LEN], text[16], start[4], first[4];
};
struct enter_t { u64 unused; long id; unsigned long args[6]; };
BPF_PERF_OUTPUT(perf);
BPF_PERF_OUTPUT(tracepoints);
BPF_RINGBUF_OUTPUT(ring, 8);
BPF_HISTOGRAM(returns);
BPF_HASH(calls, int);
BPF_HASH(entered);

int on_atoi(struct pt_regs *ctx) {
    struct data_t d = {};
    d.ids = bpf_get_current_pid_tgid();
    d.users = bpf_get_current_uid_gid();
    d.ts = bpf_ktime_get_ns();
    d.random = bpf_get_prandom_u32();
    bpf_get_current_comm(&d.comm, sizeof(d.comm));
    d.filled = bpf_probe_read_user(&d.first, sizeof(d.first), (void *)PT_REGS_PARM1(ctx));
    d.whole = bpf_probe_read_user_str(&d.text, sizeof(d.text), (void *)PT_REGS_PARM1(ctx));
    d.cut = bpf_probe_read_user_str(&d.start, sizeof(d.start), (void *)PT_REGS_PARM1(ctx));
    d.logs[0] = bpf_log2l(0);
    d.logs[1] = bpf_log2l(1);
    d.logs[2] = bpf_log2l(1023);
    d.logs[3] = bpf_log2l(1024);
    d.logs[4] = bpf_log2l(1UL << 40);
    perf.perf_submit(ctx, &d, sizeof(d));
    ring.ringbuf_output(&d, sizeof(d), 0);
    struct data_t *more = ring.ringbuf_reserve(sizeof(struct data_t));
    if (!more)
        return 1;
    more->ids = 77;
    ring.ringbuf_submit(more, BPF_RB_FORCE_WAKEUP);
    more = ring.ringbuf_reserve(sizeof(struct data_t));
    if (more)
        ring.ringbuf_discard(more, BPF_RB_NO_WAKEUP);
    bpf_trace_printk("atoi %d %s %x\\n", 42, d.text, 255);
    return(0);
}
int on_return(struct pt_regs *ctx) { returns.increment(PT_REGS_RC(ctx)); return 0; }
int syscall__getpgid(struct pt_regs *ctx, int pid) { calls.increment(pid, 2); return 0; }
int got(struct pt_regs *ctx) { calls.increment(PT_REGS_RC(ctx) > 0 ? -1 : -2); return 0; }
int enter(struct enter_t *args) { if (args->id == GETPGID) entered.increment(args->id); return 0; };
TRACEPOINT_PROBE(raw_syscalls, sys_enter) {
    u32 id = args->id;
    if (id == GETPGID)
        tracepoints.perf_submit(args, &id, sizeof(id));
    return 0;
}
RAW_TRACEPOINT_PROBE(sys_enter) {
    if (ctx->args[1] == GETPGID)
        entered.increment(1000);
}
'''
import stingless.syscalls
b = BPF(text=text, cflags=["-DGETPGID=%d" % stingless.syscalls.number_of("getpgid")])
b.attach_uprobe(name="c.so.6", sym="atoi", fn_name="on_atoi")
b.attach_uretprobe(name="c", sym="labs", fn_name="on_return")
getpgid = b.get_syscall_fnname("getpgid")
b.attach_kprobe(event=getpgid, fn_name="syscall__getpgid")
b.attach_kretprobe(event=getpgid, fn_name="got")
b.attach_tracepoint("raw_syscalls:sys_enter", "enter")

seen = {"perf": [], "ring": [], "tracepoints": [], "sizes": [], "open": (b.num_open_kprobes(), b.num_open_uprobes())}
def fields(event):
    d = {name: getattr(event, name) for name in ("ids", "users", "ts", "random", "whole", "cut", "filled")}
    d.update({name: getattr(event, name).decode() for name in ("comm", "text", "start", "first")})
    d["logs"] = list(event.logs)
    return d
def on_perf(cpu, data, size):
    seen["perf"].append(fields(b["perf"].event(data)))
    seen["sizes"].append(size - ct.sizeof(b["perf"].event(data)))
def on_ring(ctx, data, size):
    seen["ring"].append(b["ring"].event(data).ids)
b["perf"].open_perf_buffer(on_perf, page_cnt=16)
def on_tracepoint(cpu, data, size):
    seen["tracepoints"].append(ct.cast(data, ct.POINTER(ct.c_uint)).contents.value)
b["tracepoints"].open_perf_buffer(on_tracepoint)
b["ring"].open_ring_buffer(on_ring)
seen["before"] = time.monotonic_ns()
try:
    while True:
        b.perf_buffer_poll(timeout=50)
        b.ring_buffer_poll(30)
        b.ring_buffer_consume()
except KeyboardInterrupt:
    pass
seen["after"] = time.monotonic_ns()
task, pid, cpu, flags, ts, msg = b.trace_fields(nonblocking=True)
seen["print"] = (type(task).__name__, pid, type(cpu).__name__, type(flags).__name__, type(ts).__name__, msg.decode())
for name in "returns", "calls", "entered":
    seen[name] = {k.value: v.value for k, v in b[name].items() if v.value}
print("seen", json.dumps(seen))
"""


def run(kernel: str, directory: Path) -> tuple[dict[str, Any], list[int]]:
    """What the script saw on a kernel; process, user and group of the command."""
    script = directory / "script.py"
    script.write_text(SCRIPT)
    words = [sys.executable, "-m", "stingless", "run", "--kernel", kernel, str(script)]
    python = os.path.realpath(sys.executable)
    done = subprocess.run([*words, "--", python, "-S", "-c", COMMAND], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    lines = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    return json.loads(lines["seen"]), [int(word) for word in lines["command"].split()]


def check(kernel: str, directory: Path) -> None:
    from stingless.syscalls import number_of

    seen, (pid, uid, gid) = run(kernel, directory)
    (event,) = seen["perf"]
    assert event["ids"] == pid << 32 | pid and event["users"] == gid << 32 | uid
    assert seen["before"] < event["ts"] < seen["after"]
    assert event["comm"] == Path(os.path.realpath(sys.executable)).name[:15]
    assert (event["text"], event["whole"]) == ("hello, world", 13)
    assert (event["start"], event["cut"], event["first"], event["filled"]) == ("hel", 4, "hell", 0)
    assert event["logs"] == [1, 1, 10, 11, 41]
    assert all(0 <= extra < 16 for extra in seen["sizes"])
    assert seen["ring"] == [event["ids"], 77]
    assert seen["tracepoints"] == [number_of("getpgid")] * 2
    assert seen["print"] == ["bytes", pid, "int", "bytes", "float", "atoi 42 hello, world ff"]
    assert seen["returns"] == {"7": 1}
    assert seen["calls"] == {"0": 4, "-1": 2}
    assert seen["entered"] == {str(number_of("getpgid")): 2, "1000": 2}
    assert seen["open"] == [2, 2]

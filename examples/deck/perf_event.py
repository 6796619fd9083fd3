"""Trigger: a perf event, here the CPU clock that samples what is running."""

from time import sleep

from stingless import BPF

program = r"""
#include <uapi/linux/bpf_perf_event.h>

struct who {
    u32 pid;
    char name[16];
};
BPF_HASH(samples, struct who);

int on_sample(struct bpf_perf_event_data *ctx) {
    struct who who = {};
    who.pid = bpf_get_current_pid_tgid() >> 32;
    bpf_get_current_comm(who.name, sizeof(who.name));
    samples.increment(who);
    return 0;
}
"""
PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK = 1, 0

b = BPF(text=program)
b.attach_perf_event(ev_type=PERF_TYPE_SOFTWARE, ev_config=PERF_COUNT_SW_CPU_CLOCK, fn_name="on_sample", sample_freq=99)
try:
    sleep(99999999)
except KeyboardInterrupt:
    pass
for who, count in b["samples"].items():
    print(f"{who.name.decode()} (pid {who.pid}): {count.value} samples")

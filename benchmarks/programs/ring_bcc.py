"""bcc's callback with `event()`: fill a ring buffer with COUNT records, then drain it; prints seconds and peak KiB."""

import resource
import socket
import sys
import time

from bcc import BPF

TEXT = r"""
struct record { u64 number, time, bytes; u32 pid, cpu; char comm[16]; };
BPF_RINGBUF_OUTPUT(events, 16384);
BPF_ARRAY(count, u64, 1);
int fill(struct __sk_buff *skb) {
    int zero = 0;
    u64 *n = count.lookup(&zero);
    if (!n) return 0;
    for (int i = 0; i < 4000; i++) {
        struct record *r = events.ringbuf_reserve(sizeof(struct record));
        if (!r) return 0;
        r->number = (*n)++; r->time = i; r->bytes = 1500; r->pid = 1; r->cpu = 0;
        __builtin_memcpy(r->comm, "benchmark", 10);
        events.ringbuf_submit(r, 1 /* BPF_RB_NO_WAKEUP */);
    }
    return 0;
}
"""
SO_ATTACH_BPF = 50


def main() -> None:
    count = int(sys.argv[1])
    bpf = BPF(text=TEXT)
    filled = bpf.load_func("fill", BPF.SOCKET_FILTER)
    receiver, sender = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, SO_ATTACH_BPF, filled.fd)
    events = bpf["events"]
    seen = total = 0

    def callback(ctx: object, data: object, size: int) -> None:
        nonlocal seen, total
        total += events.event(data).number
        seen += 1

    events.open_ring_buffer(callback)
    for _ in range(count // 4_000):
        sender.send(b"x")
    begin = time.perf_counter()
    bpf.ring_buffer_consume()
    seconds = time.perf_counter() - begin
    assert seen == count, f"{seen} of {count} records came"
    assert total == count * (count - 1) // 2
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


main()

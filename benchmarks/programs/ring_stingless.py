"""stingless draining a ring buffer: `ring_stingless.py OBJECT COUNT FACE ROUNDS`; prints the seconds of each round, in
which COUNT records are written and then read, and peak KiB."""

import resource
import socket
import sys
import time
from itertools import islice
from typing import Any

import stingless

SO_ATTACH_BPF = 50


def drain(ring: Any, count: int) -> tuple[float, int]:
    begin = time.perf_counter()
    events = ring.drain()
    seconds = time.perf_counter() - begin
    assert len(events) == count
    return seconds, int(events["number"].sum())


def drain_sum(ring: Any, count: int) -> tuple[float, int]:
    begin = time.perf_counter()
    total = int(ring.drain()["number"].sum())
    return time.perf_counter() - begin, total


def lease(ring: Any, count: int) -> tuple[float, int]:
    begin = time.perf_counter()
    with ring.lease() as events:
        total = int(events["number"].sum())
    return time.perf_counter() - begin, total


def loop(ring: Any, count: int) -> tuple[float, int]:
    total = 0
    begin = time.perf_counter()
    for event in islice(ring, count):
        total += event.number
    return time.perf_counter() - begin, total


def callback(ring: Any, count: int) -> tuple[float, int]:
    total = 0

    def add(event: Any) -> None:
        nonlocal total
        total += event.number

    begin = time.perf_counter()
    assert ring.poll(add, timeout=0) == count
    return time.perf_counter() - begin, total


FACES = {"drain": drain, "drain_sum": drain_sum, "lease": lease, "for": loop, "callback": callback}


def main() -> None:
    path, count, face, rounds = sys.argv[1], int(sys.argv[2]), FACES[sys.argv[3]], int(sys.argv[4])
    receiver, sender = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with receiver, sender, stingless.load(path) as obj, obj.ring_buffer("events", "struct record") as ring:
        receiver.setsockopt(socket.SOL_SOCKET, SO_ATTACH_BPF, obj.programs["fill"].fd)
        times = []
        for n in range(rounds):
            for _ in range(count // 4_000):
                sender.send(b"x")
            seconds, total = face(ring, count)
            assert total == sum(range(n * count, (n + 1) * count))
            times.append(seconds)
        assert ring.statistics().lost == 0
    print(*times, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


main()

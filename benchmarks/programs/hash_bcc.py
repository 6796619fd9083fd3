"""bcc reading a hash of COUNT entries: `hash_bcc.py COUNT VERB`; prints seconds and peak KiB."""

import ctypes
import resource
import sys
import time

from bcc import BPF

TEXT = "struct key { u32 a, b; }; struct value { u64 count, bytes; }; BPF_HASH(flows, struct key, struct value, COUNT);"


def main() -> None:
    count, verb = int(sys.argv[1]), sys.argv[2]
    bpf = BPF(text=TEXT.replace("COUNT", str(count)))
    flows = bpf["flows"]
    keys = (flows.Key * count)()
    values = (flows.Leaf * count)()
    for i in range(count):
        keys[i].a, keys[i].b = i, i * 7
        values[i].count, values[i].bytes = i, i * 1500
    flows.items_update_batch(keys, values)
    begin = time.perf_counter()
    entries = list(getattr(flows, verb)())
    seconds = time.perf_counter() - begin
    assert len(entries) == count
    assert sum(value.count for _, value in entries) == count * (count - 1) // 2
    assert isinstance(entries[0][0], ctypes.Structure)
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


main()

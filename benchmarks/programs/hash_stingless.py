"""stingless reading a hash: `hash_stingless.py OBJECT COUNT to_numpy|items`; prints seconds and peak KiB."""

import resource
import sys
import time

import numpy as np

import stingless


def main() -> None:
    path, count, verb = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    numbers = np.arange(count)
    with stingless.load(path) as obj:
        flows = obj.maps["flows"]
        keys = np.zeros(count, [("a", np.uint32), ("b", np.uint32)])
        values = np.zeros(count, [("count", np.uint64), ("bytes", np.uint64)])
        keys["a"], keys["b"] = numbers, numbers * 7
        values["count"], values["bytes"] = numbers, numbers * 1500
        flows.update_many(keys, values)
        begin = time.perf_counter()
        if verb == "to_numpy":
            _, found = flows.to_numpy()
            seconds = time.perf_counter() - begin
            total = int(found["count"].sum())
        else:
            entries = list(flows.items())
            seconds = time.perf_counter() - begin
            assert len(entries) == count
            total = sum(value.count for _, value in entries)
    assert total == count * (count - 1) // 2
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


main()

"""What a map's spec leaves to the machine: the same for every kernel."""

from __future__ import annotations

import os

from stingless._gen.uapi import MapType
from stingless.cpus import possible_cpus
from stingless.frozen import replace
from stingless.obj.spec import MapSpec

NUMA_NODE, MMAPABLE = 1 << 2, 1 << 10  # BPF_F_NUMA_NODE, BPF_F_MMAPABLE
_LARGEST = 1 << 31  # bpf(2) takes 32 bits


def adapted(spec: MapSpec) -> MapSpec:
    """`spec` with what depends on the machine: a perf event array without max_entries has one for each possible CPU; a
    ring buffer is a power of two of whole pages; a data section can be mapped; a NUMA node has its flag."""
    if spec.type is MapType.PERF_EVENT_ARRAY and spec.max_entries == 0:
        spec = replace(spec, max_entries=possible_cpus())
    if spec.type in (MapType.RINGBUF, MapType.USER_RINGBUF) and spec.max_entries:
        spec = replace(spec, max_entries=ring_size(spec.max_entries))
    if spec.initial is not None and spec.type is MapType.ARRAY:
        spec = replace(spec, flags=spec.flags | MMAPABLE)
    if spec.numa_node is not None:
        spec = replace(spec, flags=spec.flags | NUMA_NODE)
    return spec


def ring_size(asked: int) -> int:
    """The smallest size of a ring buffer that is not below `asked` bytes: whole pages, a power of two."""
    size = os.sysconf("SC_PAGESIZE")
    while size < asked and size < _LARGEST:
        size *= 2
    return max(size, asked)  # what is too large stays so, for the kernel to say

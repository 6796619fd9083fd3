"""Which helpers work on which map types."""

from __future__ import annotations

from stingless._gen.helpers import Helper as H
from stingless._gen.uapi import MapType as M

_QUEUES = frozenset({H.map_push_elem, H.map_pop_elem, H.map_peek_elem})
_BY_KEY = frozenset({H.map_lookup_elem, H.map_update_elem, H.map_delete_elem})

# Helpers that each map type allows; a type without a row is not known to the verifier.
ALLOWED: dict[M, frozenset[H]] = {
    M.HASH: _BY_KEY,
    M.ARRAY: _BY_KEY,
    M.LRU_HASH: _BY_KEY,
    M.LPM_TRIE: _BY_KEY,
    M.PERCPU_HASH: _BY_KEY | {H.map_lookup_percpu_elem},
    M.PERCPU_ARRAY: _BY_KEY | {H.map_lookup_percpu_elem},
    M.LRU_PERCPU_HASH: _BY_KEY | {H.map_lookup_percpu_elem},
    M.PROG_ARRAY: frozenset({H.tail_call}),
    M.PERF_EVENT_ARRAY: frozenset({H.perf_event_output, H.perf_event_read, H.perf_event_read_value}),
    M.STACK_TRACE: frozenset({H.get_stackid}),
    M.CGROUP_ARRAY: frozenset({H.current_task_under_cgroup}),
    M.DEVMAP: frozenset({H.redirect_map}),
    M.DEVMAP_HASH: frozenset({H.redirect_map}),
    M.CPUMAP: frozenset({H.redirect_map}),
    M.XSKMAP: frozenset({H.redirect_map}),
    M.QUEUE: _QUEUES,
    M.STACK: _QUEUES,
    M.BLOOM_FILTER: frozenset({H.map_push_elem, H.map_peek_elem}),
    M.RINGBUF: frozenset({H.ringbuf_output, H.ringbuf_reserve, H.ringbuf_query}),
}

WRITERS = frozenset({H.map_update_elem, H.map_delete_elem, H.map_push_elem, H.map_pop_elem})

# Map flags: what a program may not do with the map's memory.
RDONLY_PROG, WRONLY_PROG = 1 << 7, 1 << 8

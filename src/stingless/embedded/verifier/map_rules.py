"""Which helpers work on which map types."""

from __future__ import annotations

from stingless._gen.helpers import Helper as H
from stingless._gen.uapi import MapType as M

_QUEUES = frozenset({H.map_push_elem, H.map_pop_elem, H.map_peek_elem})
_BY_KEY = frozenset({H.map_lookup_elem, H.map_update_elem, H.map_delete_elem})
_EACH = _BY_KEY | {H.for_each_map_elem}
_PER_CPU = _EACH | {H.map_lookup_percpu_elem}
_SOCKETS = frozenset({H.map_lookup_elem, H.map_update_elem, H.map_delete_elem, H.sk_select_reuseport})

# Helpers that each map type allows; a type without a row is not known to the verifier.
ALLOWED: dict[M, frozenset[H]] = {
    M.HASH: _EACH,
    M.ARRAY: _EACH,
    M.LRU_HASH: _EACH,
    M.LPM_TRIE: _BY_KEY,
    M.PERCPU_HASH: _PER_CPU,
    M.PERCPU_ARRAY: _PER_CPU,
    M.LRU_PERCPU_HASH: _PER_CPU,
    M.ARRAY_OF_MAPS: frozenset({H.map_lookup_elem}),
    M.HASH_OF_MAPS: frozenset({H.map_lookup_elem}),
    M.PROG_ARRAY: frozenset({H.tail_call}),
    M.PERF_EVENT_ARRAY: frozenset(
        {H.perf_event_output, H.perf_event_read, H.perf_event_read_value, H.skb_output, H.xdp_output}
    ),
    M.STACK_TRACE: frozenset({H.get_stackid}),
    M.CGROUP_ARRAY: frozenset({H.current_task_under_cgroup, H.skb_under_cgroup}),
    M.CGROUP_STORAGE: frozenset({H.get_local_storage}),
    M.PERCPU_CGROUP_STORAGE: frozenset({H.get_local_storage}),
    M.DEVMAP: frozenset({H.redirect_map, H.map_lookup_elem}),
    M.DEVMAP_HASH: frozenset({H.redirect_map, H.map_lookup_elem}),
    M.CPUMAP: frozenset({H.redirect_map}),
    M.XSKMAP: frozenset({H.redirect_map, H.map_lookup_elem}),
    M.SOCKMAP: _SOCKETS | {H.sk_redirect_map, H.sock_map_update, H.msg_redirect_map},
    M.SOCKHASH: _SOCKETS | {H.sk_redirect_hash, H.sock_hash_update, H.msg_redirect_hash},
    M.REUSEPORT_SOCKARRAY: frozenset({H.sk_select_reuseport}),
    M.QUEUE: _QUEUES,
    M.STACK: _QUEUES,
    M.BLOOM_FILTER: frozenset({H.map_push_elem, H.map_peek_elem}),
    M.SK_STORAGE: frozenset({H.sk_storage_get, H.sk_storage_delete, H.kptr_xchg}),
    M.INODE_STORAGE: frozenset({H.inode_storage_get, H.inode_storage_delete, H.kptr_xchg}),
    M.TASK_STORAGE: frozenset({H.task_storage_get, H.task_storage_delete, H.kptr_xchg}),
    M.CGRP_STORAGE: frozenset({H.cgrp_storage_get, H.cgrp_storage_delete, H.kptr_xchg}),
    M.RINGBUF: frozenset({H.ringbuf_output, H.ringbuf_reserve, H.ringbuf_query, H.ringbuf_reserve_dynptr}),
    M.USER_RINGBUF: frozenset({H.user_ringbuf_drain}),
    M.ARENA: frozenset(),
}

# Helpers that take the map of what their first argument points to.
ANY_MAP = frozenset({H.timer_init})
WRITERS = frozenset({H.map_update_elem, H.map_delete_elem, H.map_push_elem, H.map_pop_elem})
# Map types whose values are sockets to programs.
SOCKET_MAPS = frozenset({M.SOCKMAP, M.SOCKHASH})
MAPS_OF_MAPS = frozenset({M.ARRAY_OF_MAPS, M.HASH_OF_MAPS})

# Map flags: what a program may not do with the map's memory.
RDONLY_PROG, WRONLY_PROG = 1 << 7, 1 << 8

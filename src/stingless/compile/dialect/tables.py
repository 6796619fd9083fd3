"""Table macros of the dialect, and the methods that C code may call on a table."""

from __future__ import annotations

from typing import NamedTuple

# Macro -> index of the argument that names the table.
MACROS: dict[str, int] = {
    "BPF_HASH": 0,
    "BPF_PERCPU_HASH": 0,
    "BPF_LRU_HASH": 0,
    "BPF_LPM_TRIE": 0,
    "BPF_ARRAY": 0,
    "BPF_PERCPU_ARRAY": 0,
    "BPF_HISTOGRAM": 0,
    "BPF_STACK_TRACE": 0,
    "BPF_STACK_TRACE_BUILDID": 0,
    "BPF_PROG_ARRAY": 0,
    "BPF_CGROUP_ARRAY": 0,
    "BPF_PERF_ARRAY": 0,
    "BPF_PERF_OUTPUT": 0,
    "BPF_RINGBUF_OUTPUT": 0,
    "BPF_ARRAY_OF_MAPS": 0,
    "BPF_HASH_OF_MAPS": 0,
    "BPF_QUEUE": 0,
    "BPF_STACK": 0,
    "BPF_QUEUESTACK": 1,
    "BPF_QUEUESTACK_PINNED": 1,
    "BPF_QUEUESTACK_PUBLIC": 1,
    "BPF_QUEUESTACK_SHARED": 1,
    "BPF_XDP_REDIRECT_MAP": 2,
    "BPF_DEVMAP": 0,
    "BPF_CPUMAP": 0,
    "BPF_XSKMAP": 0,
    "BPF_SOCKMAP": 0,
    "BPF_SOCKHASH": 0,
    "BPF_SK_STORAGE": 0,
    "BPF_INODE_STORAGE": 0,
    "BPF_TASK_STORAGE": 0,
    "BPF_CGROUP_STORAGE": 0,
    "BPF_PERCPU_CGROUP_STORAGE": 0,
    "BPF_TABLE": 3,
    "BPF_F_TABLE": 3,
    "BPF_TABLE_PUBLIC": 3,
    "BPF_TABLE_SHARED": 3,
    "BPF_TABLE_PINNED": 3,
}
# Kinds that BPF_TABLE("kind", ...) names: those of `__st_kind` in headers/bcc/tables.h.
TABLE_KINDS = frozenset(
    {
        "hash",
        "array",
        "percpu_hash",
        "percpu_array",
        "lru_hash",
        "lru_percpu_hash",
        "lpm_trie",
        "histogram",
        "prog",
        "perf_output",
        "perf_array",
        "ringbuf",
        "queue",
        "stack",
        "cgroup_array",
        "stacktrace",
        "devmap",
        "cpumap",
        "xskmap",
        "hash_of_maps",
        "array_of_maps",
        "sk_storage",
        "inode_storage",
        "task_storage",
        "sockmap",
        "sockhash",
        "cgroup_storage",
        "percpu_cgroup_storage",
        "extern",
    }
)


class Method(NamedTuple):
    """It has `least` arguments, or up to `most`; `record` is the index of the one that user space gets."""

    least: int
    most: int = 0
    record: int | None = None


# Each is a macro `__st_METHOD` of headers/bcc/table_methods.h.
METHODS: dict[str, Method] = {
    "lookup": Method(1),
    "update": Method(2),
    "insert": Method(2),
    "delete": Method(1),
    "lookup_or_init": Method(2),
    "lookup_or_try_init": Method(2),
    "increment": Method(1, most=2),
    "atomic_increment": Method(1, most=2),
    "perf_submit": Method(3, record=1),
    "perf_submit_skb": Method(4, record=2),
    "ringbuf_output": Method(3, record=0),
    "ringbuf_reserve": Method(1),
    "ringbuf_submit": Method(2, record=0),
    "ringbuf_discard": Method(2),
    "ringbuf_query": Method(1),
    "call": Method(2),
    "get_stackid": Method(2),
    "perf_read": Method(1),
    "perf_counter_value": Method(3),
    "check_current_task": Method(1),
    "push": Method(2),
    "pop": Method(1),
    "peek": Method(1),
    "redirect_map": Method(2),
    "sock_map_update": Method(3),
    "sock_hash_update": Method(3),
    "msg_redirect_map": Method(3),
    "msg_redirect_hash": Method(3),
    "sk_redirect_map": Method(3),
    "sk_redirect_hash": Method(3),
    "sk_storage_get": Method(3),
    "sk_storage_delete": Method(1),
    "inode_storage_get": Method(3),
    "inode_storage_delete": Method(1),
    "task_storage_get": Method(3),
    "task_storage_delete": Method(1),
    "get_local_storage": Method(1),
}

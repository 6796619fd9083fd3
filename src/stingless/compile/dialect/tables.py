"""Table macros of the dialect, and the methods that C code may call on a table."""

from __future__ import annotations

# Macro -> index of the argument that names the table.
MACROS: dict[str, int] = {
    "BPF_HASH": 0,
    "BPF_PERCPU_HASH": 0,
    "BPF_LRU_HASH": 0,
    "BPF_ARRAY": 0,
    "BPF_PERCPU_ARRAY": 0,
    "BPF_HISTOGRAM": 0,
    "BPF_PROG_ARRAY": 0,
    "BPF_PERF_OUTPUT": 0,
    "BPF_RINGBUF_OUTPUT": 0,
    "BPF_TABLE": 3,
}
# Kinds that BPF_TABLE("kind", ...) names.
TABLE_KINDS = frozenset({"hash", "array", "percpu_hash", "percpu_array", "lru_hash"})
METHODS = frozenset(
    {
        "lookup",
        "update",
        "insert",
        "delete",
        "lookup_or_init",
        "lookup_or_try_init",
        "increment",
        "atomic_increment",
        "perf_submit",
        "ringbuf_output",
        "ringbuf_reserve",
        "ringbuf_submit",
        "ringbuf_discard",
        "call",
    }
)

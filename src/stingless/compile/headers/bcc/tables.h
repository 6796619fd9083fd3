/* Tables: a BTF-defined map each, a struct variable in section .maps whose members' types describe it.  The methods
 * (`table.lookup(&key)`) arrive here as `__st_lookup(table, &key)`. */
#pragma once

#define __st_pick5(_1, _2, _3, _4, _5, chosen, ...) chosen
#define __st_map(kind, name, key_type, leaf_type, size, flags) \
	struct {                                               \
		int (*type)[kind];                             \
		int (*max_entries)[size];                      \
		int (*map_flags)[flags];                       \
		__typeof__(key_type) *key;                     \
		__typeof__(leaf_type) *value;                  \
	} name SEC(".maps")

#define __st_hash1(kind, name) __st_map(kind, name, u64, u64, 10240, 0)
#define __st_hash2(kind, name, key) __st_map(kind, name, key, u64, 10240, 0)
#define __st_hash3(kind, name, key, leaf) __st_map(kind, name, key, leaf, 10240, 0)
#define __st_hash4(kind, name, key, leaf, size) __st_map(kind, name, key, leaf, size, 0)
#define __st_hash5(kind, name, key, leaf, size, flags) __st_map(kind, name, key, leaf, size, flags)
#define __st_hash(kind, ...) \
	__st_pick5(__VA_ARGS__, __st_hash5, __st_hash4, __st_hash3, __st_hash2, __st_hash1, )(kind, __VA_ARGS__)
#define BPF_HASH(...) __st_hash(BPF_MAP_TYPE_HASH, __VA_ARGS__)
#define BPF_PERCPU_HASH(...) __st_hash(BPF_MAP_TYPE_PERCPU_HASH, __VA_ARGS__)
#define BPF_LRU_HASH(...) __st_hash(BPF_MAP_TYPE_LRU_HASH, __VA_ARGS__)

#define __st_array1(kind, name) __st_map(kind, name, int, u64, 10240, 0)
#define __st_array2(kind, name, leaf) __st_map(kind, name, int, leaf, 10240, 0)
#define __st_array3(kind, name, leaf, size) __st_map(kind, name, int, leaf, size, 0)
#define __st_array(kind, ...) \
	__st_pick5(__VA_ARGS__, , , __st_array3, __st_array2, __st_array1, )(kind, __VA_ARGS__)
#define BPF_ARRAY(...) __st_array(BPF_MAP_TYPE_ARRAY, __VA_ARGS__)
#define BPF_PERCPU_ARRAY(...) __st_array(BPF_MAP_TYPE_PERCPU_ARRAY, __VA_ARGS__)

#define __st_histogram1(name) __st_map(BPF_MAP_TYPE_ARRAY, name, int, u64, 64, 0)
#define __st_histogram2(name, key) __st_map(BPF_MAP_TYPE_HASH, name, key, u64, 64, 0)
#define __st_histogram3(name, key, size) __st_map(BPF_MAP_TYPE_HASH, name, key, u64, size, 0)
#define BPF_HISTOGRAM(...) \
	__st_pick5(__VA_ARGS__, , , __st_histogram3, __st_histogram2, __st_histogram1, )(__VA_ARGS__)

/* bcc names the kinds of BPF_TABLE by strings: BPF_TABLE("hash", key, leaf, name, size) arrives as __st_table_hash(...). */
#define __st_table_hash(key, leaf, name, size) __st_map(BPF_MAP_TYPE_HASH, name, key, leaf, size, 0)
#define __st_table_array(key, leaf, name, size) __st_map(BPF_MAP_TYPE_ARRAY, name, key, leaf, size, 0)
#define __st_table_percpu_hash(key, leaf, name, size) __st_map(BPF_MAP_TYPE_PERCPU_HASH, name, key, leaf, size, 0)
#define __st_table_percpu_array(key, leaf, name, size) __st_map(BPF_MAP_TYPE_PERCPU_ARRAY, name, key, leaf, size, 0)
#define __st_table_lru_hash(key, leaf, name, size) __st_map(BPF_MAP_TYPE_LRU_HASH, name, key, leaf, size, 0)
#define BPF_PROG_ARRAY(name, size) __st_map(BPF_MAP_TYPE_PROG_ARRAY, name, u32, u32, size, 0)
/* 0 entries: one for each CPU, filled in when the map is created. */
#define BPF_PERF_OUTPUT(name) __st_map(BPF_MAP_TYPE_PERF_EVENT_ARRAY, name, int, u32, 0, 0)
#define BPF_RINGBUF_OUTPUT(name, pages)                   \
	struct {                                          \
		int (*type)[BPF_MAP_TYPE_RINGBUF];        \
		int (*max_entries)[(pages) * 4096];       \
	} name SEC(".maps")

/* Table methods. */
#define __st_leaf(table) __typeof__(*(table).value)
#define __st_lookup(table, k) ((__typeof__((table).value))bpf_map_lookup_elem(&(table), (k)))
#define __st_update(table, k, v) bpf_map_update_elem(&(table), (k), (v), BPF_ANY)
#define __st_insert(table, k, v) bpf_map_update_elem(&(table), (k), (v), BPF_NOEXIST)
#define __st_delete(table, k) bpf_map_delete_elem(&(table), (k))
#define __st_lookup_or_try_init(table, k, v)                                    \
	({                                                                      \
		__typeof__((table).value) __st_found = __st_lookup(table, k);   \
		if (!__st_found) {                                              \
			__st_insert(table, k, v);                               \
			__st_found = __st_lookup(table, k);                     \
		}                                                               \
		__st_found;                                                     \
	})
#define __st_lookup_or_init(table, k, v)                                                 \
	({                                                                               \
		__typeof__((table).value) __st_there = __st_lookup_or_try_init(table, k, v); \
		if (!__st_there)                                                         \
			return 0;                                                        \
		__st_there;                                                              \
	})
#define __st_add(table, k, how, n)                                                       \
	({                                                                                     \
		__typeof__(*(table).key) __st_key = (k);                                       \
		__st_leaf(table) __st_zero = {};                                               \
		__typeof__((table).value) __st_slot = __st_lookup_or_try_init(table, &__st_key, &__st_zero); \
		if (__st_slot)                                                                 \
			how(__st_slot, n);                                                     \
	})
#define __st_plain_add(slot, n) (*(slot) += (n))
#define __st_atomic_add(slot, n) __sync_fetch_and_add((slot), (n))
#define __st_increment(table, ...) __st_increment_(table, __VA_ARGS__, 1)
#define __st_increment_(table, k, n, ...) __st_add(table, k, __st_plain_add, n)
#define __st_atomic_increment(table, ...) __st_atomic_increment_(table, __VA_ARGS__, 1)
#define __st_atomic_increment_(table, k, n, ...) __st_add(table, k, __st_atomic_add, n)
#define __st_perf_submit(table, ctx, data, size) \
	bpf_perf_event_output((ctx), &(table), BPF_F_CURRENT_CPU, (data), (size))
#define __st_ringbuf_output(table, data, size, flags) bpf_ringbuf_output(&(table), (data), (size), (flags))
#define __st_ringbuf_reserve(table, size) bpf_ringbuf_reserve(&(table), (size), 0)
#define __st_ringbuf_submit(table, data, flags) bpf_ringbuf_submit((data), (flags))
#define __st_ringbuf_discard(table, data, flags) bpf_ringbuf_discard((data), (flags))
#define __st_call(table, ctx, index) bpf_tail_call((ctx), &(table), (index))

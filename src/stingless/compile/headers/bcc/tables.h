/* Tables: a BTF-defined map each, a struct variable in section .maps whose members' types describe it.  What a map has
 * no attribute for goes by declaration tags, which stingless/bcc/shared.py reads: "bcc:kind=" with the string that
 * BPF_TABLE() was given, "bcc:scope=public" or "shared".  The methods are in table_methods.h. */
#pragma once

#define __st_pick(_1, _2, _3, _4, _5, _6, _7, chosen, ...) chosen
#define __st_tag(text) __attribute__((btf_decl_tag("bcc:" text)))
#define __st_sized(kind, size, flags)             \
	int (*type)[kind];                        \
	int (*max_entries)[(unsigned int)(size)]; \
	int (*map_flags)[(unsigned int)(flags)]
#define __st_map(kind, key_type, leaf_type, name, size, flags) \
	struct {                                               \
		__st_sized(kind, size, flags);                 \
		__typeof__(key_type) *key;                     \
		__typeof__(leaf_type) *value;                  \
	} name SEC(".maps")
#define __st_roundup_pow_of_two(n) ((n) <= 1 ? 1 : 1U << (32 - __builtin_clz((n) - 1)))

/* The kinds that BPF_TABLE() names: "hash"; "hash:/sys/fs/bpf/path" is pinned, "array_of_maps$inner" has a template.
 * So the beginning counts, and longer names come first.  "extern" stands for what another BPF object has. */
#define __st_is(kind, name) (!__builtin_strncmp(kind, name, sizeof(name) - 1))
#define __st_kind(kind, key_type) \
	(__st_is(kind, "hash_of_maps")             ? BPF_MAP_TYPE_HASH_OF_MAPS \
	 : __st_is(kind, "array_of_maps")          ? BPF_MAP_TYPE_ARRAY_OF_MAPS \
	 : __st_is(kind, "stacktrace")             ? BPF_MAP_TYPE_STACK_TRACE \
	 : __st_is(kind, "hash")                   ? BPF_MAP_TYPE_HASH \
	 : __st_is(kind, "array")                  ? BPF_MAP_TYPE_ARRAY \
	 : __st_is(kind, "percpu_hash")            ? BPF_MAP_TYPE_PERCPU_HASH \
	 : __st_is(kind, "percpu_array")           ? BPF_MAP_TYPE_PERCPU_ARRAY \
	 : __st_is(kind, "lru_hash")               ? BPF_MAP_TYPE_LRU_HASH \
	 : __st_is(kind, "lru_percpu_hash")        ? BPF_MAP_TYPE_LRU_PERCPU_HASH \
	 : __st_is(kind, "lpm_trie")               ? BPF_MAP_TYPE_LPM_TRIE \
	 : __st_is(kind, "histogram")              ? __st_histogram_kind(key_type) \
	 : __st_is(kind, "prog")                   ? BPF_MAP_TYPE_PROG_ARRAY \
	 : __st_is(kind, "perf_output")            ? BPF_MAP_TYPE_PERF_EVENT_ARRAY \
	 : __st_is(kind, "perf_array")             ? BPF_MAP_TYPE_PERF_EVENT_ARRAY \
	 : __st_is(kind, "ringbuf")                ? BPF_MAP_TYPE_RINGBUF \
	 : __st_is(kind, "queue")                  ? BPF_MAP_TYPE_QUEUE \
	 : __st_is(kind, "stack")                  ? BPF_MAP_TYPE_STACK \
	 : __st_is(kind, "cgroup_array")           ? BPF_MAP_TYPE_CGROUP_ARRAY \
	 : __st_is(kind, "devmap")                 ? BPF_MAP_TYPE_DEVMAP \
	 : __st_is(kind, "cpumap")                 ? BPF_MAP_TYPE_CPUMAP \
	 : __st_is(kind, "xskmap")                 ? BPF_MAP_TYPE_XSKMAP \
	 : __st_is(kind, "sk_storage")             ? BPF_MAP_TYPE_SK_STORAGE \
	 : __st_is(kind, "inode_storage")          ? BPF_MAP_TYPE_INODE_STORAGE \
	 : __st_is(kind, "task_storage")           ? BPF_MAP_TYPE_TASK_STORAGE \
	 : __st_is(kind, "sockmap")                ? BPF_MAP_TYPE_SOCKMAP \
	 : __st_is(kind, "sockhash")               ? BPF_MAP_TYPE_SOCKHASH \
	 : __st_is(kind, "cgroup_storage")         ? BPF_MAP_TYPE_CGROUP_STORAGE \
	 : __st_is(kind, "percpu_cgroup_storage")  ? BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE \
	 : __st_is(kind, "extern")                 ? BPF_MAP_TYPE_HASH \
	 : BPF_MAP_TYPE_UNSPEC)
#define __st_histogram_kind(key_type) \
	(__builtin_types_compatible_p(__typeof__(key_type), int) ? BPF_MAP_TYPE_ARRAY : BPF_MAP_TYPE_HASH)

#define BPF_F_TABLE(kind, key_type, leaf_type, name, size, flags) \
	__st_map(__st_kind(kind, key_type), key_type, leaf_type, name, size, flags) __st_tag("kind=" kind)
#define BPF_TABLE(kind, key_type, leaf_type, name, size) BPF_F_TABLE(kind, key_type, leaf_type, name, size, 0)
#define BPF_TABLE_PUBLIC(kind, key_type, leaf_type, name, size) \
	BPF_TABLE(kind, key_type, leaf_type, name, size) __st_tag("scope=public")
#define __st_shared5(kind, key_type, leaf_type, name, size) __st_shared6(kind, key_type, leaf_type, name, size, 0)
#define __st_shared6(kind, key_type, leaf_type, name, size, flags) \
	BPF_F_TABLE(kind, key_type, leaf_type, name, size, flags) __st_tag("scope=shared")
#define BPF_TABLE_SHARED(...) __st_pick(__VA_ARGS__, , __st_shared6, __st_shared5, , , , , )(__VA_ARGS__)
#define __st_pinned6(kind, key_type, leaf_type, name, size, pin) \
	BPF_TABLE(kind ":" pin, key_type, leaf_type, name, size)
#define __st_pinned7(kind, key_type, leaf_type, name, size, pin, flags) \
	BPF_F_TABLE(kind ":" pin, key_type, leaf_type, name, size, flags)
#define BPF_TABLE_PINNED(...) __st_pick(__VA_ARGS__, __st_pinned7, __st_pinned6, , , , , , )(__VA_ARGS__)

#define __st_hash1(kind, flags, name) __st_map(kind, u64, u64, name, 10240, flags)
#define __st_hash2(kind, flags, name, key) __st_map(kind, key, u64, name, 10240, flags)
#define __st_hash3(kind, flags, name, key, leaf) __st_map(kind, key, leaf, name, 10240, flags)
#define __st_hash4(kind, flags, name, key, leaf, size) __st_map(kind, key, leaf, name, size, flags)
#define __st_hash5(kind, flags, name, key, leaf, size, more) __st_map(kind, key, leaf, name, size, (flags) | (more))
#define __st_hash(kind, flags, ...) \
	__st_pick(__VA_ARGS__, , , __st_hash5, __st_hash4, __st_hash3, __st_hash2, __st_hash1, )(kind, flags, __VA_ARGS__)
#define BPF_HASH(...) __st_hash(BPF_MAP_TYPE_HASH, 0, __VA_ARGS__)
#define BPF_PERCPU_HASH(...) __st_hash(BPF_MAP_TYPE_PERCPU_HASH, 0, __VA_ARGS__)
#define BPF_LRU_HASH(...) __st_hash(BPF_MAP_TYPE_LRU_HASH, 0, __VA_ARGS__)
#define BPF_LPM_TRIE(...) __st_hash(BPF_MAP_TYPE_LPM_TRIE, BPF_F_NO_PREALLOC, __VA_ARGS__)

#define __st_array1(kind, name) __st_map(kind, int, u64, name, 10240, 0)
#define __st_array2(kind, name, leaf) __st_map(kind, int, leaf, name, 10240, 0)
#define __st_array3(kind, name, leaf, size) __st_map(kind, int, leaf, name, size, 0)
#define __st_array(kind, ...) \
	__st_pick(__VA_ARGS__, , , , , __st_array3, __st_array2, __st_array1, )(kind, __VA_ARGS__)
#define BPF_ARRAY(...) __st_array(BPF_MAP_TYPE_ARRAY, __VA_ARGS__)
#define BPF_PERCPU_ARRAY(...) __st_array(BPF_MAP_TYPE_PERCPU_ARRAY, __VA_ARGS__)

#define __st_histogram1(name) __st_histogram3(name, int, 64)
#define __st_histogram2(name, key) __st_histogram3(name, key, 64)
#define __st_histogram3(name, key, size) __st_map(__st_histogram_kind(key), key, u64, name, size, 0)
#define BPF_HISTOGRAM(...) \
	__st_pick(__VA_ARGS__, , , , , __st_histogram3, __st_histogram2, __st_histogram1, )(__VA_ARGS__)

#ifdef PERF_MAX_STACK_DEPTH
#define BPF_MAX_STACK_DEPTH PERF_MAX_STACK_DEPTH
#else
#define BPF_MAX_STACK_DEPTH 127
#endif
struct bpf_stacktrace {
	u64 ip[BPF_MAX_STACK_DEPTH];
};
struct bpf_stacktrace_buildid {
	struct bpf_stack_build_id trace[BPF_MAX_STACK_DEPTH];
};
#define __st_stacks(leaf, name, size, flags) \
	__st_map(BPF_MAP_TYPE_STACK_TRACE, int, leaf, name, __st_roundup_pow_of_two(size), flags)
#define BPF_STACK_TRACE(name, size) __st_stacks(struct bpf_stacktrace, name, size, 0)
#define BPF_STACK_TRACE_BUILDID(name, size) \
	__st_stacks(struct bpf_stacktrace_buildid, name, size, BPF_F_STACK_BUILD_ID)

#define BPF_PROG_ARRAY(name, size) __st_map(BPF_MAP_TYPE_PROG_ARRAY, u32, u32, name, size, 0)
#define BPF_CGROUP_ARRAY(name, size) __st_map(BPF_MAP_TYPE_CGROUP_ARRAY, int, u32, name, size, 0)
#define BPF_PERF_ARRAY(name, size) __st_map(BPF_MAP_TYPE_PERF_EVENT_ARRAY, int, u32, name, size, 0)
/* 0 entries: one for each CPU, filled in when the map is created. */
#define BPF_PERF_OUTPUT(name) __st_map(BPF_MAP_TYPE_PERF_EVENT_ARRAY, int, u32, name, 0, 0)
#define BPF_RINGBUF_OUTPUT(name, pages)                                 \
	struct {                                                        \
		__st_sized(BPF_MAP_TYPE_RINGBUF, (pages) * 4096, 0);    \
	} name SEC(".maps")

#define BPF_ARRAY_OF_MAPS(name, inner, size) BPF_TABLE("array_of_maps$" inner, int, int, name, size)
#define __st_hash_of_maps2(name, inner) __st_hash_of_maps4(name, int, inner, 10240)
#define __st_hash_of_maps3(name, key, inner) __st_hash_of_maps4(name, key, inner, 10240)
#define __st_hash_of_maps4(name, key, inner, size) BPF_TABLE("hash_of_maps$" inner, key, int, name, size)
#define BPF_HASH_OF_MAPS(...) \
	__st_pick(__VA_ARGS__, , , , __st_hash_of_maps4, __st_hash_of_maps3, __st_hash_of_maps2, , )(__VA_ARGS__)

/* The kind of a queue or stack is a string, as that of BPF_TABLE(). */
#define BPF_QUEUESTACK(kind, name, leaf_type, size, flags)     \
	struct {                                               \
		__st_sized(__st_kind(kind, int), size, flags); \
		__typeof__(leaf_type) *value;                  \
	} name SEC(".maps") __st_tag("kind=" kind)
#define BPF_QUEUESTACK_PINNED(kind, name, leaf_type, size, flags, pin) \
	BPF_QUEUESTACK(kind ":" pin, name, leaf_type, size, flags)
#define BPF_QUEUESTACK_PUBLIC(kind, name, leaf_type, size, flags) \
	BPF_QUEUESTACK(kind, name, leaf_type, size, flags) __st_tag("scope=public")
#define BPF_QUEUESTACK_SHARED(kind, name, leaf_type, size, flags) \
	BPF_QUEUESTACK(kind, name, leaf_type, size, flags) __st_tag("scope=shared")
#define __st_queue3(kind, name, leaf, size) BPF_QUEUESTACK(kind, name, leaf, size, 0)
#define __st_queue4(kind, name, leaf, size, flags) BPF_QUEUESTACK(kind, name, leaf, size, flags)
#define __st_queue(kind, ...) __st_pick(__VA_ARGS__, , , , __st_queue4, __st_queue3, , , )(kind, __VA_ARGS__)
#define BPF_QUEUE(...) __st_queue("queue", __VA_ARGS__)
#define BPF_STACK(...) __st_queue("stack", __VA_ARGS__)

#define BPF_XDP_REDIRECT_MAP(kind, leaf_type, name, size) BPF_TABLE(kind, u32, leaf_type, name, size)
#define BPF_DEVMAP(name, size) __st_map(BPF_MAP_TYPE_DEVMAP, u32, int, name, size, 0)
#define BPF_CPUMAP(name, size) __st_map(BPF_MAP_TYPE_CPUMAP, u32, u32, name, size, 0)
#define __st_xskmap2(name, size) __st_map(BPF_MAP_TYPE_XSKMAP, u32, int, name, size, 0)
#define __st_xskmap3(name, size, pin) BPF_TABLE("xskmap:" pin, u32, int, name, size)
#define BPF_XSKMAP(...) __st_pick(__VA_ARGS__, , , , , __st_xskmap3, __st_xskmap2, , )(__VA_ARGS__)

#define BPF_SOCKMAP(name, size) __st_map(BPF_MAP_TYPE_SOCKMAP, u32, int, name, size, 0)
#define __st_sockhash1(name) __st_sockhash3(name, u32, 10240)
#define __st_sockhash2(name, key) __st_sockhash3(name, key, 10240)
#define __st_sockhash3(name, key, size) __st_map(BPF_MAP_TYPE_SOCKHASH, key, int, name, size, 0)
#define BPF_SOCKHASH(...) \
	__st_pick(__VA_ARGS__, , , , , __st_sockhash3, __st_sockhash2, __st_sockhash1, )(__VA_ARGS__)

#define BPF_SK_STORAGE(name, leaf) __st_map(BPF_MAP_TYPE_SK_STORAGE, int, leaf, name, 0, BPF_F_NO_PREALLOC)
#define BPF_INODE_STORAGE(name, leaf) __st_map(BPF_MAP_TYPE_INODE_STORAGE, int, leaf, name, 0, BPF_F_NO_PREALLOC)
#define BPF_TASK_STORAGE(name, leaf) __st_map(BPF_MAP_TYPE_TASK_STORAGE, int, leaf, name, 0, BPF_F_NO_PREALLOC)
#define __st_cgroup_storage(kind, name, leaf) __st_map(kind, struct bpf_cgroup_storage_key, leaf, name, 0, 0)
#define BPF_CGROUP_STORAGE(name, leaf) __st_cgroup_storage(BPF_MAP_TYPE_CGROUP_STORAGE, name, leaf)
#define BPF_PERCPU_CGROUP_STORAGE(name, leaf) __st_cgroup_storage(BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE, name, leaf)

#include <table_methods.h>

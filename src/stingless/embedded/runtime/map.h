/* Maps.  Results are 0 or a negative errno, the same as bpf(2) gives.
 *
 * This is what the rest of the kernel needs of them: the types, the descriptor, users' and programs' operations.  Look-ups
 * in hashes and arrays are in map_lookup.h, to be inlined; each family of types has a file of its own, map_<family>.c.
 *
 * Memory that a program may still hold a pointer to stays mapped while the map lives: array values never move, and the
 * element of a deleted hash key goes to a free list, as on Linux. */
#pragma once
#include "libc.h"
#include "ring.h"
#include "runtime.h"

enum st_map_type {
	ST_HASH = 1, ST_ARRAY = 2, ST_PROG_ARRAY = 3, ST_PERF_EVENT_ARRAY = 4, ST_PERCPU_HASH = 5, ST_PERCPU_ARRAY = 6,
	ST_STACK_TRACE = 7, ST_CGROUP_ARRAY = 8, ST_LRU_HASH = 9, ST_LRU_PERCPU_HASH = 10, ST_LPM_TRIE = 11,
	ST_ARRAY_OF_MAPS = 12, ST_HASH_OF_MAPS = 13, ST_DEVMAP = 14, ST_SOCKMAP = 15, ST_CPUMAP = 16, ST_XSKMAP = 17,
	ST_SOCKHASH = 18, ST_CGROUP_STORAGE = 19, ST_REUSEPORT_SOCKARRAY = 20, ST_PERCPU_CGROUP_STORAGE = 21, ST_QUEUE = 22,
	ST_STACK_MAP = 23, ST_SK_STORAGE = 24, ST_DEVMAP_HASH = 25, ST_RINGBUF = 27, ST_INODE_STORAGE = 28,
	ST_TASK_STORAGE = 29, ST_BLOOM_FILTER = 30, ST_USER_RINGBUF = 31, ST_CGRP_STORAGE = 32, ST_ARENA = 33,
};

enum { BPF_ANY = 0, BPF_NOEXIST = 1, BPF_EXIST = 2, BPF_F_LOCK = 4 };

enum { /* flags of a map */
	ST_NO_PREALLOC = 1 << 0, ST_NO_COMMON_LRU = 1 << 1, ST_ZERO_SEED = 1 << 6,
};

/* A field of a value that is not data: programs use it through helpers only.  It reads as zero and is not overwritten. */
enum st_field_kind {
	ST_FIELD_SPIN_LOCK = 1, ST_FIELD_TIMER, ST_FIELD_KPTR, ST_FIELD_WORKQUEUE, ST_FIELD_LIST_HEAD, ST_FIELD_RB_ROOT,
	ST_FIELD_REFCOUNT, ST_FIELD_UPTR, ST_FIELD_TASK_WORK, ST_FIELD_RES_SPIN_LOCK,
};

struct st_field {
	u32 offset, size;
	u32 kind;
	u32 type; /* of what a kptr points to: a BTF id of the map's own BTF */
};

struct st_map_spec {
	u32 type, key_size, value_size, max_entries, flags, field_count;
	u64 extra;
	const struct st_field *fields; /* copied */
};

struct st_bucket {
	u32 first; /* number of an element; 0 or ST_NULLS | this bucket: empty */
	st_lock lock;
};

/* The descriptor.  Nothing in it changes between creation and destruction, except `next`: what does change is behind its
 * pointers.  So a JIT may copy it into its module as a constant, and fold it into a look-up from map_lookup.h.
 *
 * A table (of programs, maps, interfaces, sockets...) is an array or a hash of 8-byte values: what user space gives and
 * gets for them is translated by embedded/. */
struct st_map {
	u32 type, key_size, value_size, max_entries;
	u32 flags;
	u32 stride;       /* value_size rounded up to 8 */
	u32 copies;       /* of a value: the CPUs of a per-CPU map, else 1 */
	u32 spin_lock;    /* offset of the spin lock in a value; ~0: it has none */
	u64 value_bytes;  /* of a value in user space */
	u8 *memory;       /* array: values; hash: elements; queue and stack: values; arena: its pages */
	u64 memory_size;
	/* hash */
	struct st_bucket *buckets;
	u32 bucket_mask, element_size, key_offset, value_offset;
	u64 seed;
	const struct st_field *fields;
	u32 field_count, padding;
	const struct st_map_ops *ops;
	struct st_ring *ring; /* RINGBUF; PERF_EVENT_ARRAY: a tee to the readers */
	void *state;          /* the family's own */
	struct st_map *next;  /* of all maps */
};

/* 0 with *made set.  The caller has validated sizes; what can fail is memory. */
ST_EXPORT int st_map_create(const struct st_map_spec *spec, struct st_map **made);
ST_EXPORT void st_map_destroy(struct st_map *map);
ST_EXPORT u64 st_map_value_bytes(const struct st_map *map);

/* User space's operations: values are `value_bytes` long. */
ST_EXPORT int st_map_get(struct st_map *map, const void *key, void *value, u64 flags);
ST_EXPORT int st_map_set(struct st_map *map, const void *key, const void *value, u64 flags);
ST_EXPORT int st_map_delete(struct st_map *map, const void *key);
ST_EXPORT int st_map_contains(struct st_map *map, const void *value); /* bloom filter: 0 or -ENOENT */
ST_EXPORT int st_map_next(struct st_map *map, const void *key, void *next);
ST_EXPORT int st_map_take(struct st_map *map, const void *key, void *value, u64 flags); /* lookup and delete; pop */
/* Copies all keys (key_size each) and values (value_bytes each).  Returns how many there are; when that is more than
 * `room`, what was copied is not to be used. */
ST_EXPORT u64 st_map_items(struct st_map *map, u8 *keys, u8 *values, u64 room);
/* Removes entries of a hash and copies them, from bucket *position on, bucket by bucket, as long as there is room.
 * Returns how many; *position is the bucket to go on at, or ~0 at the end. */
ST_EXPORT u64 st_map_take_items(struct st_map *map, u32 *position, u8 *keys, u8 *values, u64 room);
/* Sets `count` packed entries until one fails; `*done` is how many went before that. */
ST_EXPORT int st_map_set_many(struct st_map *map, const u8 *keys, const u8 *values, u64 count, u64 flags, u64 *done);
/* Deletes packed keys; missing ones are passed over.  0 with `*removed` set, or the first other error. */
ST_EXPORT int st_map_delete_many(struct st_map *map, const u8 *keys, u64 count, u64 *removed);
/* What keys are spread with; before there are any. */
ST_EXPORT void st_map_set_seed(struct st_map *map, u64 seed);
ST_EXPORT void *st_map_memory(struct st_map *map);
ST_EXPORT struct st_ring *st_map_ring(struct st_map *map);

/* Programs' operations. */
void *st_map_lookup(struct st_map *map, const void *key, u32 cpu);
int st_map_update(struct st_map *map, const void *key, const void *value, u64 flags, u32 cpu);
int st_map_push(struct st_map *map, const void *value, u64 flags);
int st_map_peek(struct st_map *map, void *value, bool pop);
const struct st_prog *st_map_program(const struct st_map *map, u32 index);

/* Calls `visit` for each key with a pointer to the value of `cpu`, until it returns other than 0.  Returns the calls made,
 * or -EINVAL for a type that has no such walk. */
typedef u64 (*st_visit)(void *state, const void *key, void *value);
s64 st_map_each(struct st_map *map, u32 cpu, st_visit visit, void *state);

/* TASK_, INODE_, SK_ and CGRP_STORAGE: by the number of an object.  The value, or 0; with `create` a new one, of `initial`
 * or zeroes.  User space's operations take the number as an 8-byte key. */
void *st_storage_get(struct st_map *map, u64 object, const void *initial, bool create);
int st_storage_delete(struct st_map *map, u64 object);
ST_EXPORT void st_storage_forget(u32 type, u64 object); /* it is gone: in all maps of that type */
u64 st_storage_span(const struct st_map *map, u64 address);
/* CGROUP_STORAGE and PERCPU_CGROUP_STORAGE: the value of a program attached to a cgroup, made when it is not there. */
void *st_cgroup_storage(struct st_map *map, u64 cgroup, u32 attach_type, u32 cpu);

/* What SOCKMAP, SOCKHASH and XSKMAP hold: struct bpf_sock as programs read it (of an AF_XDP socket, struct bpf_xdp_sock). */
struct st_socket {
	u8 visible[80];
	u64 cookie;
};

/* STACK_TRACE: the number of a stack, innermost frame first, or -EEXIST; `flags` as bpf_get_stackid()'s. */
s64 st_stack_add(struct st_map *map, const u64 *frames, u32 count, u64 flags);

/* USER_RINGBUF.  Between begin (0 or -EBUSY) and end, each peek gives the next sample: 0, -ENODATA (no more), -EAGAIN (one
 * was discarded: again), or another error; pass goes on to the one after it. */
int st_user_ring_begin(struct st_map *map);
int st_user_ring_peek(struct st_map *map, u8 **sample, u32 *size);
void st_user_ring_pass(struct st_map *map, u32 size);
void st_user_ring_end(struct st_map *map, u64 flags, bool any);

/* ARENA.  A program's address space cast gives window + the lower 32 bits; any such address can be read and written.
 * alloc: the address of `pages` free pages (at `address` if that is not 0), or 0. */
u8 *st_arena_window(const struct st_map *map);
ST_EXPORT u64 st_arena_alloc(struct st_map *map, u64 address, u32 pages);
ST_EXPORT void st_arena_free(struct st_map *map, u64 address, u32 pages);

/* Copies from the value memory of any map: the bytes copied, at most `size`; 0 when `address` is in none.  With `string`,
 * stops after a NUL. */
u64 st_maps_read(void *to, u64 address, u64 size, bool string);
u64 st_copy(void *to, const void *from, u64 size, bool string);

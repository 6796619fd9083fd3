/* Maps.  Results are 0 or a negative errno, the same as bpf(2) gives.
 *
 * Memory that a program may still hold a pointer to stays mapped while the map lives: array values never move, and the
 * element of a deleted hash key goes to a free list, as on Linux. */
#pragma once
#include "libc.h"
#include "ring.h"
#include "runtime.h"

enum st_map_type {
	ST_HASH = 1, ST_ARRAY = 2, ST_PROG_ARRAY = 3, ST_PERF_EVENT_ARRAY = 4, ST_PERCPU_HASH = 5, ST_PERCPU_ARRAY = 6,
	ST_LRU_HASH = 9, ST_LRU_PERCPU_HASH = 10, ST_LPM_TRIE = 11, ST_QUEUE = 22, ST_STACK_MAP = 23, ST_RINGBUF = 27,
	ST_BLOOM_FILTER = 30,
};

enum { BPF_ANY = 0, BPF_NOEXIST = 1, BPF_EXIST = 2 };

struct st_map {
	u32 type, key_size, value_size, max_entries;
	u32 stride;      /* value_size rounded up to 8 */
	u32 copies;      /* of a value: the CPUs of a per-CPU map, else 1 */
	u64 value_bytes; /* of a value in user space */
	st_lock lock;
	u8 *memory;      /* array: values; hash: elements; queue and stack: values */
	u64 memory_size;
	/* hash */
	u32 sequence;    /* odd while chains change; lookups take no lock and try again */
	u32 *buckets;    /* of element numbers; 0 is none */
	u32 bucket_mask, element_size, value_offset;
	u32 free, fresh; /* head of the free list; first element that was never used */
	u32 count;
	u64 seed;
	u32 newest, oldest; /* LRU */
	u32 *prefixes;   /* LPM: how many keys have each prefix length */
	/* queue and stack */
	u32 head, tail;
	/* bloom filter: bits in `memory` */
	u32 bit_mask, hashes;
	const struct st_prog **programs; /* PROG_ARRAY */
	struct st_ring *ring;            /* RINGBUF; PERF_EVENT_ARRAY: a tee to the readers */
	struct st_map *next;             /* of all maps */
};

/* 0 with *made set.  The caller has validated sizes; what can fail is memory. */
ST_EXPORT int st_map_create(u32 type, u32 key_size, u32 value_size, u32 max_entries, u32 flags, u64 extra,
			    struct st_map **made);
ST_EXPORT void st_map_destroy(struct st_map *map);
/* User space's operations: values are `value_bytes` long. */
ST_EXPORT int st_map_get(struct st_map *map, const void *key, void *value);
ST_EXPORT int st_map_set(struct st_map *map, const void *key, const void *value, u64 flags);
ST_EXPORT int st_map_delete(struct st_map *map, const void *key);
ST_EXPORT int st_map_contains(struct st_map *map, const void *value); /* bloom filter: 0 or -ENOENT */
ST_EXPORT int st_map_next(struct st_map *map, const void *key, void *next);
ST_EXPORT int st_map_take(struct st_map *map, const void *key, void *value); /* lookup and delete; pop */
/* Copies all keys (key_size each) and values (value_bytes each).  Returns how many there are; copies none when there are
 * more than `room`. */
ST_EXPORT u64 st_map_items(struct st_map *map, u8 *keys, u8 *values, u64 room);
/* Sets `count` packed entries until one fails; `*done` is how many went before that. */
ST_EXPORT int st_map_set_many(struct st_map *map, const u8 *keys, const u8 *values, u64 count, u64 flags, u64 *done);
/* Deletes packed keys; missing ones are passed over.  0 with `*removed` set, or the first other error. */
ST_EXPORT int st_map_delete_many(struct st_map *map, const u8 *keys, u64 count, u64 *removed);
ST_EXPORT void *st_map_memory(struct st_map *map);
ST_EXPORT struct st_ring *st_map_ring(struct st_map *map);
ST_EXPORT void st_map_set_program(struct st_map *map, u32 index, const struct st_prog *prog);

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

/* Copies from the value memory of any map: the bytes copied, at most `size`; 0 when `address` is in none.  With `string`,
 * stops after a NUL. */
u64 st_maps_read(void *to, u64 address, u64 size, bool string);
u64 st_copy(void *to, const void *from, u64 size, bool string);

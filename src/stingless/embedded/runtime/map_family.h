/* What the families of map types share among themselves. */
#pragma once
#include "map_lookup.h"

/* A family's operations; 0 where a type has none.  `cpu` -1: user space gives the values of all CPUs. */
struct st_map_ops {
	int (*create)(struct st_map *map, u64 extra); /* the general part of the descriptor is there */
	void (*destroy)(struct st_map *map);          /* what is in `state`, also after a create that failed */
	void *(*lookup)(struct st_map *map, const void *key, u32 cpu);
	int (*update)(struct st_map *map, const void *key, const void *value, u64 flags, s32 cpu);
	int (*remove)(struct st_map *map, const void *key, void *value); /* `value` may be 0 */
	int (*get)(struct st_map *map, const void *key, void *value, u64 flags);
	int (*next)(struct st_map *map, const void *key, void *next);
	u64 (*items)(struct st_map *map, u8 *keys, u8 *values, u64 room);
	u64 (*take_items)(struct st_map *map, u32 *position, u8 *keys, u8 *values, u64 room);
	s64 (*each)(struct st_map *map, u32 cpu, st_visit visit, void *state);
	int (*peek)(struct st_map *map, void *value, bool pop);
	bool takes; /* remove() with a value is a lookup-and-delete of bpf(2) */
};

extern const struct st_map_ops st_array_ops, st_table_ops, st_hash_ops, st_hash_table_ops, st_lpm_ops, st_queue_ops,
	st_bloom_ops, st_ring_ops, st_storage_ops, st_stack_ops, st_user_ring_ops, st_arena_ops;

static inline bool st_is_percpu(const struct st_map *map)
{
	return map->type == ST_PERCPU_HASH || map->type == ST_PERCPU_ARRAY || map->type == ST_LRU_PERCPU_HASH ||
	       map->type == ST_PERCPU_CGROUP_STORAGE;
}

static inline bool st_is_lru(const struct st_map *map)
{
	return map->type == ST_LRU_HASH || map->type == ST_LRU_PERCPU_HASH;
}

/* The CPU of a caller from user space; of a program it is in its environment. */
static inline u32 st_this_cpu(void)
{
	return (u32)sched_getcpu() % st_cpus;
}

/* map_value.c: values with their special fields, which keep what they hold when written and read as zero. */
void st_value_write(const struct st_map *map, u8 *to, const void *from);
void st_value_read(const struct st_map *map, void *to, const u8 *from);
/* All copies of a per-CPU map's value, or of another's the one. */
void st_value_read_all(const struct st_map *map, void *to, const u8 *from);
/* `cpu` -1: all copies; else only that one, and with `is_new` zeroes in the others. */
void st_value_write_copies(const struct st_map *map, u8 *to, const void *from, s32 cpu, bool is_new);
/* The same under the value's own spin lock. */
void st_value_write_locked(const struct st_map *map, u8 *to, const void *from);
void st_value_read_locked(const struct st_map *map, void *to, u8 *from);
/* Ends what the fields of a value that goes away hold: timers, kernel pointers. */
void st_value_release(struct st_map *map, u8 *value);
/* 0, or -EINVAL when `flags` ask for what neither this type nor this map has. */
int st_check_flags(const struct st_map *map, u64 flags);

/* map_lru.c: which element of an LRU hash is given up, by Linux's rules. */
int st_lru_create(struct st_map *map);
void st_lru_destroy(struct st_map *map);
u32 st_lru_take(struct st_map *map, u32 cpu); /* the number of an element that is in no bucket; 0: none */
void st_lru_give(struct st_map *map, u32 number);
/* map_hash.c, for map_lru.c: takes the element out of its bucket.  False when it is in none. */
bool st_hash_evict(struct st_map *map, u32 number);

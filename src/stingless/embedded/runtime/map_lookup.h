/* Look-ups in arrays and hashes, written to be inlined: with a constant descriptor all that is left of them is the hash,
 * the walk and the comparison.
 *
 * They take no lock.  A bucket's chain ends in ST_NULLS | its number, and a removed element keeps its link until it is
 * used again: so a walk that an element carried off into another chain ends at the wrong number, and starts again. */
#pragma once
#include "map.h"

#define ST_NULLS (1u << 31)

struct st_element {
	u32 next;
	u32 link;  /* free list; LRU: towards the newer */
	u32 back;  /* LRU from here on */
	u16 cpu;
	u8 list, referenced;
};

#define ST_PLAIN_HEADER 8 /* of an element without the LRU's part */

static inline u64 st_fold(u64 a, u64 b)
{
	unsigned __int128 product = (unsigned __int128)a * b;
	return (u64)product ^ (u64)(product >> 64);
}

static inline u64 st_word(const u8 *at, u32 size)
{
	u64 value = 0;
	__builtin_memcpy(&value, at, size < 8 ? size : 8);
	return value;
}

static inline u32 st_u32(const void *at)
{
	u32 value;
	__builtin_memcpy(&value, at, 4);
	return value;
}

#define ST_MIX_A 0x9e3779b97f4a7c15ull
#define ST_MIX_B 0xd1b54a32d192ed03ull

static inline u64 st_hash_bytes(const u8 *key, u32 size, u64 seed)
{
	u64 hash = seed ^ ST_MIX_B;
	if (size == 4)
		return st_fold(hash ^ st_u32(key), ST_MIX_A);
	for (; size > 8; key += 8, size -= 8)
		hash = st_fold(hash ^ st_word(key, 8), ST_MIX_A);
	return st_fold(hash ^ (size == 8 ? st_word(key, 8) : st_word(key, size)), ST_MIX_A);
}

static inline u32 st_bucket_of(const struct st_map *map, const void *key)
{
	return (u32)st_hash_bytes(key, map->key_size, map->seed) & map->bucket_mask;
}

static inline struct st_element *st_element_at(const struct st_map *map, u32 number)
{
	return (struct st_element *)(map->memory + (u64)(number - 1) * map->element_size);
}

static inline u8 *st_key_of(const struct st_map *map, const struct st_element *element)
{
	return (u8 *)element + map->key_offset;
}

static inline u8 *st_value_of(const struct st_map *map, const struct st_element *element)
{
	return (u8 *)element + map->value_offset;
}

static inline bool st_same_key(const struct st_map *map, const struct st_element *element, const void *key)
{
	const u8 *mine = st_key_of(map, element);
	if (map->key_size == 4)
		return st_u32(mine) == st_u32(key);
	if (map->key_size == 8)
		return st_word(mine, 8) == st_word(key, 8);
	return !memcmp(mine, key, map->key_size);
}

/* The element of `key`, or 0. */
static inline struct st_element *st_hash_find(const struct st_map *map, const void *key)
{
	u32 bucket = st_bucket_of(map, key);
	for (;;) {
		u32 number = __atomic_load_n(&map->buckets[bucket].first, __ATOMIC_ACQUIRE);
		while (number && !(number & ST_NULLS)) {
			struct st_element *element = st_element_at(map, number);
			if (st_same_key(map, element, key))
				return element;
			number = __atomic_load_n(&element->next, __ATOMIC_ACQUIRE);
		}
		if (likely(!number || number == (ST_NULLS | bucket)))
			return 0;
	}
}

/* The value of `key`, or 0: HASH, PERCPU_HASH (that of `cpu`), and with `lru` LRU_HASH and LRU_PERCPU_HASH. */
static inline void *st_hash_lookup(const struct st_map *map, const void *key, u32 cpu, bool lru)
{
	struct st_element *element = st_hash_find(map, key);
	if (!element)
		return 0;
	if (lru && !element->referenced)
		__atomic_store_n(&element->referenced, 1, __ATOMIC_RELAXED);
	return st_value_of(map, element) + (map->copies > 1 ? (u64)cpu * map->stride : 0);
}

/* ARRAY and PERCPU_ARRAY. */
static inline void *st_array_lookup(const struct st_map *map, const void *key, u32 cpu)
{
	u32 index = st_u32(key);
	if (index >= map->max_entries)
		return 0;
	return map->memory + ((u64)index * map->copies + (map->copies > 1 ? cpu : 0)) * map->stride;
}

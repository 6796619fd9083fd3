/* BLOOM_FILTER: bits that are only ever set. */
#include "map_family.h"

struct bloom {
	u32 bit_mask, hashes;
};

static int bloom_create(struct st_map *map, u64 extra)
{
	struct bloom *bloom = map->state = calloc(1, sizeof(*bloom));
	if (!bloom)
		return -ENOMEM;
	bloom->hashes = extra & 15 ? extra & 15 : 5;
	u64 bits = 64;
	while (bits < (u64)map->max_entries * bloom->hashes * 7 / 5 && bits < 1ull << 32)
		bits *= 2;
	bloom->bit_mask = (u32)(bits - 1);
	map->memory_size = bits / 8;
	return 0;
}

static u32 bit_of(const struct st_map *map, const void *value, u32 number)
{
	const struct bloom *bloom = map->state;
	return (u32)st_fold(st_hash_bytes(value, map->value_size, map->seed + number), ST_MIX_B) & bloom->bit_mask;
}

static int bloom_add(struct st_map *map, const void *key, const void *value, u64 flags, s32 cpu)
{
	(void)key, (void)cpu;
	const struct bloom *bloom = map->state;
	if (flags)
		return -EINVAL;
	for (u32 number = 0; number < bloom->hashes; number++) {
		u32 bit = bit_of(map, value, number);
		__atomic_fetch_or(map->memory + bit / 8, (u8)(1 << bit % 8), __ATOMIC_RELAXED);
	}
	return 0;
}

static int bloom_peek(struct st_map *map, void *value, bool pop)
{
	const struct bloom *bloom = map->state;
	if (pop)
		return -EOPNOTSUPP;
	for (u32 number = 0; number < bloom->hashes; number++) {
		u32 bit = bit_of(map, value, number);
		if (!(__atomic_load_n(map->memory + bit / 8, __ATOMIC_RELAXED) & 1 << bit % 8))
			return -ENOENT;
	}
	return 0;
}

static void bloom_destroy(struct st_map *map)
{
	free(map->state);
}

const struct st_map_ops st_bloom_ops = {
	.create = bloom_create, .destroy = bloom_destroy, .update = bloom_add, .peek = bloom_peek,
};

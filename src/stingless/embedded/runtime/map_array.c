/* ARRAY and PERCPU_ARRAY; and tables by index, whose 8-byte values are programs, maps, interfaces, sockets... */
#include "map_family.h"

static int array_create(struct st_map *map, u64 extra)
{
	(void)extra;
	map->memory_size = (u64)map->stride * map->copies * map->max_entries;
	return 0;
}

static void *array_lookup(struct st_map *map, const void *key, u32 cpu)
{
	return st_array_lookup(map, key, cpu);
}

static int array_update(struct st_map *map, const void *key, const void *value, u64 flags, s32 cpu)
{
	if (st_check_flags(map, flags))
		return -EINVAL;
	u8 *at = st_array_lookup(map, key, 0);
	if (!at)
		return -E2BIG;
	if (flags & BPF_NOEXIST)
		return -EEXIST;
	if (flags & BPF_F_LOCK)
		st_value_write_locked(map, at, value);
	else
		st_value_write_copies(map, at, value, cpu, false);
	if (map->field_count)
		st_value_release(map, at);
	return 0;
}

static int array_get(struct st_map *map, const void *key, void *value, u64 flags)
{
	u8 *at = st_array_lookup(map, key, 0);
	if (!at)
		return -ENOENT;
	if (flags & BPF_F_LOCK)
		st_value_read_locked(map, value, at);
	else
		st_value_read_all(map, value, at);
	return 0;
}

static int array_next(struct st_map *map, const void *key, void *next)
{
	u32 index = key ? st_u32(key) : ~0u;
	if (index >= map->max_entries)
		index = 0;
	else if (++index == map->max_entries)
		return -ENOENT;
	memcpy(next, &index, sizeof(index));
	return 0;
}

static u64 array_items(struct st_map *map, u8 *keys, u8 *values, u64 room)
{
	if (map->max_entries <= room)
		for (u32 index = 0; index < map->max_entries; index++) {
			memcpy(keys + (u64)index * sizeof(index), &index, sizeof(index));
			st_value_read_all(map, values + index * map->value_bytes, st_array_lookup(map, &index, 0));
		}
	return map->max_entries;
}

static s64 array_each(struct st_map *map, u32 cpu, st_visit visit, void *state)
{
	s64 visited = 0;
	for (u32 index = 0; index < map->max_entries; index++) {
		u32 key = index; /* the visitor's own */
		visited++;
		if (visit(state, &key, st_array_lookup(map, &index, cpu)))
			break;
	}
	return visited;
}

static void array_destroy(struct st_map *map)
{
	for (u32 index = 0; map->field_count && map->memory && index < map->max_entries; index++)
		st_value_release(map, st_array_lookup(map, &index, 0));
}

const struct st_map_ops st_array_ops = {
	.create = array_create, .destroy = array_destroy, .lookup = array_lookup, .update = array_update, .get = array_get,
	.next = array_next, .items = array_items, .each = array_each,
};

/* ---- tables ---- */

static void *held_at(struct st_map *map, const void *key)
{
	u64 *slot = st_array_lookup(map, key, 0);
	return slot ? (void *)__atomic_load_n(slot, __ATOMIC_ACQUIRE) : 0;
}

/* A program gets what is held: an inner map, a socket; of an interface, its record. */
static void *table_lookup(struct st_map *map, const void *key, u32 cpu)
{
	void *held = held_at(map, key);
	return held && map->type == ST_DEVMAP ? st_array_lookup(map, key, cpu) : held;
}

/* 0 means that there is nothing at an index. */
static int table_update(struct st_map *map, const void *key, const void *value, u64 flags, s32 cpu)
{
	(void)cpu;
	u64 *slot = st_array_lookup(map, key, 0), held;
	if (flags > BPF_EXIST)
		return -EINVAL;
	if (!slot)
		return -E2BIG;
	memcpy(&held, value, sizeof(held));
	__atomic_store_n(slot, held, __ATOMIC_RELEASE);
	return 0;
}

static int table_get(struct st_map *map, const void *key, void *value, u64 flags)
{
	(void)flags;
	void *held = held_at(map, key);
	memcpy(value, &held, sizeof(held));
	return held ? 0 : -ENOENT;
}

static int table_remove(struct st_map *map, const void *key, void *value)
{
	u64 *slot = st_array_lookup(map, key, 0);
	if (!slot)
		return -E2BIG;
	u64 held = __atomic_exchange_n(slot, 0, __ATOMIC_ACQ_REL);
	if (value)
		memcpy(value, &held, sizeof(held));
	return held ? 0 : -ENOENT;
}

const struct st_map_ops st_table_ops = {
	.create = array_create, .lookup = table_lookup, .update = table_update, .remove = table_remove, .get = table_get,
	.next = array_next,
};

/* Any map: creation, the list of all, and the way from an operation to the family that does it. */
#include "map_family.h"

static st_lock all_lock;
static struct st_map *all;

/* ---- RINGBUF and PERF_EVENT_ARRAY: records, see ring.h ---- */

static int ring_create(struct st_map *map, u64 extra)
{
	(void)extra;
	map->ring = st_ring_create(map->type == ST_RINGBUF ? map->max_entries : 0);
	return map->ring ? 0 : -ENOMEM;
}

static void ring_destroy(struct st_map *map)
{
	if (map->ring)
		st_ring_destroy(map->ring);
}

const struct st_map_ops st_ring_ops = {.create = ring_create, .destroy = ring_destroy};

/* ---- life ---- */

static const struct st_map_ops *const families[] = {
	[ST_HASH] = &st_hash_ops, [ST_PERCPU_HASH] = &st_hash_ops, [ST_LRU_HASH] = &st_hash_ops,
	[ST_LRU_PERCPU_HASH] = &st_hash_ops, [ST_ARRAY] = &st_array_ops, [ST_PERCPU_ARRAY] = &st_array_ops,
	[ST_PROG_ARRAY] = &st_table_ops, [ST_LPM_TRIE] = &st_lpm_ops, [ST_QUEUE] = &st_queue_ops,
	[ST_STACK_MAP] = &st_queue_ops, [ST_BLOOM_FILTER] = &st_bloom_ops, [ST_RINGBUF] = &st_ring_ops,
	[ST_PERF_EVENT_ARRAY] = &st_ring_ops, [ST_USER_RINGBUF] = &st_user_ring_ops, [ST_ARENA] = &st_arena_ops,
	[ST_STACK_TRACE] = &st_stack_ops, [ST_CGROUP_ARRAY] = &st_table_ops, [ST_ARRAY_OF_MAPS] = &st_table_ops,
	[ST_HASH_OF_MAPS] = &st_hash_table_ops, [ST_DEVMAP] = &st_table_ops, [ST_DEVMAP_HASH] = &st_hash_table_ops,
	[ST_CPUMAP] = &st_table_ops, [ST_XSKMAP] = &st_table_ops, [ST_SOCKMAP] = &st_table_ops,
	[ST_SOCKHASH] = &st_hash_table_ops, [ST_CGROUP_STORAGE] = &st_hash_ops, [ST_PERCPU_CGROUP_STORAGE] = &st_hash_ops,
	[ST_TASK_STORAGE] = &st_storage_ops, [ST_INODE_STORAGE] = &st_storage_ops, [ST_SK_STORAGE] = &st_storage_ops,
	[ST_CGRP_STORAGE] = &st_storage_ops,
};

static int set_fields(struct st_map *map, const struct st_map_spec *spec)
{
	map->spin_lock = ~0u;
	if (!spec->field_count)
		return 0;
	struct st_field *fields = malloc(spec->field_count * sizeof(*fields));
	if (!fields)
		return -ENOMEM;
	memcpy(fields, spec->fields, spec->field_count * sizeof(*fields));
	map->fields = fields;
	map->field_count = spec->field_count;
	for (u32 i = 0; i < spec->field_count; i++)
		if (fields[i].kind == ST_FIELD_SPIN_LOCK)
			map->spin_lock = fields[i].offset;
	return 0;
}

int st_map_create(const struct st_map_spec *spec, struct st_map **made)
{
	struct st_map *map = calloc(1, sizeof(*map));
	if (!map)
		return -ENOMEM;
	map->type = spec->type;
	map->ops = families[spec->type];
	map->key_size = spec->key_size;
	map->value_size = map->ops == &st_table_ops || map->ops == &st_hash_table_ops ? 8 : spec->value_size;
	map->max_entries = spec->max_entries;
	map->flags = spec->flags;
	map->stride = (map->value_size + 7) & ~7u;
	map->copies = st_is_percpu(map) ? st_cpus : 1;
	map->value_bytes = st_is_percpu(map) ? (u64)map->stride * st_cpus : map->value_size;
	if (!(spec->flags & ST_ZERO_SEED))
		getrandom(&map->seed, sizeof(map->seed), 0);
	int result = set_fields(map, spec);
	if (!result)
		result = map->ops->create(map, spec->extra);
	if (!result && map->memory_size && !map->memory && !(map->memory = calloc(1, map->memory_size)))
		result = -ENOMEM;
	if (result) {
		st_map_destroy(map);
		return result;
	}
	st_acquire(&all_lock);
	map->next = all;
	all = map;
	st_release(&all_lock);
	*made = map;
	return 0;
}

void st_map_destroy(struct st_map *map)
{
	st_acquire(&all_lock);
	for (struct st_map **link = &all; *link; link = &(*link)->next)
		if (*link == map) {
			*link = map->next;
			break;
		}
	st_release(&all_lock);
	if (map->ops->destroy)
		map->ops->destroy(map);
	free((void *)map->fields);
	free(map->memory);
	free(map);
}

u64 st_map_value_bytes(const struct st_map *map)
{
	return map->value_bytes;
}

void st_map_set_seed(struct st_map *map, u64 seed) { map->seed = seed; }

void *st_map_memory(struct st_map *map)
{
	return map->memory;
}

struct st_ring *st_map_ring(struct st_map *map)
{
	return map->ring;
}

/* ---- memory ---- */

u64 st_copy(void *to, const void *from, u64 size, bool string)
{
	if (!string) {
		memcpy(to, from, size);
		return size;
	}
	for (u64 i = 0; i < size; i++)
		if (!(((u8 *)to)[i] = ((const u8 *)from)[i]))
			return i + 1;
	return size;
}

static u64 span(u64 base, u64 length, u64 address)
{
	return address >= base && address - base < length ? length - (address - base) : 0;
}

u64 st_maps_read(void *to, u64 address, u64 size, bool string)
{
	u64 copied = 0;
	st_acquire(&all_lock);
	for (struct st_map *map = all; map && !copied; map = map->next) {
		u64 here = span((u64)map->memory, map->memory_size, address);
		if (map->ops == &st_storage_ops)
			here = st_storage_span(map, address);
		if (!here && map->type == ST_RINGBUF)
			here = span((u64)map->ring->data, 2 * map->ring->size, address);
		if (here)
			copied = st_copy(to, (const void *)address, here < size ? here : size, string);
	}
	st_release(&all_lock);
	return copied;
}

void st_storage_forget(u32 type, u64 object)
{
	st_acquire(&all_lock);
	for (struct st_map *map = all; map; map = map->next)
		if (map->type == type)
			st_storage_delete(map, object);
	st_release(&all_lock);
}

/* ---- operations ---- */

void *st_map_lookup(struct st_map *map, const void *key, u32 cpu)
{
	switch (map->type) {
	case ST_ARRAY:
	case ST_PERCPU_ARRAY:
		return st_array_lookup(map, key, cpu);
	case ST_HASH:
	case ST_PERCPU_HASH:
		return st_hash_lookup(map, key, cpu, false);
	}
	return map->ops->lookup ? map->ops->lookup(map, key, cpu) : 0;
}

static int update(struct st_map *map, const void *key, const void *value, u64 flags, s32 cpu)
{
	return map->ops->update ? map->ops->update(map, key, value, flags, cpu) : -EINVAL;
}

int st_map_update(struct st_map *map, const void *key, const void *value, u64 flags, u32 cpu)
{
	return update(map, key, value, flags, (s32)cpu);
}

int st_map_set(struct st_map *map, const void *key, const void *value, u64 flags)
{
	return update(map, key, value, flags, -1);
}

int st_map_get(struct st_map *map, const void *key, void *value, u64 flags)
{
	if (flags & ~(u64)BPF_F_LOCK || (flags && map->spin_lock == ~0u))
		return -EINVAL;
	return map->ops->get ? map->ops->get(map, key, value, flags) : -EOPNOTSUPP;
}

int st_map_delete(struct st_map *map, const void *key)
{
	return map->ops->remove ? map->ops->remove(map, key, 0) : -EINVAL;
}

int st_map_take(struct st_map *map, const void *key, void *value, u64 flags)
{
	if (flags & ~(u64)BPF_F_LOCK || (flags && map->spin_lock == ~0u))
		return -EINVAL;
	if (map->ops->peek)
		return map->ops->peek(map, value, true);
	return map->ops->takes ? map->ops->remove(map, key, value) : -EOPNOTSUPP;
}

int st_map_push(struct st_map *map, const void *value, u64 flags)
{
	return map->ops->peek ? map->ops->update(map, 0, value, flags, -1) : -EINVAL;
}

int st_map_peek(struct st_map *map, void *value, bool pop)
{
	return map->ops->peek ? map->ops->peek(map, value, pop) : -EINVAL;
}

int st_map_contains(struct st_map *map, const void *value)
{
	return map->ops->peek(map, (void *)value, false);
}

int st_map_next(struct st_map *map, const void *key, void *next)
{
	return map->ops->next ? map->ops->next(map, key, next) : -EINVAL;
}

u64 st_map_items(struct st_map *map, u8 *keys, u8 *values, u64 room)
{
	return map->ops->items ? map->ops->items(map, keys, values, room) : 0;
}

u64 st_map_take_items(struct st_map *map, u32 *position, u8 *keys, u8 *values, u64 room)
{
	return map->ops->take_items(map, position, keys, values, room);
}

int st_map_set_many(struct st_map *map, const u8 *keys, const u8 *values, u64 count, u64 flags, u64 *done)
{
	int result = 0;
	u64 at = 0;
	for (; at < count; at++)
		if ((result = st_map_set(map, keys + at * map->key_size, values + at * map->value_bytes, flags)))
			break;
	*done = at;
	return result;
}

int st_map_delete_many(struct st_map *map, const u8 *keys, u64 count, u64 *removed)
{
	*removed = 0;
	for (u64 at = 0; at < count; at++) {
		int result = st_map_delete(map, keys + at * map->key_size);
		if (!result)
			++*removed;
		else if (result != -ENOENT)
			return result;
	}
	return 0;
}

s64 st_map_each(struct st_map *map, u32 cpu, st_visit visit, void *state)
{
	return map->ops->each ? map->ops->each(map, cpu, visit, state) : -EINVAL;
}

const struct st_prog *st_map_program(const struct st_map *map, u32 index)
{
	if (index >= map->max_entries)
		return 0;
	return (const struct st_prog *)__atomic_load_n((const u64 *)map->memory + index, __ATOMIC_ACQUIRE);
}

/* TASK_STORAGE, INODE_STORAGE, SK_STORAGE, CGRP_STORAGE: a value for each object that has one, until the object is gone.
 *
 * Objects are known by a number: a thread's id, an inode's or cgroup's, a socket's cookie.  There is no limit to them, so
 * values are allocated one by one; those that went are used again before the map ends, as programs may hold pointers. */
#include "map_family.h"

#define BUCKETS 256

struct item {
	struct item *next;
	u64 object;
	u8 value[];
};

struct storage {
	struct {
		st_lock lock;
		struct item *first;
	} buckets[BUCKETS];
	st_lock lock;
	struct item *free;
};

static int storage_create(struct st_map *map, u64 extra)
{
	(void)extra;
	return (map->state = calloc(1, sizeof(struct storage))) ? 0 : -ENOMEM;
}

static u32 bucket_of(const struct st_map *map, u64 object)
{
	return (u32)st_fold(object ^ map->seed, ST_MIX_A) % BUCKETS;
}

static struct item **find(struct storage *storage, u32 bucket, u64 object)
{
	struct item **link = &storage->buckets[bucket].first;
	while (*link && (*link)->object != object)
		link = &(*link)->next;
	return link;
}

static struct item *new_item(struct st_map *map, u64 object, const void *value)
{
	struct storage *storage = map->state;
	st_acquire(&storage->lock);
	struct item *item = storage->free;
	if (item)
		storage->free = item->next;
	st_release(&storage->lock);
	if (!item && !(item = malloc(sizeof(*item) + map->stride)))
		return 0;
	item->object = object;
	memset(item->value, 0, map->stride);
	if (value)
		st_value_write(map, item->value, value);
	return item;
}

static void discard(struct st_map *map, struct item *item)
{
	struct storage *storage = map->state;
	st_value_release(map, item->value);
	st_acquire(&storage->lock);
	item->next = storage->free;
	storage->free = item;
	st_release(&storage->lock);
}

static u64 object_of(const void *key)
{
	return st_word(key, 8);
}

static int storage_update(struct st_map *map, const void *key, const void *value, u64 flags, s32 cpu)
{
	(void)cpu;
	struct storage *storage = map->state;
	u64 object = object_of(key);
	u32 bucket = bucket_of(map, object);
	if (st_check_flags(map, flags))
		return -EINVAL;
	struct item *made = new_item(map, object, value), *gone = made;
	if (!made)
		return -ENOMEM;
	int result = 0;
	st_acquire(&storage->buckets[bucket].lock);
	struct item **link = find(storage, bucket, object), *old = *link;
	if (old && flags & BPF_NOEXIST) {
		result = -EEXIST;
	} else if (!old && flags & BPF_EXIST) {
		result = -ENOENT;
	} else if (old && flags & BPF_F_LOCK) {
		st_value_write_locked(map, old->value, value);
	} else {
		made->next = old ? old->next : 0;
		*link = made;
		gone = old;
	}
	st_release(&storage->buckets[bucket].lock);
	if (gone)
		discard(map, gone);
	return result;
}

void *st_storage_get(struct st_map *map, u64 object, const void *initial, bool create)
{
	struct storage *storage = map->state;
	u32 bucket = bucket_of(map, object);
	st_acquire(&storage->buckets[bucket].lock);
	struct item **link = find(storage, bucket, object);
	if (!*link && create && (*link = new_item(map, object, initial)))
		(*link)->next = 0;
	struct item *item = *link;
	st_release(&storage->buckets[bucket].lock);
	return item ? item->value : 0;
}

static void *storage_lookup(struct st_map *map, const void *key, u32 cpu)
{
	(void)cpu;
	return st_storage_get(map, object_of(key), 0, false);
}

static int storage_get(struct st_map *map, const void *key, void *value, u64 flags)
{
	struct storage *storage = map->state;
	u64 object = object_of(key);
	u32 bucket = bucket_of(map, object);
	st_acquire(&storage->buckets[bucket].lock);
	struct item *item = *find(storage, bucket, object);
	if (item && flags & BPF_F_LOCK)
		st_value_read_locked(map, value, item->value);
	else if (item)
		st_value_read(map, value, item->value);
	st_release(&storage->buckets[bucket].lock);
	return item ? 0 : -ENOENT;
}

static int storage_remove(struct st_map *map, const void *key, void *value)
{
	(void)value;
	return st_storage_delete(map, object_of(key));
}

int st_storage_delete(struct st_map *map, u64 object)
{
	struct storage *storage = map->state;
	u32 bucket = bucket_of(map, object);
	st_acquire(&storage->buckets[bucket].lock);
	struct item **link = find(storage, bucket, object), *item = *link;
	if (item)
		*link = item->next;
	st_release(&storage->buckets[bucket].lock);
	if (!item)
		return -ENOENT;
	discard(map, item);
	return 0;
}

static void storage_destroy(struct st_map *map)
{
	struct storage *storage = map->state;
	for (u32 bucket = 0; storage && bucket < BUCKETS; bucket++)
		for (struct item *item = storage->buckets[bucket].first, *next; item; item = next) {
			next = item->next;
			st_value_release(map, item->value);
			free(item);
		}
	for (struct item *item = storage ? storage->free : 0, *next; item; item = next) {
		next = item->next;
		free(item);
	}
	free(storage);
}

/* For bpf_probe_read_kernel() from a value. */
u64 st_storage_span(const struct st_map *map, u64 address)
{
	struct storage *storage = map->state;
	u64 found = 0;
	for (u32 bucket = 0; !found && bucket < BUCKETS; bucket++) {
		st_acquire(&storage->buckets[bucket].lock);
		for (struct item *item = storage->buckets[bucket].first; item && !found; item = item->next)
			if (address >= (u64)item->value && address - (u64)item->value < map->stride)
				found = map->stride - (address - (u64)item->value);
		st_release(&storage->buckets[bucket].lock);
	}
	return found;
}

const struct st_map_ops st_storage_ops = {
	.create = storage_create, .destroy = storage_destroy, .lookup = storage_lookup, .update = storage_update,
	.remove = storage_remove, .get = storage_get,
};

/* A hash by inode, or by inode and attach type. */
void *st_cgroup_storage(struct st_map *map, u64 cgroup, u32 attach_type, u32 cpu)
{
	u64 key[2] = {cgroup, attach_type};
	void *found = st_map_lookup(map, key, cpu);
	if (found)
		return found;
	u8 *zeroes = calloc(1, map->value_bytes);
	if (zeroes)
		st_map_set(map, key, zeroes, BPF_NOEXIST);
	free(zeroes);
	return st_map_lookup(map, key, cpu);
}

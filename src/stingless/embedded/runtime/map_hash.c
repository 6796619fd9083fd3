/* HASH, PERCPU_HASH and their LRU kinds; and tables by key.
 *
 * Look-ups take no lock (map_lookup.h); a change holds the lock of its bucket.  A key's element is replaced, not
 * overwritten, by an update of a map that is not per-CPU, so that a pointer from an earlier lookup goes on showing the old
 * value; the new one takes the old one's place in the chain by one store, so that no lookup misses both.
 *
 * As on Linux, all elements are there from the start: max_entries to insert, and some more that stand in while another
 * is replaced.  Pages of memory that no element has used yet are the kernel's zero page. */
#include "map_family.h"

/* A free list that many threads push to and pop from: the head counts changes in its upper half, so that a compare-and-
 * swap does not take a head that went and came back for one that stayed. */
struct pool {
	u64 head;
	u32 fresh, end; /* elements that were never used */
	u8 padding[48]; /* two threads that use different pools should not share a cache line */
};

struct hash {
	struct pool free, spare;
};

static void push(struct st_map *map, struct pool *pool, u32 number)
{
	u64 head = __atomic_load_n(&pool->head, __ATOMIC_RELAXED), wanted;
	do {
		__atomic_store_n(&st_element_at(map, number)->link, (u32)head, __ATOMIC_RELAXED);
		wanted = ((head >> 32) + 1) << 32 | number;
	} while (!__atomic_compare_exchange_n(&pool->head, &head, wanted, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

static u32 pop(struct st_map *map, struct pool *pool)
{
	u64 head = __atomic_load_n(&pool->head, __ATOMIC_ACQUIRE), wanted;
	while ((u32)head) {
		u32 rest = __atomic_load_n(&st_element_at(map, (u32)head)->link, __ATOMIC_RELAXED);
		wanted = ((head >> 32) + 1) << 32 | rest;
		if (__atomic_compare_exchange_n(&pool->head, &head, wanted, true, __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE))
			return (u32)head;
	}
	u32 fresh = __atomic_load_n(&pool->fresh, __ATOMIC_RELAXED);
	while (fresh < pool->end)
		if (__atomic_compare_exchange_n(&pool->fresh, &fresh, fresh + 1, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return fresh;
	return 0;
}

/* For replacements.  Whoever has one gives one back before anything else, so there is one soon. */
static u32 borrow(struct st_map *map)
{
	struct hash *hash = map->state;
	u32 number;
	while (unlikely(!(number = pop(map, &hash->spare))))
		sched_yield();
	return number;
}

static int hash_create(struct st_map *map, u64 extra)
{
	(void)extra;
	u32 buckets = 1, spares = st_cpus + 4;
	while (buckets < map->max_entries && buckets < 1u << 30)
		buckets *= 2;
	map->bucket_mask = buckets - 1;
	map->key_offset = st_is_lru(map) ? sizeof(struct st_element) : ST_PLAIN_HEADER;
	map->value_offset = (map->key_offset + map->key_size + 7) & ~7u;
	map->element_size = map->value_offset + map->stride * map->copies;
	if (!(map->buckets = calloc(buckets, sizeof(*map->buckets))))
		return -ENOMEM;
	if (st_is_lru(map)) {
		map->memory_size = (u64)map->max_entries * map->element_size;
		return st_lru_create(map);
	}
	struct hash *hash = map->state = calloc(1, sizeof(*hash));
	if (!hash)
		return -ENOMEM;
	hash->free.fresh = 1;
	hash->free.end = hash->spare.fresh = map->max_entries + 1;
	hash->spare.end = hash->spare.fresh + spares;
	map->memory_size = ((u64)map->max_entries + spares) * map->element_size;
	return 0;
}

/* The link that points to the key's element, or to the end of its chain.  With the bucket's lock held. */
static u32 *find(const struct st_map *map, u32 bucket, const void *key)
{
	u32 *link = &map->buckets[bucket].first;
	while (*link && !(*link & ST_NULLS) && !st_same_key(map, st_element_at(map, *link), key))
		link = &st_element_at(map, *link)->next;
	return link;
}

static bool is_end(u32 number)
{
	return !number || number & ST_NULLS;
}

static void set_link(u32 *link, u32 number)
{
	__atomic_store_n(link, number, __ATOMIC_RELEASE);
}

static void insert(const struct st_map *map, u32 bucket, u32 number)
{
	u32 *first = &map->buckets[bucket].first;
	set_link(&st_element_at(map, number)->next, *first ? *first : ST_NULLS | bucket);
	set_link(first, number);
}

static void fill(const struct st_map *map, u32 number, const void *key, const void *value, s32 cpu)
{
	struct st_element *element = st_element_at(map, number);
	memcpy(st_key_of(map, element), key, map->key_size);
	st_value_write_copies(map, st_value_of(map, element), value, cpu, true);
}

/* Of an element that no program finds any more. */
static void discard(struct st_map *map, u32 number)
{
	if (map->field_count)
		st_value_release(map, st_value_of(map, st_element_at(map, number)));
	if (st_is_lru(map))
		st_lru_give(map, number);
	else
		push(map, &((struct hash *)map->state)->free, number);
}

/* The old element's, which becomes a spare. */
static void give_back(struct st_map *map, u32 number)
{
	if (map->field_count)
		st_value_release(map, st_value_of(map, st_element_at(map, number)));
	push(map, &((struct hash *)map->state)->spare, number);
}

static int refused(u32 found, u64 flags)
{
	if (!is_end(found))
		return flags & BPF_NOEXIST ? -EEXIST : 0;
	return flags & BPF_EXIST ? -ENOENT : 0;
}

static int plain_update(struct st_map *map, u32 bucket, const void *key, const void *value, u64 flags, s32 cpu)
{
	u32 *link = find(map, bucket, key), old = *link;
	int result = refused(old, flags);
	if (result)
		return result;
	if (is_end(old)) {
		u32 number = pop(map, &((struct hash *)map->state)->free);
		if (!number)
			return -E2BIG;
		fill(map, number, key, value, cpu);
		insert(map, bucket, number);
		return 0;
	}
	struct st_element *element = st_element_at(map, old);
	if (flags & BPF_F_LOCK) {
		st_value_write_locked(map, st_value_of(map, element), value);
	} else if (st_is_percpu(map)) {
		st_value_write_copies(map, st_value_of(map, element), value, cpu, false);
	} else {
		u32 number = borrow(map);
		fill(map, number, key, value, cpu);
		set_link(&st_element_at(map, number)->next, element->next);
		set_link(link, number);
		give_back(map, old);
	}
	return 0;
}

/* An LRU map takes the new element before the lock, since another may have to go for it, from whichever bucket. */
static int lru_update(struct st_map *map, u32 bucket, const void *key, const void *value, u64 flags, s32 cpu)
{
	bool percpu = st_is_percpu(map);
	u32 number = 0, gone = 0;
	if (!(percpu && flags == BPF_EXIST)) {
		number = st_lru_take(map, cpu >= 0 ? (u32)cpu : st_this_cpu());
		if (!number)
			return -ENOMEM;
		fill(map, number, key, value, cpu);
	}
	st_acquire(&map->buckets[bucket].lock);
	u32 *link = find(map, bucket, key), old = *link;
	int result = refused(old, flags);
	if (result) {
		gone = number;
	} else if (is_end(old)) {
		insert(map, bucket, number);
	} else if (percpu) {
		struct st_element *element = st_element_at(map, old);
		element->referenced = 1;
		st_value_write_copies(map, st_value_of(map, element), value, cpu, false);
		gone = number;
	} else {
		st_element_at(map, number)->referenced = 1;
		set_link(&st_element_at(map, number)->next, st_element_at(map, old)->next);
		set_link(link, number);
		gone = old;
	}
	st_release(&map->buckets[bucket].lock);
	if (gone)
		discard(map, gone);
	return result;
}

static int hash_update(struct st_map *map, const void *key, const void *value, u64 flags, s32 cpu)
{
	if (st_check_flags(map, flags) || (flags & BPF_F_LOCK && (st_is_lru(map) || st_is_percpu(map))))
		return -EINVAL;
	u32 bucket = st_bucket_of(map, key);
	if (st_is_lru(map))
		return lru_update(map, bucket, key, value, flags, cpu);
	st_acquire(&map->buckets[bucket].lock);
	int result = plain_update(map, bucket, key, value, flags, cpu);
	st_release(&map->buckets[bucket].lock);
	return result;
}

/* Out of its chain, with the bucket's lock held: its own link stays, for those who are at it. */
static void unlink(const struct st_map *map, u32 *link)
{
	set_link(link, st_element_at(map, *link)->next);
}

static int hash_remove(struct st_map *map, const void *key, void *value)
{
	u32 bucket = st_bucket_of(map, key);
	st_acquire(&map->buckets[bucket].lock);
	u32 *link = find(map, bucket, key), number = *link;
	if (!is_end(number)) {
		if (value)
			st_value_read_all(map, value, st_value_of(map, st_element_at(map, number)));
		unlink(map, link);
	}
	st_release(&map->buckets[bucket].lock);
	if (is_end(number))
		return -ENOENT;
	discard(map, number);
	return 0;
}

bool st_hash_evict(struct st_map *map, u32 number)
{
	u32 bucket = st_bucket_of(map, st_key_of(map, st_element_at(map, number)));
	u32 *link = &map->buckets[bucket].first;
	st_acquire(&map->buckets[bucket].lock);
	while (!is_end(*link) && *link != number)
		link = &st_element_at(map, *link)->next;
	bool found = *link == number;
	if (found)
		unlink(map, link);
	st_release(&map->buckets[bucket].lock);
	if (found && map->field_count)
		st_value_release(map, st_value_of(map, st_element_at(map, number)));
	return found;
}

/* User space's: the element stays while it is copied, and an LRU map does not count it as a use. */
static int hash_get(struct st_map *map, const void *key, void *value, u64 flags)
{
	u32 bucket = st_bucket_of(map, key);
	st_acquire(&map->buckets[bucket].lock);
	u32 number = *find(map, bucket, key);
	if (!is_end(number)) {
		u8 *at = st_value_of(map, st_element_at(map, number));
		if (flags & BPF_F_LOCK)
			st_value_read_locked(map, value, at);
		else
			st_value_read_all(map, value, at);
	}
	st_release(&map->buckets[bucket].lock);
	return is_end(number) ? -ENOENT : 0;
}

static int hash_next(struct st_map *map, const void *key, void *next)
{
	u32 bucket = key ? st_bucket_of(map, key) : 0;
	bool after = key;
	for (; bucket <= map->bucket_mask; bucket++, after = false) {
		if (!__atomic_load_n(&map->buckets[bucket].first, __ATOMIC_RELAXED) && !after)
			continue;
		st_acquire(&map->buckets[bucket].lock);
		u32 number = map->buckets[bucket].first;
		bool missing = false;
		if (after) {
			number = *find(map, bucket, key);
			missing = is_end(number);
			if (!missing)
				number = st_element_at(map, number)->next;
		}
		bool found = !missing && !is_end(number);
		if (found)
			memcpy(next, st_key_of(map, st_element_at(map, number)), map->key_size);
		st_release(&map->buckets[bucket].lock);
		if (missing) /* from the start */
			return hash_next(map, 0, next);
		if (found)
			return 0;
	}
	return -ENOENT;
}

static u64 copy_bucket(struct st_map *map, u32 bucket, u8 *keys, u8 *values, u64 at, u64 room)
{
	for (u32 number = map->buckets[bucket].first; !is_end(number); at++) {
		struct st_element *element = st_element_at(map, number);
		if (at < room) {
			memcpy(keys + at * map->key_size, st_key_of(map, element), map->key_size);
			st_value_read_all(map, values + at * map->value_bytes, st_value_of(map, element));
		}
		number = element->next;
	}
	return at;
}

static u64 hash_items(struct st_map *map, u8 *keys, u8 *values, u64 room)
{
	u64 count = 0;
	for (u32 bucket = 0; bucket <= map->bucket_mask; bucket++) {
		if (!__atomic_load_n(&map->buckets[bucket].first, __ATOMIC_RELAXED))
			continue;
		st_acquire(&map->buckets[bucket].lock);
		count = copy_bucket(map, bucket, keys, values, count, room);
		st_release(&map->buckets[bucket].lock);
	}
	return count;
}

static u64 hash_take_items(struct st_map *map, u32 *position, u8 *keys, u8 *values, u64 room)
{
	u64 count = 0;
	for (u32 bucket = *position; bucket <= map->bucket_mask; bucket++) {
		if (!__atomic_load_n(&map->buckets[bucket].first, __ATOMIC_RELAXED))
			continue;
		st_acquire(&map->buckets[bucket].lock);
		u64 after = copy_bucket(map, bucket, keys, values, count, room);
		u32 taken = 0;
		if (after <= room) {
			taken = map->buckets[bucket].first;
			set_link(&map->buckets[bucket].first, 0);
		}
		st_release(&map->buckets[bucket].lock);
		if (after > room) {
			*position = bucket;
			return count;
		}
		while (!is_end(taken)) {
			u32 number = taken;
			taken = st_element_at(map, number)->next;
			discard(map, number);
		}
		count = after;
	}
	*position = ~0u;
	return count;
}

/* The visitor may change the map: what it removes may still be visited, what it adds may be or not.  The number of
 * visits is bounded, since elements that it uses again carry the walk into other chains. */
static s64 hash_each(struct st_map *map, u32 cpu, st_visit visit, void *state)
{
	u64 offset = map->copies > 1 ? (u64)cpu * map->stride : 0, most = 2ull * map->max_entries + 64;
	s64 visited = 0;
	for (u32 bucket = 0; bucket <= map->bucket_mask; bucket++) {
		u32 number = __atomic_load_n(&map->buckets[bucket].first, __ATOMIC_ACQUIRE);
		while (!is_end(number) && (u64)visited < most) {
			struct st_element *element = st_element_at(map, number);
			number = __atomic_load_n(&element->next, __ATOMIC_ACQUIRE);
			visited++;
			if (visit(state, st_key_of(map, element), st_value_of(map, element) + offset))
				return visited;
		}
	}
	return visited;
}

static void *hash_lookup(struct st_map *map, const void *key, u32 cpu)
{
	return st_hash_lookup(map, key, cpu, st_is_lru(map));
}

static void hash_destroy(struct st_map *map)
{
	for (u32 bucket = 0; map->field_count && map->memory && bucket <= map->bucket_mask; bucket++)
		for (u32 number = map->buckets[bucket].first; !is_end(number); number = st_element_at(map, number)->next)
			st_value_release(map, st_value_of(map, st_element_at(map, number)));
	if (st_is_lru(map))
		st_lru_destroy(map);
	free(map->state);
	free(map->buckets);
}

const struct st_map_ops st_hash_ops = {
	.create = hash_create, .destroy = hash_destroy, .lookup = hash_lookup, .update = hash_update, .remove = hash_remove,
	.get = hash_get, .next = hash_next, .items = hash_items, .take_items = hash_take_items, .each = hash_each,
	.takes = true,
};

/* HASH_OF_MAPS, DEVMAP_HASH, SOCKHASH: a program gets what is held; of an interface, its record. */
static void *table_lookup(struct st_map *map, const void *key, u32 cpu)
{
	u64 *slot = st_hash_lookup(map, key, cpu, false);
	return !slot || map->type == ST_DEVMAP_HASH ? slot : (void *)__atomic_load_n(slot, __ATOMIC_ACQUIRE);
}

const struct st_map_ops st_hash_table_ops = {
	.create = hash_create, .destroy = hash_destroy, .lookup = table_lookup, .update = hash_update, .remove = hash_remove,
	.get = hash_get, .next = hash_next, .items = hash_items,
};

#include "map.h"

/* All of a map's keys are in `buckets`, chained by element number.  A key's element is replaced, not overwritten, by an
 * update of a map that is not per-CPU, so that a pointer from an earlier lookup goes on showing the old value. */
struct element {
	u32 next, newer, older;
	u8 live, referenced;
	u16 padding;
	u8 key[];
};

static st_lock all_lock;
static struct st_map *all;

static bool is_percpu(const struct st_map *map)
{
	return map->type == ST_PERCPU_HASH || map->type == ST_PERCPU_ARRAY || map->type == ST_LRU_PERCPU_HASH;
}

static bool is_array(const struct st_map *map)
{
	return map->type == ST_ARRAY || map->type == ST_PERCPU_ARRAY;
}

static bool is_lru(const struct st_map *map)
{
	return map->type == ST_LRU_HASH || map->type == ST_LRU_PERCPU_HASH;
}

static bool is_hash(const struct st_map *map)
{
	return map->type == ST_HASH || map->type == ST_PERCPU_HASH || is_lru(map) || map->type == ST_LPM_TRIE;
}

static bool is_queue(const struct st_map *map)
{
	return map->type == ST_QUEUE || map->type == ST_STACK_MAP;
}

/* ---- life ---- */

int st_map_create(u32 type, u32 key_size, u32 value_size, u32 max_entries, u32 flags, u64 extra, struct st_map **made)
{
	struct st_map *map = calloc(1, sizeof(*map));
	if (!map)
		return -ENOMEM;
	bool ok = true;
	map->type = type;
	map->key_size = key_size;
	map->value_size = value_size;
	map->max_entries = max_entries;
	map->stride = (value_size + 7) & ~7u;
	map->copies = is_percpu(map) ? st_cpus : 1;
	map->value_bytes = is_percpu(map) ? (u64)map->stride * st_cpus : value_size;
	if (is_array(map)) {
		map->memory_size = (u64)map->stride * map->copies * max_entries;
	} else if (is_hash(map)) {
		u32 buckets = 1;
		while (buckets < max_entries && buckets < 1u << 31)
			buckets *= 2;
		map->bucket_mask = buckets - 1;
		map->value_offset = (u32)(sizeof(struct element) + key_size + 7) & ~7u;
		map->element_size = map->value_offset + map->stride * map->copies;
		/* one more than there can be keys: a replacement exists before what it replaces goes */
		map->memory_size = ((u64)max_entries + 1) * map->element_size;
		map->fresh = 1;
		ok = (map->buckets = calloc(buckets, sizeof(u32))) != 0;
		if (type == ST_LPM_TRIE)
			ok = ok && (map->prefixes = calloc((key_size - 4) * 8 + 1, sizeof(u32))) != 0;
		if (!(flags & 1u << 6)) /* BPF_F_ZERO_SEED */
			getrandom(&map->seed, sizeof(map->seed), 0);
	} else if (is_queue(map)) {
		map->memory_size = ((u64)max_entries + 1) * map->stride;
	} else if (type == ST_BLOOM_FILTER) {
		map->hashes = extra & 15 ? extra & 15 : 5;
		u64 bits = 64;
		while (bits < (u64)max_entries * map->hashes * 7 / 5 && bits < 1ull << 32)
			bits *= 2;
		map->bit_mask = (u32)(bits - 1);
		map->memory_size = bits / 8;
		if (!(flags & 1u << 6)) /* BPF_F_ZERO_SEED */
			getrandom(&map->seed, sizeof(map->seed), 0);
	} else if (type == ST_PROG_ARRAY) {
		ok = (map->programs = calloc(max_entries, sizeof(*map->programs))) != 0;
	} else {
		ok = (map->ring = st_ring_create(type == ST_RINGBUF ? max_entries : 0)) != 0;
	}
	if (ok && map->memory_size)
		ok = (map->memory = calloc(1, map->memory_size)) != 0;
	if (!ok) {
		st_map_destroy(map);
		return -ENOMEM;
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
	if (map->ring)
		st_ring_destroy(map->ring);
	free(map->programs);
	free(map->prefixes);
	free(map->buckets);
	free(map->memory);
	free(map);
}

void *st_map_memory(struct st_map *map)
{
	return map->memory;
}

struct st_ring *st_map_ring(struct st_map *map)
{
	return map->ring;
}

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
		if (!here && map->type == ST_RINGBUF)
			here = span((u64)map->ring->data, 2 * map->ring->size, address);
		if (here)
			copied = st_copy(to, (const void *)address, here < size ? here : size, string);
	}
	st_release(&all_lock);
	return copied;
}

/* ---- keys ---- */

static u64 fold(u64 a, u64 b)
{
	unsigned __int128 product = (unsigned __int128)a * b;
	return (u64)product ^ (u64)(product >> 64);
}

static u64 word(const u8 *at, u32 size)
{
	u64 value = 0;
	__builtin_memcpy(&value, at, size < 8 ? size : 8);
	return value;
}

#define MIX_A 0x9e3779b97f4a7c15ull
#define MIX_B 0xd1b54a32d192ed03ull

static u64 hash_bytes(const u8 *key, u32 size, u64 seed)
{
	u64 hash = seed ^ MIX_B;
	if (size == 4)
		return fold(hash ^ word(key, 4), MIX_A);
	for (; size > 8; key += 8, size -= 8)
		hash = fold(hash ^ word(key, 8), MIX_A);
	return fold(hash ^ (size == 8 ? word(key, 8) : word(key, size)), MIX_A);
}

static u32 prefix_of(const void *key)
{
	u32 bits;
	__builtin_memcpy(&bits, key, 4);
	return bits;
}

static u8 last_byte(const u8 *data, u32 bits)
{
	return bits % 8 ? data[bits / 8] & (u8)(0xff00 >> bits % 8) : 0;
}

/* For LPM_TRIE a key stands for its first `bits` bits. */
static u32 *bucket_of(const struct st_map *map, const u8 *key, u32 bits)
{
	u64 hash;
	if (map->type == ST_LPM_TRIE)
		hash = fold(hash_bytes(key + 4, bits / 8, map->seed) ^ (u64)bits << 8 ^ last_byte(key + 4, bits), MIX_A);
	else
		hash = hash_bytes(key, map->key_size, map->seed);
	return &map->buckets[(u32)hash & map->bucket_mask];
}

static bool same_key(const struct st_map *map, const struct element *element, const u8 *key, u32 bits)
{
	if (map->type == ST_LPM_TRIE)
		return prefix_of(element->key) == bits && !memcmp(element->key + 4, key + 4, bits / 8) &&
		       last_byte(element->key + 4, bits) == last_byte(key + 4, bits);
	if (map->key_size == 4)
		return word(element->key, 4) == word(key, 4);
	if (map->key_size == 8)
		return word(element->key, 8) == word(key, 8);
	return !memcmp(element->key, key, map->key_size);
}

static struct element *element_at(const struct st_map *map, u32 number)
{
	return (struct element *)(map->memory + (u64)(number - 1) * map->element_size);
}

static u32 number_of(const struct st_map *map, const struct element *element)
{
	return (u32)(((u64)element - (u64)map->memory) / map->element_size) + 1;
}

static u8 *value_of(const struct st_map *map, const struct element *element)
{
	return (u8 *)element + map->value_offset;
}

/* ---- hash ---- */

/* The link that points to the key's element, or to 0 at the end of its chain.  With the lock held. */
static u32 *find(const struct st_map *map, const u8 *key, u32 bits)
{
	u32 *link = bucket_of(map, key, bits);
	while (*link && !same_key(map, element_at(map, *link), key, bits))
		link = &element_at(map, *link)->next;
	return link;
}

/* Without the lock: chains may change underfoot, so the walk is bounded, and its answer counts only if none did. */
static struct element *walk(const struct st_map *map, const u8 *key, u32 bits)
{
	u32 number = __atomic_load_n(bucket_of(map, key, bits), __ATOMIC_RELAXED);
	for (u32 steps = 0; number && steps <= map->max_entries; steps++) {
		struct element *element = element_at(map, number);
		if (same_key(map, element, key, bits))
			return element;
		number = __atomic_load_n(&element->next, __ATOMIC_RELAXED);
	}
	return 0;
}

static u32 max_prefix(const struct st_map *map)
{
	return (map->key_size - 4) * 8;
}

static struct element *lookup(const struct st_map *map, const u8 *key)
{
	u32 bits = map->type == ST_LPM_TRIE ? prefix_of(key) : 0;
	if (map->type == ST_LPM_TRIE && bits > max_prefix(map))
		return 0;
	for (;;) {
		u32 before = __atomic_load_n(&map->sequence, __ATOMIC_ACQUIRE);
		struct element *found = 0;
		if (before & 1) {
			sched_yield();
			continue;
		}
		if (map->type != ST_LPM_TRIE)
			found = walk(map, key, 0);
		else
			for (u32 length = bits + 1; !found && length-- > 0;)
				if (__atomic_load_n(&map->prefixes[length], __ATOMIC_RELAXED))
					found = walk(map, key, length);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (likely(__atomic_load_n(&map->sequence, __ATOMIC_RELAXED) == before))
			return found;
	}
}

static void begin_change(struct st_map *map)
{
	__atomic_store_n(&map->sequence, map->sequence + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void end_change(struct st_map *map)
{
	__atomic_store_n(&map->sequence, map->sequence + 1, __ATOMIC_RELEASE);
}

static void lru_unlink(struct st_map *map, struct element *element)
{
	if (element->newer)
		element_at(map, element->newer)->older = element->older;
	else
		map->newest = element->older;
	if (element->older)
		element_at(map, element->older)->newer = element->newer;
	else
		map->oldest = element->newer;
}

static void lru_push(struct st_map *map, struct element *element)
{
	u32 number = number_of(map, element);
	element->newer = 0;
	element->older = map->newest;
	if (map->newest)
		element_at(map, map->newest)->newer = number;
	else
		map->oldest = number;
	map->newest = number;
}

static void remove_at(struct st_map *map, u32 *link)
{
	u32 number = *link;
	struct element *element = element_at(map, number);
	begin_change(map);
	*link = element->next;
	element->next = map->free;
	element->live = 0;
	map->free = number;
	map->count--;
	if (map->type == ST_LPM_TRIE)
		map->prefixes[prefix_of(element->key)]--;
	end_change(map);
	if (is_lru(map))
		lru_unlink(map, element);
}

/* Makes room by removing the key that was not used for longest: the oldest that no lookup touched since it was passed over. */
static void evict(struct st_map *map)
{
	for (;;) {
		struct element *element = element_at(map, map->oldest);
		if (!__atomic_exchange_n(&element->referenced, 0, __ATOMIC_RELAXED)) {
			remove_at(map, find(map, element->key, 0));
			return;
		}
		lru_unlink(map, element);
		lru_push(map, element);
	}
}

static void write_value(const struct st_map *map, u8 *to, const void *value, s32 cpu, bool is_new)
{
	if (map->copies == 1) {
		memcpy(to, value, map->value_size);
	} else if (cpu < 0) {
		memcpy(to, value, map->value_bytes);
	} else {
		if (is_new)
			memset(to, 0, map->value_bytes);
		memcpy(to + (u64)map->stride * (u32)cpu, value, map->value_size);
	}
}

/* `cpu` -1: user space gives the values of all CPUs. */
static int hash_update(struct st_map *map, const u8 *key, const void *value, u64 flags, s32 cpu)
{
	u32 bits = 0;
	if (flags > BPF_EXIST)
		return -EINVAL;
	if (map->type == ST_LPM_TRIE && (bits = prefix_of(key)) > max_prefix(map))
		return -EINVAL;
	int result = 0;
	st_acquire(&map->lock);
	u32 *link = find(map, key, bits);
	if (*link && flags == BPF_NOEXIST) {
		result = -EEXIST;
	} else if (!*link && flags == BPF_EXIST) {
		result = -ENOENT;
	} else if (*link && is_percpu(map)) {
		struct element *element = element_at(map, *link);
		write_value(map, value_of(map, element), value, cpu, false);
		element->referenced = 1;
	} else if (!*link && map->count == map->max_entries && !is_lru(map)) {
		result = map->type == ST_LPM_TRIE ? -ENOSPC : -E2BIG;
	} else {
		if (!*link && map->count == map->max_entries)
			evict(map);
		u32 number = map->free;
		struct element *element;
		if (number) {
			element = element_at(map, number);
			map->free = element->next;
		} else {
			number = map->fresh++;
			element = element_at(map, number);
		}
		memcpy(element->key, key, map->key_size);
		write_value(map, value_of(map, element), value, cpu, true);
		element->referenced = 0;
		element->live = 1;
		if (*(link = find(map, key, bits)))
			remove_at(map, link);
		u32 *bucket = bucket_of(map, key, bits);
		begin_change(map);
		element->next = *bucket;
		*bucket = number;
		map->count++;
		if (map->type == ST_LPM_TRIE)
			map->prefixes[bits]++;
		end_change(map);
		if (is_lru(map))
			lru_push(map, element);
	}
	st_release(&map->lock);
	return result;
}

static int hash_delete(struct st_map *map, const u8 *key, void *value)
{
	u32 bits = 0;
	if (map->type == ST_LPM_TRIE && (bits = prefix_of(key)) > max_prefix(map))
		return -EINVAL;
	st_acquire(&map->lock);
	u32 *link = find(map, key, bits);
	bool found = *link != 0;
	if (found) {
		if (value)
			memcpy(value, value_of(map, element_at(map, *link)), map->value_bytes);
		remove_at(map, link);
	}
	st_release(&map->lock);
	return found ? 0 : -ENOENT;
}

static int hash_next(struct st_map *map, const u8 *key, void *next)
{
	u32 bits = key && map->type == ST_LPM_TRIE ? prefix_of(key) : 0;
	u32 bucket = 0, number = 0;
	st_acquire(&map->lock);
	if (key && !(map->type == ST_LPM_TRIE && bits > max_prefix(map))) {
		u32 *link = find(map, key, bits);
		if (*link) {
			number = element_at(map, *link)->next;
			bucket = (u32)(bucket_of(map, key, bits) - map->buckets) + 1;
		}
	}
	for (; !number && bucket <= map->bucket_mask; bucket++)
		number = map->buckets[bucket];
	if (number)
		memcpy(next, element_at(map, number)->key, map->key_size);
	st_release(&map->lock);
	return number ? 0 : -ENOENT;
}

/* ---- bloom filter ---- */

static u32 bloom_bit(const struct st_map *map, const void *value, u32 number)
{
	return (u32)fold(hash_bytes(value, map->value_size, map->seed + number), MIX_B) & map->bit_mask;
}

static int bloom_add(struct st_map *map, const void *value, u64 flags)
{
	if (flags)
		return -EINVAL;
	for (u32 number = 0; number < map->hashes; number++) {
		u32 bit = bloom_bit(map, value, number);
		__atomic_fetch_or(map->memory + bit / 8, (u8)(1 << bit % 8), __ATOMIC_RELAXED);
	}
	return 0;
}

int st_map_contains(struct st_map *map, const void *value)
{
	for (u32 number = 0; number < map->hashes; number++) {
		u32 bit = bloom_bit(map, value, number);
		if (!(__atomic_load_n(map->memory + bit / 8, __ATOMIC_RELAXED) & 1 << bit % 8))
			return -ENOENT;
	}
	return 0;
}

/* ---- queue and stack ---- */

int st_map_push(struct st_map *map, const void *value, u64 flags)
{
	if (map->type == ST_BLOOM_FILTER)
		return bloom_add(map, value, flags);
	if (!is_queue(map) || flags & BPF_NOEXIST || flags > BPF_EXIST)
		return -EINVAL;
	u32 size = map->max_entries + 1;
	int result = 0;
	st_acquire(&map->lock);
	u32 next = map->head + 1 == size ? 0 : map->head + 1;
	if (next == map->tail && !(flags & BPF_EXIST)) {
		result = -E2BIG;
	} else {
		if (next == map->tail)
			map->tail = map->tail + 1 == size ? 0 : map->tail + 1;
		memcpy(map->memory + (u64)map->head * map->stride, value, map->value_size);
		map->head = next;
	}
	st_release(&map->lock);
	return result;
}

int st_map_peek(struct st_map *map, void *value, bool pop)
{
	if (map->type == ST_BLOOM_FILTER)
		return pop ? -EOPNOTSUPP : st_map_contains(map, value);
	if (!is_queue(map))
		return -EINVAL;
	u32 size = map->max_entries + 1;
	int result = 0;
	st_acquire(&map->lock);
	if (map->head == map->tail) {
		memset(value, 0, map->value_size);
		result = -ENOENT;
	} else {
		u32 last = map->head ? map->head - 1 : size - 1;
		u32 at = map->type == ST_QUEUE ? map->tail : last;
		memcpy(value, map->memory + (u64)at * map->stride, map->value_size);
		if (pop && map->type == ST_QUEUE)
			map->tail = map->tail + 1 == size ? 0 : map->tail + 1;
		else if (pop)
			map->head = last;
	}
	st_release(&map->lock);
	return result;
}

/* ---- any map ---- */

static u32 index_of(const void *key)
{
	return prefix_of(key);
}

static u8 *array_value(const struct st_map *map, u32 index)
{
	return map->memory + (u64)index * map->stride * map->copies;
}

void *st_map_lookup(struct st_map *map, const void *key, u32 cpu)
{
	u64 offset = map->copies > 1 ? (u64)cpu * map->stride : 0;
	if (is_array(map)) {
		u32 index = index_of(key);
		return index < map->max_entries ? array_value(map, index) + offset : 0;
	}
	if (!is_hash(map))
		return 0;
	struct element *element = lookup(map, key);
	if (!element)
		return 0;
	if (is_lru(map) && !element->referenced)
		__atomic_store_n(&element->referenced, 1, __ATOMIC_RELAXED);
	return value_of(map, element) + offset;
}

static int update(struct st_map *map, const void *key, const void *value, u64 flags, s32 cpu)
{
	if (is_hash(map))
		return hash_update(map, key, value, flags, cpu);
	if (is_queue(map) || map->type == ST_BLOOM_FILTER)
		return st_map_push(map, value, flags);
	if (!is_array(map))
		return -EINVAL;
	u32 index = index_of(key);
	if (flags > BPF_EXIST)
		return -EINVAL;
	if (index >= map->max_entries)
		return -E2BIG;
	if (flags == BPF_NOEXIST)
		return -EEXIST;
	write_value(map, array_value(map, index), value, cpu, false);
	return 0;
}

int st_map_update(struct st_map *map, const void *key, const void *value, u64 flags, u32 cpu)
{
	return update(map, key, value, flags, (s32)cpu);
}

int st_map_set(struct st_map *map, const void *key, const void *value, u64 flags)
{
	return update(map, key, value, flags, -1);
}

int st_map_get(struct st_map *map, const void *key, void *value)
{
	if (is_queue(map))
		return st_map_peek(map, value, false);
	if (is_array(map)) {
		u32 index = index_of(key);
		if (index >= map->max_entries)
			return -ENOENT;
		memcpy(value, array_value(map, index), map->value_bytes);
		return 0;
	}
	if (!is_hash(map))
		return -EINVAL;
	st_acquire(&map->lock); /* so that the element is not replaced while it is copied */
	struct element *element = lookup(map, key);
	if (element)
		memcpy(value, value_of(map, element), map->value_bytes);
	st_release(&map->lock);
	return element ? 0 : -ENOENT;
}

int st_map_delete(struct st_map *map, const void *key)
{
	return is_hash(map) ? hash_delete(map, key, 0) : -EINVAL;
}

int st_map_take(struct st_map *map, const void *key, void *value)
{
	if (is_queue(map))
		return st_map_peek(map, value, true);
	return is_hash(map) && map->type != ST_LPM_TRIE ? hash_delete(map, key, value) : -EOPNOTSUPP;
}

int st_map_next(struct st_map *map, const void *key, void *next)
{
	if (is_hash(map))
		return hash_next(map, key, next);
	if (!is_array(map) && map->type != ST_PROG_ARRAY && map->type != ST_PERF_EVENT_ARRAY)
		return -EINVAL;
	u32 index = key ? index_of(key) : ~0u;
	if (index >= map->max_entries)
		index = 0;
	else if (++index == map->max_entries)
		return -ENOENT;
	memcpy(next, &index, sizeof(index));
	return 0;
}

u64 st_map_items(struct st_map *map, u8 *keys, u8 *values, u64 room)
{
	if (is_array(map)) {
		if (map->max_entries <= room)
			for (u32 index = 0; index < map->max_entries; index++) {
				memcpy(keys + (u64)index * sizeof(index), &index, sizeof(index));
				memcpy(values + index * map->value_bytes, array_value(map, index), map->value_bytes);
			}
		return map->max_entries;
	}
	if (!is_hash(map))
		return 0;
	st_acquire(&map->lock);
	u64 count = map->count;
	if (count <= room)
		for (u32 bucket = 0; bucket <= map->bucket_mask; bucket++)
			for (u32 number = map->buckets[bucket]; number; number = element_at(map, number)->next) {
				struct element *element = element_at(map, number);
				memcpy(keys, element->key, map->key_size);
				memcpy(values, value_of(map, element), map->value_bytes);
				keys += map->key_size;
				values += map->value_bytes;
			}
	st_release(&map->lock);
	return count;
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
	s64 visited = 0;
	u64 offset = map->copies > 1 ? (u64)cpu * map->stride : 0;
	if (is_array(map)) {
		for (u32 index = 0; index < map->max_entries; index++) {
			u32 key = index;
			visited++;
			if (visit(state, &key, array_value(map, index) + offset))
				break;
		}
		return visited;
	}
	if (!is_hash(map) || map->type == ST_LPM_TRIE)
		return -EINVAL;
	/* The visitor may delete or insert; a removed element's link leads into the free list, where none is live. */
	for (u32 bucket = 0; bucket <= map->bucket_mask; bucket++) {
		u32 number = __atomic_load_n(&map->buckets[bucket], __ATOMIC_ACQUIRE);
		while (number && visited <= map->max_entries) {
			struct element *element = element_at(map, number);
			if (!element->live)
				break;
			number = __atomic_load_n(&element->next, __ATOMIC_RELAXED);
			visited++;
			if (visit(state, element->key, value_of(map, element) + offset))
				return visited;
		}
	}
	return visited;
}

const struct st_prog *st_map_program(const struct st_map *map, u32 index)
{
	return index < map->max_entries ? __atomic_load_n(&map->programs[index], __ATOMIC_ACQUIRE) : 0;
}

void st_map_set_program(struct st_map *map, u32 index, const struct st_prog *prog)
{
	__atomic_store_n(&map->programs[index], prog, __ATOMIC_RELEASE);
}

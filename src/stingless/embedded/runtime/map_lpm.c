/* LPM_TRIE: a binary trie whose nodes skip the bits that all keys below share.  A key is a prefix length and that many
 * bits; a look-up finds the longest prefix of its key.
 *
 * Changes take the lock; look-ups none: they try again when the trie changed underneath.  Keys come in post-order, the
 * longer prefixes before the shorter ones that hold them, as on Linux. */
#include "map_family.h"

struct node {
	u32 child[2];
	u32 bits;         /* its prefix length */
	u32 intermediate; /* where two prefixes part; has no value */
	u8 data[];        /* the key without its length, then the value */
};

struct trie {
	st_lock lock;
	u32 sequence; /* odd while a change goes on */
	u32 root, free, fresh, count;
};

static struct node *node_at(const struct st_map *map, u32 number)
{
	return (struct node *)(map->memory + (u64)(number - 1) * map->element_size);
}

static u32 max_bits(const struct st_map *map)
{
	return (map->key_size - 4) * 8;
}

static u32 bit(const u8 *data, u32 at)
{
	return data[at / 8] >> (7 - at % 8) & 1;
}

/* How many bits are the same, `most` at most. */
static u32 common(const u8 *a, const u8 *b, u32 most)
{
	u32 at = 0;
	while (at + 64 <= most) {
		u64 differ = __builtin_bswap64(st_word(a + at / 8, 8) ^ st_word(b + at / 8, 8));
		if (differ)
			return at + (u32)__builtin_clzll(differ);
		at += 64;
	}
	for (; at < most; at += 8) {
		u32 differ = a[at / 8] ^ b[at / 8];
		if (differ) {
			at += (u32)__builtin_clz(differ) - 24;
			break;
		}
	}
	return at < most ? at : most;
}

static u32 shared(const struct node *node, const u8 *data, u32 bits)
{
	return common(node->data, data, node->bits < bits ? node->bits : bits);
}

static u8 *value_of(const struct st_map *map, struct node *node)
{
	return (u8 *)node + map->value_offset;
}

static int lpm_create(struct st_map *map, u64 extra)
{
	(void)extra;
	struct trie *trie = map->state = calloc(1, sizeof(*trie));
	if (!trie)
		return -ENOMEM;
	map->key_offset = sizeof(struct node);
	map->value_offset = (map->key_offset + map->key_size - 4 + 7) & ~7u;
	map->element_size = map->value_offset + map->stride;
	/* less than one intermediate node a key, and a replacement */
	map->memory_size = (2ull * map->max_entries + 2) * map->element_size;
	trie->fresh = 1;
	return 0;
}

static void begin_change(struct trie *trie)
{
	__atomic_store_n(&trie->sequence, trie->sequence + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void end_change(struct trie *trie)
{
	__atomic_store_n(&trie->sequence, trie->sequence + 1, __ATOMIC_RELEASE);
}

static u32 new_node(struct st_map *map, const u8 *data, u32 bits)
{
	struct trie *trie = map->state;
	u32 number = trie->free;
	if (number)
		trie->free = node_at(map, number)->child[0];
	else
		number = trie->fresh++;
	struct node *node = node_at(map, number);
	node->child[0] = node->child[1] = 0;
	node->bits = bits;
	node->intermediate = 0;
	memcpy(node->data, data, map->key_size - 4);
	return number;
}

static void free_node(struct st_map *map, u32 number)
{
	struct trie *trie = map->state;
	node_at(map, number)->child[0] = trie->free;
	trie->free = number;
}

static struct node *walk(const struct st_map *map, const u8 *data, u32 bits)
{
	const struct trie *trie = map->state;
	u32 most = max_bits(map);
	struct node *found = 0;
	u32 number = __atomic_load_n(&trie->root, __ATOMIC_ACQUIRE);
	for (u32 steps = 0; number && steps <= most; steps++) {
		struct node *node = node_at(map, number);
		u32 length = node->bits, same = shared(node, data, bits);
		if (same < length)
			break;
		if (!node->intermediate)
			found = node;
		if (same >= most)
			break;
		number = __atomic_load_n(&node->child[bit(data, length)], __ATOMIC_ACQUIRE);
	}
	return found;
}

static void *lpm_lookup(struct st_map *map, const void *key, u32 cpu)
{
	(void)cpu;
	struct trie *trie = map->state;
	u32 bits = st_u32(key);
	if (bits > max_bits(map))
		return 0;
	for (;;) {
		u32 before = __atomic_load_n(&trie->sequence, __ATOMIC_ACQUIRE);
		if (before & 1) {
			sched_yield();
			continue;
		}
		struct node *found = walk(map, (const u8 *)key + 4, bits);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (likely(__atomic_load_n(&trie->sequence, __ATOMIC_RELAXED) == before))
			return found ? value_of(map, found) : 0;
	}
}

static int may_add(const struct st_map *map, u64 flags)
{
	const struct trie *trie = map->state;
	return flags == BPF_EXIST ? -ENOENT : trie->count == map->max_entries ? -ENOSPC : 0;
}

static int insert(struct st_map *map, const u8 *data, u32 bits, const void *value, u64 flags)
{
	struct trie *trie = map->state;
	u32 *slot = &trie->root, same = 0;
	struct node *node = 0;
	while (*slot) {
		node = node_at(map, *slot);
		same = shared(node, data, bits);
		if (node->bits != same || node->bits == bits || node->bits == max_bits(map))
			break;
		slot = &node->child[bit(data, node->bits)];
		node = 0;
	}
	bool replaces = node && node->bits == same && !node->intermediate;
	int result = replaces ? (flags == BPF_NOEXIST ? -EEXIST : 0) : may_add(map, flags);
	if (result)
		return result;
	u32 number = new_node(map, data, bits);
	struct node *made = node_at(map, number);
	st_value_write(map, value_of(map, made), value);
	trie->count += !replaces;
	if (!node) {
		*slot = number;
	} else if (node->bits == same) {
		u32 old = *slot;
		memcpy(made->child, node->child, sizeof(made->child));
		*slot = number;
		free_node(map, old);
	} else if (same == bits) {
		made->child[bit(node->data, same)] = *slot;
		*slot = number;
	} else {
		u32 parting = new_node(map, node->data, same);
		struct node *above = node_at(map, parting);
		above->intermediate = 1;
		above->child[bit(data, same)] = number;
		above->child[!bit(data, same)] = *slot;
		*slot = parting;
	}
	return 0;
}

static int lpm_update(struct st_map *map, const void *key, const void *value, u64 flags, s32 cpu)
{
	(void)cpu;
	struct trie *trie = map->state;
	u32 bits = st_u32(key);
	if (flags > BPF_EXIST || bits > max_bits(map))
		return -EINVAL;
	st_acquire(&trie->lock);
	begin_change(trie);
	int result = insert(map, (const u8 *)key + 4, bits, value, flags);
	end_change(trie);
	st_release(&trie->lock);
	return result;
}

/* The slot of the exact prefix, or 0; `above` gets those of the nodes over it. */
static u32 *find(struct st_map *map, const u8 *data, u32 bits, u32 **above)
{
	u32 *slot = &((struct trie *)map->state)->root;
	*above = 0;
	while (*slot) {
		struct node *node = node_at(map, *slot);
		if (node->bits != shared(node, data, bits))
			return 0;
		if (node->bits == bits)
			return node->intermediate ? 0 : slot;
		*above = slot;
		slot = &node->child[bit(data, node->bits)];
	}
	return 0;
}

static void take_out(struct st_map *map, u32 *slot, u32 *above)
{
	u32 number = *slot;
	struct node *node = node_at(map, number);
	((struct trie *)map->state)->count--;
	if (node->child[0] && node->child[1]) {
		node->intermediate = 1;
		return;
	}
	struct node *parent = above ? node_at(map, *above) : 0;
	if (parent && parent->intermediate && !node->child[0] && !node->child[1]) {
		u32 gone = *above;
		*above = parent->child[parent->child[0] == number];
		free_node(map, gone);
	} else {
		*slot = node->child[0] ? node->child[0] : node->child[1];
	}
	free_node(map, number);
}

static int lpm_remove(struct st_map *map, const void *key, void *value)
{
	struct trie *trie = map->state;
	u32 bits = st_u32(key);
	u32 *above;
	if (bits > max_bits(map))
		return -EINVAL;
	st_acquire(&trie->lock);
	u32 *slot = find(map, (const u8 *)key + 4, bits, &above);
	if (slot) {
		if (value)
			st_value_read(map, value, value_of(map, node_at(map, *slot)));
		begin_change(trie);
		take_out(map, slot, above);
		end_change(trie);
	}
	st_release(&trie->lock);
	return slot ? 0 : -ENOENT;
}

static int lpm_get(struct st_map *map, const void *key, void *value, u64 flags)
{
	(void)flags;
	struct trie *trie = map->state;
	u32 bits = st_u32(key);
	struct node *found = 0;
	st_acquire(&trie->lock); /* so that the node is not used again while its value is copied */
	if (bits <= max_bits(map) && (found = walk(map, (const u8 *)key + 4, bits)))
		st_value_read(map, value, value_of(map, found));
	st_release(&trie->lock);
	return found ? 0 : -ENOENT;
}

/* Post-order: the path from the root to the node that comes next. */
struct path {
	u32 depth;
	u32 nodes[2049]; /* 256 bytes of data: one node a bit, and the root */
};

static void descend(const struct st_map *map, struct path *path, u32 number)
{
	while (number) {
		struct node *node = node_at(map, number);
		path->nodes[path->depth++] = number;
		number = node->child[0] ? node->child[0] : node->child[1];
	}
}

/* The node at the path's end, and the path goes on to the next. */
static u32 step(const struct st_map *map, struct path *path)
{
	u32 number = path->nodes[--path->depth];
	if (path->depth) {
		struct node *parent = node_at(map, path->nodes[path->depth - 1]);
		if (parent->child[0] == number)
			descend(map, path, parent->child[1]);
	}
	return number;
}

static void copy_key(const struct st_map *map, void *to, const struct node *node)
{
	memcpy(to, &node->bits, 4);
	memcpy((u8 *)to + 4, node->data, map->key_size - 4);
}

static int lpm_next(struct st_map *map, const void *key, void *next)
{
	struct trie *trie = map->state;
	struct path path = {0};
	u32 number = 0, *above;
	st_acquire(&trie->lock);
	if (key && st_u32(key) <= max_bits(map) && find(map, (const u8 *)key + 4, st_u32(key), &above)) {
		const u8 *data = (const u8 *)key + 4;
		u32 at = trie->root;
		for (; node_at(map, at)->bits != st_u32(key); at = node_at(map, at)->child[bit(data, node_at(map, at)->bits)])
			path.nodes[path.depth++] = at;
		path.nodes[path.depth++] = at;
		step(map, &path);
	} else {
		descend(map, &path, trie->root);
	}
	while (!number && path.depth) {
		number = step(map, &path);
		if (node_at(map, number)->intermediate)
			number = 0;
	}
	if (number)
		copy_key(map, next, node_at(map, number));
	st_release(&trie->lock);
	return number ? 0 : -ENOENT;
}

static u64 lpm_items(struct st_map *map, u8 *keys, u8 *values, u64 room)
{
	struct trie *trie = map->state;
	struct path path = {0};
	st_acquire(&trie->lock);
	u64 count = trie->count;
	if (count <= room)
		descend(map, &path, trie->root);
	while (path.depth) {
		struct node *node = node_at(map, step(map, &path));
		if (node->intermediate)
			continue;
		copy_key(map, keys, node);
		st_value_read(map, values, value_of(map, node));
		keys += map->key_size;
		values += map->value_bytes;
	}
	st_release(&trie->lock);
	return count;
}

static void lpm_destroy(struct st_map *map)
{
	free(map->state);
}

const struct st_map_ops st_lpm_ops = {
	.create = lpm_create, .destroy = lpm_destroy, .lookup = lpm_lookup, .update = lpm_update, .remove = lpm_remove,
	.get = lpm_get, .next = lpm_next, .items = lpm_items,
};

/* STACK_TRACE: stacks by a number that is made of their frames. */
#include "map_family.h"

#define FAST_COMPARE (1u << 9)
#define REUSE_ID (1u << 10)

struct stack {
	u32 hash, count; /* count 0: nothing here */
	u64 frames[];
};

struct stacks {
	st_lock lock;
	u32 buckets;
};

static struct stack *stack_at(const struct st_map *map, u32 id)
{
	return (struct stack *)(map->memory + (u64)id * (sizeof(struct stack) + map->stride));
}

static int stack_create(struct st_map *map, u64 extra)
{
	(void)extra;
	struct stacks *stacks = map->state = calloc(1, sizeof(*stacks));
	if (!stacks)
		return -ENOMEM;
	stacks->buckets = 1;
	while (stacks->buckets < map->max_entries && stacks->buckets < 1u << 31)
		stacks->buckets *= 2;
	map->memory_size = (u64)stacks->buckets * (sizeof(struct stack) + map->stride);
	return 0;
}

s64 st_stack_add(struct st_map *map, const u64 *frames, u32 count, u64 flags)
{
	struct stacks *stacks = map->state;
	u32 most = map->value_size / 8;
	if (count > most)
		count = most;
	u64 mixed = st_hash_bytes((const u8 *)frames, count * 8, map->seed);
	u32 hash = (u32)(mixed ^ mixed >> 32), id = hash & (stacks->buckets - 1);
	struct stack *stack = stack_at(map, id);
	s64 result = id;
	st_acquire(&stacks->lock);
	bool same = stack->count && stack->hash == hash &&
		    (flags & FAST_COMPARE || (stack->count == count && !memcmp(stack->frames, frames, count * 8)));
	if (!same && stack->count && !(flags & REUSE_ID)) {
		result = -EEXIST;
	} else if (!same) {
		stack->hash = hash;
		stack->count = count;
		memcpy(stack->frames, frames, count * 8);
	}
	st_release(&stacks->lock);
	return result;
}

/* The stack of that number under the lock, or 0 without it. */
static struct stack *locked(struct st_map *map, u32 id)
{
	struct stacks *stacks = map->state;
	if (id >= stacks->buckets)
		return 0;
	st_acquire(&stacks->lock);
	if (stack_at(map, id)->count)
		return stack_at(map, id);
	st_release(&stacks->lock);
	return 0;
}

static int stack_get(struct st_map *map, const void *key, void *value, u64 flags)
{
	(void)flags;
	struct stacks *stacks = map->state;
	struct stack *stack = locked(map, st_u32(key));
	if (!stack)
		return -ENOENT;
	memset(value, 0, map->value_size);
	memcpy(value, stack->frames, stack->count * 8);
	st_release(&stacks->lock);
	return 0;
}

static int stack_remove(struct st_map *map, const void *key, void *value)
{
	(void)value;
	struct stacks *stacks = map->state;
	if (st_u32(key) >= stacks->buckets)
		return -E2BIG;
	struct stack *stack = locked(map, st_u32(key));
	if (!stack)
		return -ENOENT;
	stack->count = 0;
	st_release(&stacks->lock);
	return 0;
}

static int stack_next(struct st_map *map, const void *key, void *next)
{
	struct stacks *stacks = map->state;
	u32 id = 0;
	st_acquire(&stacks->lock);
	if (key && st_u32(key) < stacks->buckets && stack_at(map, st_u32(key))->count)
		id = st_u32(key) + 1;
	while (id < stacks->buckets && !stack_at(map, id)->count)
		id++;
	st_release(&stacks->lock);
	if (id >= stacks->buckets)
		return -ENOENT;
	memcpy(next, &id, sizeof(id));
	return 0;
}

static u64 stack_items(struct st_map *map, u8 *keys, u8 *values, u64 room)
{
	struct stacks *stacks = map->state;
	u64 count = 0;
	for (u32 id = 0; id < stacks->buckets; id++) {
		if (!stack_at(map, id)->count)
			continue;
		if (count >= room)
			count++;
		else if (!stack_get(map, &id, values + count * map->value_bytes, 0))
			memcpy(keys + 4 * count++, &id, sizeof(id));
	}
	return count;
}

static void stack_destroy(struct st_map *map)
{
	free(map->state);
}

const struct st_map_ops st_stack_ops = {
	.create = stack_create, .destroy = stack_destroy, .remove = stack_remove, .get = stack_get, .next = stack_next,
	.items = stack_items,
};

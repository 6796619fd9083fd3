/* QUEUE and STACK: values in a ring, under one lock. */
#include "map_family.h"

struct queue {
	st_lock lock;
	u32 head, tail;
};

static int queue_create(struct st_map *map, u64 extra)
{
	(void)extra;
	map->memory_size = ((u64)map->max_entries + 1) * map->stride;
	return (map->state = calloc(1, sizeof(struct queue))) ? 0 : -ENOMEM;
}

static int queue_push(struct st_map *map, const void *key, const void *value, u64 flags, s32 cpu)
{
	(void)key, (void)cpu;
	struct queue *queue = map->state;
	if (flags & BPF_NOEXIST || flags > BPF_EXIST)
		return -EINVAL;
	u32 size = map->max_entries + 1;
	int result = 0;
	st_acquire(&queue->lock);
	u32 next = queue->head + 1 == size ? 0 : queue->head + 1;
	if (next == queue->tail && !(flags & BPF_EXIST)) {
		result = -E2BIG;
	} else {
		if (next == queue->tail)
			queue->tail = queue->tail + 1 == size ? 0 : queue->tail + 1;
		memcpy(map->memory + (u64)queue->head * map->stride, value, map->value_size);
		queue->head = next;
	}
	st_release(&queue->lock);
	return result;
}

static int queue_peek(struct st_map *map, void *value, bool pop)
{
	struct queue *queue = map->state;
	u32 size = map->max_entries + 1;
	int result = 0;
	st_acquire(&queue->lock);
	if (queue->head == queue->tail) {
		memset(value, 0, map->value_size);
		result = -ENOENT;
	} else {
		u32 last = queue->head ? queue->head - 1 : size - 1;
		u32 at = map->type == ST_QUEUE ? queue->tail : last;
		memcpy(value, map->memory + (u64)at * map->stride, map->value_size);
		if (pop && map->type == ST_QUEUE)
			queue->tail = queue->tail + 1 == size ? 0 : queue->tail + 1;
		else if (pop)
			queue->head = last;
	}
	st_release(&queue->lock);
	return result;
}

static int queue_get(struct st_map *map, const void *key, void *value, u64 flags)
{
	(void)key, (void)flags;
	return queue_peek(map, value, false);
}

static void queue_destroy(struct st_map *map)
{
	free(map->state);
}

const struct st_map_ops st_queue_ops = {
	.create = queue_create, .destroy = queue_destroy, .update = queue_push, .get = queue_get, .peek = queue_peek,
};

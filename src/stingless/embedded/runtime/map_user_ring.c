/* USER_RINGBUF: records that user space writes and bpf_user_ringbuf_drain() reads.  What user space says of them is
 * checked as Linux does, since it may be wrong. */
#include "map_family.h"

struct user_ring {
	u32 busy; /* one program at a time drains it */
};

#define LARGEST ((1u << 24) - 1) /* of a dynptr */

static int user_ring_create(struct st_map *map, u64 extra)
{
	(void)extra;
	map->state = calloc(1, sizeof(struct user_ring));
	map->ring = st_ring_create(map->max_entries);
	return map->state && map->ring ? 0 : -ENOMEM;
}

static void user_ring_destroy(struct st_map *map)
{
	if (map->ring)
		st_ring_destroy(map->ring);
	free(map->state);
}

int st_user_ring_begin(struct st_map *map)
{
	struct user_ring *state = map->state;
	return __atomic_exchange_n(&state->busy, 1, __ATOMIC_ACQUIRE) ? -EBUSY : 0;
}

void st_user_ring_end(struct st_map *map, u64 flags, bool any)
{
	struct user_ring *state = map->state;
	__atomic_store_n(&state->busy, 0, __ATOMIC_RELEASE);
	if (flags & ST_WAKEUP_FORCE || (any && !(flags & ST_WAKEUP_NO)))
		st_ring_wake(map->ring);
}

void st_user_ring_pass(struct st_map *map, u32 size)
{
	u64 total = (size + ST_RING_HEADER + 7ull) & ~7ull;
	__atomic_store_n(&map->ring->consumer, map->ring->consumer + total, __ATOMIC_RELEASE);
}

int st_user_ring_peek(struct st_map *map, u8 **sample, u32 *size)
{
	struct st_ring *ring = map->ring;
	u64 producer = __atomic_load_n(&ring->producer, __ATOMIC_ACQUIRE), consumer = ring->consumer;
	if (producer % 8)
		return -EINVAL;
	if (consumer >= producer)
		return -ENODATA;
	struct st_ring_header *header = (void *)(ring->data + (consumer & (ring->size - 1)));
	u32 word = __atomic_load_n(&header->length, __ATOMIC_ACQUIRE), length = word & ~(ST_RING_BUSY | ST_RING_DISCARD);
	u64 total = (length + ST_RING_HEADER + 7ull) & ~7ull;
	if (total > producer - consumer)
		return -EINVAL;
	if (total > ring->size || length > LARGEST)
		return -E2BIG;
	if (word & ST_RING_DISCARD) {
		st_user_ring_pass(map, length);
		return -EAGAIN;
	}
	if (word & ST_RING_BUSY)
		return -ENODATA;
	*sample = (u8 *)(header + 1);
	*size = length;
	return 0;
}

const struct st_map_ops st_user_ring_ops = {.create = user_ring_create, .destroy = user_ring_destroy};

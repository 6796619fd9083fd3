#include "ring.h"

int memfd_create(const char *name, u32 flags);
int ftruncate(int fd, s64 size);
int close(int fd);
void *mmap(void *at, usize size, int protection, int flags, int fd, s64 offset);
int munmap(void *at, usize size);

enum { MFD_CLOEXEC = 1, PROT_READ = 1, PROT_WRITE = 2, MAP_SHARED = 1, MAP_PRIVATE = 2, MAP_FIXED = 16, MAP_ANONYMOUS = 32 };
#define MAP_FAILED ((void *)-1)
#define PAGE 4096

static u64 padded(u64 size)
{
	return (size + 7) & ~7ull;
}

/* The page before the data names the ring.  LEAD is as large as a page can be. */
#define LEAD 65536

static u64 room_for(u64 size)
{
	return LEAD + 2 * size;
}

struct st_ring *st_ring_create(u64 size)
{
	struct st_ring *ring = calloc(1, sizeof(*ring));
	if (!ring)
		return 0;
	ring->event = -1;
	if (!size)
		return ring;
	int fd = memfd_create("stingless-ring", MFD_CLOEXEC);
	u8 *area = mmap(0, room_for(size), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool ok = fd >= 0 && area != MAP_FAILED && ftruncate(fd, (s64)size) == 0;
	if (ok) {
		*(struct st_ring **)(area + LEAD - PAGE) = ring;
		ring->data = area + LEAD;
	}
	for (int half = 0; ok && half < 2; half++)
		ok = mmap(ring->data + half * size, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED;
	if (fd >= 0)
		close(fd);
	if (!ok) {
		if (area != MAP_FAILED)
			munmap(area, room_for(size));
		free(ring);
		return 0;
	}
	ring->size = size;
	return ring;
}

void st_ring_destroy(struct st_ring *ring)
{
	if (ring->data)
		munmap(ring->data - LEAD, room_for(ring->size));
	free(ring);
}

/* As in Linux, at most size - 1 bytes are in use, and a record keeps its room until the reader has passed it. */
u8 *st_ring_reserve(struct st_ring *ring, u64 size, u32 tag)
{
	u64 length = padded(size + ST_RING_HEADER);
	u8 *record = 0;
	st_acquire(&ring->lock);
	u64 used = ring->producer - __atomic_load_n(&ring->consumer, __ATOMIC_ACQUIRE);
	if (size < ST_RING_DISCARD && length <= ring->size - 1 && used + length <= ring->size - 1) {
		struct st_ring_header *header = (void *)(ring->data + (ring->producer & (ring->size - 1)));
		header->length = (u32)size | ST_RING_BUSY;
		header->tag = tag == ST_RING_TAG_PAGE ? (u32)((ring->producer & (ring->size - 1)) / PAGE) : tag;
		record = (u8 *)(header + 1);
		__atomic_store_n(&ring->producer, ring->producer + length, __ATOMIC_RELEASE);
	}
	st_release(&ring->lock);
	if (!record)
		__atomic_fetch_add(&ring->lost, 1, __ATOMIC_RELAXED);
	return record;
}

struct st_ring *st_ring_of(u8 *record)
{
	struct st_ring_header *header = (struct st_ring_header *)record - 1;
	u8 *data = (u8 *)((u64)header & ~(PAGE - 1ull)) - (u64)header->tag * PAGE;
	return *(struct st_ring **)(data - PAGE);
}

void st_ring_commit(struct st_ring *ring, u8 *record, u32 wakeup, u32 discard)
{
	struct st_ring_header *header = (struct st_ring_header *)record - 1;
	u32 length = (header->length & ~ST_RING_BUSY) | (discard ? ST_RING_DISCARD : 0);
	__atomic_store_n(&header->length, length, __ATOMIC_SEQ_CST);
	if (!(wakeup & ST_WAKEUP_NO))
		st_ring_wake(ring);
}

void st_ring_wake(struct st_ring *ring)
{
	if (__atomic_load_n(&ring->armed, __ATOMIC_SEQ_CST) && __atomic_exchange_n(&ring->armed, 0, __ATOMIC_SEQ_CST)) {
		u64 one = 1;
		st_acquire(&ring->lock); /* so that a reader that has left is not written to */
		if (ring->event >= 0)
			write(ring->event, &one, sizeof(one));
		st_release(&ring->lock);
	}
}

int st_ring_write(struct st_ring *ring, const void *from, u64 size, const void *more, u64 more_size, u32 tag, u32 wakeup)
{
	if (!ring->data) {
		int result = -ENOENT;
		st_acquire(&ring->lock);
		for (struct st_ring *each = ring->next; each; each = each->next)
			result = st_ring_write(each, from, size, more, more_size, tag, wakeup);
		st_release(&ring->lock);
		return result;
	}
	u8 *record = st_ring_reserve(ring, size + more_size, tag);
	if (!record)
		return -EAGAIN;
	memcpy(record, from, size);
	if (more_size)
		memcpy(record + size, more, more_size);
	st_ring_commit(ring, record, wakeup, 0);
	return 0;
}

u64 *st_ring_positions(struct st_ring *ring)
{
	return &ring->consumer;
}

u8 *st_ring_data(struct st_ring *ring)
{
	return ring->data;
}

u64 st_ring_take_lost(struct st_ring *ring)
{
	return __atomic_exchange_n(&ring->lost, 0, __ATOMIC_RELAXED);
}

/* In blocks of a constant size: a call of memcpy() for each record takes longer than its copy. */
u64 st_ring_copy(const u8 *at, u64 count, u32 length, u8 *to)
{
	u64 step = padded(ST_RING_HEADER + (u64)length);
	for (u64 i = 0; i < count; i++, at += step) {
		if (__atomic_load_n((const u32 *)at, __ATOMIC_ACQUIRE) != length)
			return i;
		const u8 *from = at + ST_RING_HEADER, *end = from + length;
		for (; end - from >= 16; from += 16, to += 16)
			__builtin_memcpy(to, from, 16);
		if (end - from >= 8) {
			__builtin_memcpy(to, from, 8);
			from += 8;
			to += 8;
		}
		while (from < end)
			*to++ = *from++;
	}
	return count;
}

void st_ring_listen(struct st_ring *ring, int event)
{
	st_acquire(&ring->lock);
	ring->event = event;
	__atomic_store_n(&ring->armed, event >= 0, __ATOMIC_SEQ_CST);
	st_release(&ring->lock);
}

void st_ring_subscribe(struct st_ring *tee, struct st_ring *ring)
{
	st_acquire(&tee->lock);
	ring->next = tee->next;
	tee->next = ring;
	st_release(&tee->lock);
}

void st_ring_unsubscribe(struct st_ring *tee, struct st_ring *ring)
{
	st_acquire(&tee->lock);
	for (struct st_ring **link = &tee->next; *link; link = &(*link)->next)
		if (*link == ring) {
			*link = ring->next;
			break;
		}
	st_release(&tee->lock);
}

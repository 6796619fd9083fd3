/* A bounded ring of records in the form of BPF_MAP_TYPE_RINGBUF: many writers, one reader, losses counted.
 *
 * A record is an 8-byte header (length with BUSY and DISCARD bits; a tag) and data padded to 8 bytes.  Records are read in
 * the order of their reservation; a reader stops at one that is still busy.  The data area is mapped twice in a row, so
 * that every record is contiguous. */
#pragma once
#include "runtime.h"
#include "libc.h"

#define ST_RING_BUSY (1u << 31)
#define ST_RING_DISCARD (1u << 30)
#define ST_RING_HEADER 8

enum st_wakeup { ST_WAKEUP_AUTO = 0, ST_WAKEUP_NO = 1, ST_WAKEUP_FORCE = 2 };

struct st_ring {
	st_lock lock;
	u32 armed;        /* the reader wants to be woken by the next record */
	int event;        /* eventfd that wakes it; -1 while there is no reader */
	u64 size;         /* bytes, a power of two */
	u64 consumer, producer;
	u64 lost;         /* records that found no room since the reader last asked */
	u8 *data;         /* 0: a tee, which has no room of its own and copies each record to its subscribers */
	struct st_ring *next;
};

struct st_ring_header {
	u32 length, tag; /* RINGBUF: the page of the header; else the CPU */
};

ST_EXPORT struct st_ring *st_ring_create(u64 size); /* 0: a tee */
ST_EXPORT void st_ring_destroy(struct st_ring *ring);
/* The consumer's position, which the reader writes, and next to it the producers'. */
ST_EXPORT u64 *st_ring_positions(struct st_ring *ring);
ST_EXPORT u8 *st_ring_data(struct st_ring *ring); /* its size, twice in a row */
ST_EXPORT u64 st_ring_take_lost(struct st_ring *ring);
/* Copies records of `length` bytes each, without their headers, from the header at `at` on; of `count` the ones before
 * the first that is busy, discarded or of another length.  Returns how many. */
ST_EXPORT u64 st_ring_copy(const u8 *at, u64 count, u32 length, u8 *to);
ST_EXPORT void st_ring_listen(struct st_ring *ring, int event);
ST_EXPORT void st_ring_subscribe(struct st_ring *tee, struct st_ring *ring);
ST_EXPORT void st_ring_unsubscribe(struct st_ring *tee, struct st_ring *ring);

#define ST_RING_TAG_PAGE ~0u /* the tag is the page of the header, so that st_ring_of() can tell the ring of a record */
u8 *st_ring_reserve(struct st_ring *ring, u64 size, u32 tag);
struct st_ring *st_ring_of(u8 *record);
void st_ring_wake(struct st_ring *ring); /* the reader, if it waits */
void st_ring_commit(struct st_ring *ring, u8 *record, u32 wakeup, u32 discard);
/* 0, -EAGAIN when it was full (which is counted), or -ENOENT from a tee without subscribers */
int st_ring_write(struct st_ring *ring, const void *from, u64 size, const void *more, u64 more_size, u32 tag, u32 wakeup);

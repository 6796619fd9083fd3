/* bpf_dynptr_*() and the ring buffer's dynptr forms. */
#include "dynptr.h"
#include "helpers.h"

void st_dynptr_make(struct st_dynptr *ptr, void *data, enum st_dynptr_type type, u32 size, bool read_only)
{
	*ptr = (struct st_dynptr){data, size | (u32)type << 28 | (read_only ? ST_DYNPTR_READ_ONLY : 0), 0};
}

s64 st_dynptr_check(const struct st_dynptr *ptr, u64 offset, u64 length)
{
	u64 size = st_dynptr_size(ptr);
	return length > size || offset > size - length ? -E2BIG : 0;
}

u8 *st_dynptr_at(const struct st_env *env, const struct st_dynptr *ptr, u64 offset, u64 length)
{
	u8 *start = ptr->data;
	if (st_dynptr_is_packet(ptr)) {
		start = st_dynptr_type(ptr) == ST_DYNPTR_SKB_META ? env->data_meta : env->data;
		u64 room = (u64)((st_dynptr_type(ptr) == ST_DYNPTR_SKB_META ? env->data : env->data_end) - start);
		if (ptr->offset + offset > room || length > room - ptr->offset - offset)
			return 0;
	}
	return start + ptr->offset + offset;
}

s64 st_dynptr_read(const struct st_env *env, void *to, u64 length, const struct st_dynptr *ptr, u64 offset)
{
	if (!ptr->data)
		return -EINVAL;
	s64 error = st_dynptr_check(ptr, offset, length);
	if (error)
		return error;
	const u8 *from = st_dynptr_at(env, ptr, offset, length);
	if (!from)
		return -EFAULT;
	memmove(to, from, length);
	return 0;
}

s64 st_dynptr_write(struct st_env *env, const struct st_dynptr *ptr, u64 offset, const void *from, u64 length, u64 flags)
{
	if (!ptr->data || ptr->size & ST_DYNPTR_READ_ONLY)
		return -EINVAL;
	s64 error = st_dynptr_check(ptr, offset, length);
	if (error)
		return error;
	if (flags && st_dynptr_type(ptr) != ST_DYNPTR_SKB)
		return -EINVAL;
	u8 *to = st_dynptr_at(env, ptr, offset, length);
	if (!to)
		return -EFAULT;
	memmove(to, from, length);
	return 0;
}

/* bpf_dynptr_from_mem(data, size, flags, ptr) */
HELPER_DEFINE(st_dynptr_from_mem)
{
	struct st_dynptr *ptr = (struct st_dynptr *)d;
	s64 error = b > ST_DYNPTR_MAX ? -E2BIG : c ? -EINVAL : 0;
	*ptr = (struct st_dynptr){0};
	if (!error)
		st_dynptr_make(ptr, (void *)a, ST_DYNPTR_LOCAL, (u32)b, false);
	return (u64)error;
}

/* bpf_dynptr_read(to, length, ptr, offset, flags) */
HELPER_DEFINE(st_dynptr_read_helper)
{
	return (u64)(e ? -EINVAL : st_dynptr_read(env, (void *)a, b, (const struct st_dynptr *)c, d));
}

/* bpf_dynptr_write(ptr, offset, from, length, flags) */
HELPER_DEFINE(st_dynptr_write_helper)
{
	return (u64)st_dynptr_write(env, (const struct st_dynptr *)a, b, (const void *)c, d, e);
}

/* bpf_dynptr_data(ptr, offset, length) */
HELPER_DEFINE(st_dynptr_data)
{
	const struct st_dynptr *ptr = (const struct st_dynptr *)a;
	if (!ptr->data || st_dynptr_check(ptr, b, c) || ptr->size & ST_DYNPTR_READ_ONLY || st_dynptr_is_packet(ptr))
		return 0;
	return (u64)st_dynptr_at(env, ptr, b, c);
}

/* bpf_ringbuf_reserve_dynptr(map, size, flags, ptr) */
HELPER_DEFINE(st_ringbuf_reserve_dynptr)
{
	struct st_dynptr *ptr = (struct st_dynptr *)d;
	u32 size = (u32)b;
	*ptr = (struct st_dynptr){0};
	if (c)
		return (u64)-EINVAL;
	if (size > ST_DYNPTR_MAX)
		return (u64)-E2BIG;
	u8 *record = st_ring_reserve(((struct st_map *)a)->ring, size, ST_RING_TAG_PAGE);
	if (!record)
		return (u64)-EINVAL;
	st_dynptr_make(ptr, record, ST_DYNPTR_RINGBUF, size, false);
	return 0;
}

static u64 give_back(struct st_dynptr *ptr, u32 flags, u32 discard)
{
	/* `data` is that of the record, whatever was adjusted since */
	if (ptr->data)
		st_ring_commit(st_ring_of(ptr->data), ptr->data, flags, discard);
	*ptr = (struct st_dynptr){0};
	return 0;
}

HELPER_DEFINE(st_ringbuf_submit_dynptr) { return give_back((struct st_dynptr *)a, (u32)b, 0); }
HELPER_DEFINE(st_ringbuf_discard_dynptr) { return give_back((struct st_dynptr *)a, (u32)b, 1); }

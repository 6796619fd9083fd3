/* kfuncs on dynptrs. */
#include "dynptr.h"
#include "kfunc.h"

enum { SCHED_CLS = 3, SCHED_ACT = 4, LWT_XMIT = 12, SK_SKB = 14 };

/* bpf_dynptr_from_skb(skb, flags, ptr): programs that may not write to packets get one that cannot be written. */
KFUNC(bpf_dynptr_from_skb)
{
	struct st_dynptr *ptr = (struct st_dynptr *)c;
	u32 type = env->prog->type;
	bool writes = type == SCHED_CLS || type == SCHED_ACT || type == LWT_XMIT || type == SK_SKB;
	*ptr = (struct st_dynptr){0};
	if (b)
		return (u64)-EINVAL;
	st_dynptr_make(ptr, (void *)a, ST_DYNPTR_SKB, (u32)(env->data_end - env->data), !writes);
	return 0;
}

/* bpf_dynptr_from_xdp(xdp, flags, ptr) */
KFUNC(bpf_dynptr_from_xdp)
{
	struct st_dynptr *ptr = (struct st_dynptr *)c;
	*ptr = (struct st_dynptr){0};
	if (b)
		return (u64)-EINVAL;
	st_dynptr_make(ptr, (void *)a, ST_DYNPTR_XDP, (u32)(env->data_end - env->data), false);
	return 0;
}

static u8 *slice(const struct st_env *env, const struct st_dynptr *ptr, u64 offset, u64 length, bool write)
{
	if (!ptr->data || st_dynptr_check(ptr, offset, length) || (write && ptr->size & ST_DYNPTR_READ_ONLY))
		return 0;
	return st_dynptr_at(env, ptr, offset, length);
}

/* bpf_dynptr_slice(ptr, offset, buffer, length): packets are in one piece here, so that the buffer is not needed. */
KFUNC(bpf_dynptr_slice) { return (u64)slice(env, (struct st_dynptr *)a, (u32)b, (u32)d, false); }
KFUNC(bpf_dynptr_slice_rdwr) { return (u64)slice(env, (struct st_dynptr *)a, (u32)b, (u32)d, true); }

/* bpf_dynptr_adjust(ptr, start, end) */
KFUNC(bpf_dynptr_adjust)
{
	struct st_dynptr *ptr = (struct st_dynptr *)a;
	u64 start = b, end = c, size = st_dynptr_size(ptr);
	if (!ptr->data || start > end)
		return (u64)-EINVAL;
	if (start > size || end > size)
		return (u64)-ERANGE;
	ptr->offset += (u32)start;
	ptr->size = (ptr->size & ~ST_DYNPTR_MAX) | (u32)(end - start);
	return 0;
}

KFUNC(bpf_dynptr_is_null) { return !((struct st_dynptr *)a)->data; }

KFUNC(bpf_dynptr_is_rdonly)
{
	const struct st_dynptr *ptr = (struct st_dynptr *)a;
	return ptr->data && ptr->size & ST_DYNPTR_READ_ONLY;
}

KFUNC(bpf_dynptr_size)
{
	const struct st_dynptr *ptr = (struct st_dynptr *)a;
	return ptr->data ? st_dynptr_size(ptr) : (u64)-EINVAL;
}

/* bpf_dynptr_clone(ptr, clone) */
KFUNC(bpf_dynptr_clone)
{
	const struct st_dynptr *ptr = (struct st_dynptr *)a;
	*(struct st_dynptr *)b = ptr->data ? *ptr : (struct st_dynptr){0};
	return (u64)(ptr->data ? 0 : -EINVAL);
}

/* bpf_dynptr_copy(to, to offset, from, from offset, length) */
KFUNC(bpf_dynptr_copy)
{
	const struct st_dynptr *to = (struct st_dynptr *)a, *from = (struct st_dynptr *)c;
	u8 *target = slice(env, to, b, e, true), *source = slice(env, from, d, e, true);
	if (target && source) {
		memmove(target, source, e);
		return 0;
	}
	if (source)
		return (u64)st_dynptr_write(env, to, b, source, e, 0);
	if (target)
		return (u64)st_dynptr_read(env, target, e, from, d);
	if (st_dynptr_check(to, b, e) || st_dynptr_check(from, d, e))
		return (u64)-E2BIG;
	return (u64)-EINVAL;
}

/* bpf_dynptr_memset(ptr, offset, length, byte) */
KFUNC(bpf_dynptr_memset)
{
	const struct st_dynptr *ptr = (struct st_dynptr *)a;
	u8 *to = slice(env, ptr, b, c, true);
	if (to) {
		memset(to, (u8)d, c);
		return 0;
	}
	return (u64)(ptr->size & ST_DYNPTR_READ_ONLY ? -EINVAL : st_dynptr_check(ptr, b, c) ? -E2BIG : -EINVAL);
}

/* The table of kfuncs; iterators over numbers and bits; sections in which nothing can happen here. */
#include "kfunc.h"

const struct st_kfunc st_kfuncs[] = {
#define X(name) {#name, st_kf_##name},
	ST_KFUNCS(X)
#undef X
};
const u32 st_kfunc_count = sizeof(st_kfuncs) / sizeof(st_kfuncs[0]);

const char *st_kfunc_name(u32 number) { return number < st_kfunc_count ? st_kfuncs[number].name : 0; }
u64 st_kfunc_address(u32 number) { return number < st_kfunc_count ? (u64)st_kfuncs[number].function : 0; }

/* struct bpf_iter_num */
struct numbers {
	s32 current, end;
};
#define LOOPS (8 << 20)

/* bpf_iter_num_new(it, start, end) */
KFUNC(bpf_iter_num_new)
{
	struct numbers *it = (struct numbers *)a;
	s32 start = (s32)b, end = (s32)c;
	*it = (struct numbers){0, 0};
	if (start > end)
		return (u64)-EINVAL;
	if ((s64)end - start > LOOPS)
		return (u64)-E2BIG;
	*it = (struct numbers){start - 1, end};
	return 0;
}

KFUNC(bpf_iter_num_next)
{
	struct numbers *it = (struct numbers *)a;
	if (it->current + 1 >= it->end) {
		*it = (struct numbers){0, 0};
		return 0;
	}
	it->current++;
	return (u64)&it->current;
}

KFUNC(bpf_iter_num_destroy)
{
	*(struct numbers *)a = (struct numbers){0, 0};
	return 0;
}

/* struct bpf_iter_bits */
struct bits {
	u64 words; /* one word, or a pointer to more */
	s32 count, bit;
};
#define WORDS 511

/* bpf_iter_bits_new(it, words, how many): they are read as the kernel's memory is. */
KFUNC(bpf_iter_bits_new)
{
	struct bits *it = (struct bits *)a;
	u32 words = (u32)c, bytes = words * 8;
	*it = (struct bits){0, 0, -1};
	if (!b || !words)
		return (u64)-EINVAL;
	if (words > WORDS)
		return (u64)-E2BIG;
	u8 *to = words == 1 ? (u8 *)&it->words : malloc(bytes);
	if (!to)
		return (u64)-ENOMEM;
	if (st_copy_kernel(env, to, b, bytes, false) != bytes) {
		if (words > 1)
			free(to);
		it->words = 0;
		return (u64)-EFAULT;
	}
	if (words > 1)
		it->words = (u64)to;
	it->count = (s32)words * 64;
	return 0;
}

KFUNC(bpf_iter_bits_next)
{
	struct bits *it = (struct bits *)a;
	const u64 *words = it->count > 64 ? (const u64 *)it->words : &it->words;
	while (it->bit < it->count) {
		it->bit++;
		if (it->bit < it->count && words[it->bit / 64] >> it->bit % 64 & 1)
			return (u64)&it->bit;
	}
	return 0;
}

KFUNC(bpf_iter_bits_destroy)
{
	struct bits *it = (struct bits *)a;
	if (it->count > 64)
		free((void *)it->words);
	*it = (struct bits){0, 0, 0};
	return 0;
}

/* No interrupt, no other task and no grace period ends or starts while a program runs on its CPU's slot. */
KFUNC(bpf_rcu_read_lock) { return 0; }
KFUNC(bpf_rcu_read_unlock) { return 0; }
KFUNC(bpf_preempt_disable) { return 0; }
KFUNC(bpf_preempt_enable) { return 0; }

KFUNC(bpf_local_irq_save)
{
	*(u64 *)a = 0;
	return 0;
}

KFUNC(bpf_local_irq_restore) { return 0; }

KFUNC(bpf_res_spin_lock)
{
	st_acquire((st_lock *)a);
	return 0;
}

KFUNC(bpf_res_spin_unlock)
{
	st_release((st_lock *)a);
	return 0;
}

KFUNC(bpf_rdonly_cast) { return a; }

/* Only hashes count what they hold. */
KFUNC(bpf_map_sum_elem_count)
{
	struct st_map *map = (struct st_map *)a;
	return map->buckets ? st_map_items(map, 0, 0, 0) : 0;
}

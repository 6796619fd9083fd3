/* bpf_cpumask_*(): sets of CPUs, allocated by programs or those of kernel objects. */
#include "kfunc.h"

#define WORDS (ST_CPUS / 64)

/* struct bpf_cpumask, as long as the mask of a kernel with as many CPUs as the runtime has at most */
struct mask {
	u64 words[WORDS];
	u32 uses;
};

/* Any mask: of an allocated one its words, of a kernel object's as much as is there. */
static void read_mask(const struct st_env *env, u64 address, u64 *to)
{
	u64 bytes = (st_cpus + 63) / 64 * 8;
	memset(to, 0, sizeof(u64) * WORDS);
	if (address >> 47)
		st_copy_kernel(env, to, address, bytes, false);
	else
		memcpy(to, (const void *)address, bytes);
	if (st_cpus % 64)
		to[st_cpus / 64] &= (1ull << st_cpus % 64) - 1;
}

static u32 first(const u64 *words)
{
	for (u32 i = 0; i * 64 < st_cpus; i++)
		if (words[i])
			return i * 64 + (u32)__builtin_ctzll(words[i]);
	return st_cpus;
}

KFUNC(bpf_cpumask_create)
{
	struct mask *mask = calloc(1, sizeof(*mask));
	if (mask)
		mask->uses = 1;
	return (u64)mask;
}

KFUNC(bpf_cpumask_acquire)
{
	__atomic_add_fetch(&((struct mask *)a)->uses, 1, __ATOMIC_ACQ_REL);
	return a;
}

KFUNC(bpf_cpumask_release)
{
	if (!__atomic_sub_fetch(&((struct mask *)a)->uses, 1, __ATOMIC_ACQ_REL))
		free((void *)a);
	return 0;
}

#define READ(words, address)    \
	u64 words[WORDS];       \
	read_mask(env, address, words)

KFUNC(bpf_cpumask_first)
{
	READ(x, a);
	return first(x);
}

KFUNC(bpf_cpumask_first_zero)
{
	READ(x, a);
	for (u32 cpu = 0; cpu < st_cpus; cpu++)
		if (!(x[cpu / 64] >> cpu % 64 & 1))
			return cpu;
	return st_cpus;
}

KFUNC(bpf_cpumask_first_and)
{
	READ(x, a);
	READ(y, b);
	for (u32 i = 0; i < WORDS; i++)
		x[i] &= y[i];
	return first(x);
}

KFUNC(bpf_cpumask_empty)
{
	READ(x, a);
	return first(x) == st_cpus;
}

static u32 weight(const u64 *words)
{
	u32 count = 0;
	for (u32 i = 0; i < WORDS; i++)
		for (u64 word = words[i]; word; word &= word - 1)
			count++;
	return count;
}

KFUNC(bpf_cpumask_weight)
{
	READ(x, a);
	return weight(x);
}

KFUNC(bpf_cpumask_full)
{
	READ(x, a);
	return weight(x) == st_cpus;
}

/* Any of them will do. */
KFUNC(bpf_cpumask_any_distribute) { return st_kf_bpf_cpumask_first(env, a, 0, 0, 0, 0); }
KFUNC(bpf_cpumask_any_and_distribute) { return st_kf_bpf_cpumask_first_and(env, a, b, 0, 0, 0); }

KFUNC(bpf_cpumask_equal)
{
	READ(x, a);
	READ(y, b);
	return !memcmp(x, y, sizeof(x));
}

KFUNC(bpf_cpumask_intersects) { return st_kf_bpf_cpumask_first_and(env, a, b, 0, 0, 0) < st_cpus; }

KFUNC(bpf_cpumask_subset)
{
	READ(x, a);
	READ(y, b);
	for (u32 i = 0; i < WORDS; i++)
		if (x[i] & ~y[i])
			return 0;
	return 1;
}

/* bpf_cpumask_test_cpu(cpu, mask) and kin */
KFUNC(bpf_cpumask_test_cpu)
{
	u32 cpu = (u32)a;
	READ(x, b);
	return cpu < st_cpus && x[cpu / 64] >> cpu % 64 & 1;
}

static u64 change(u64 cpu, u64 mask, bool set)
{
	u64 *word = &((struct mask *)mask)->words[(u32)cpu / 64 % WORDS], bit = 1ull << cpu % 64;
	if ((u32)cpu >= st_cpus)
		return 0;
	u64 before = set ? __atomic_fetch_or(word, bit, __ATOMIC_ACQ_REL) : __atomic_fetch_and(word, ~bit, __ATOMIC_ACQ_REL);
	return (before & bit) != 0;
}

KFUNC(bpf_cpumask_set_cpu) { return change(a, b, true); }
KFUNC(bpf_cpumask_clear_cpu) { return change(a, b, false); }
KFUNC(bpf_cpumask_test_and_set_cpu) { return change(a, b, true); }
KFUNC(bpf_cpumask_test_and_clear_cpu) { return change(a, b, false); }

static void write_mask(u64 to, const u64 *words)
{
	memcpy(((struct mask *)to)->words, words, (st_cpus + 63) / 64 * 8);
}

KFUNC(bpf_cpumask_setall)
{
	for (u32 cpu = 0; cpu < st_cpus; cpu++)
		change(cpu, a, true);
	return 0;
}

KFUNC(bpf_cpumask_clear)
{
	memset(((struct mask *)a)->words, 0, sizeof(((struct mask *)a)->words));
	return 0;
}

/* bpf_cpumask_and(to, x, y): whether anything is left */
KFUNC(bpf_cpumask_and)
{
	READ(x, b);
	READ(y, c);
	for (u32 i = 0; i < WORDS; i++)
		x[i] &= y[i];
	write_mask(a, x);
	return first(x) < st_cpus;
}

KFUNC(bpf_cpumask_or)
{
	READ(x, b);
	READ(y, c);
	for (u32 i = 0; i < WORDS; i++)
		x[i] |= y[i];
	write_mask(a, x);
	return 0;
}

KFUNC(bpf_cpumask_xor)
{
	READ(x, b);
	READ(y, c);
	for (u32 i = 0; i < WORDS; i++)
		x[i] ^= y[i];
	write_mask(a, x);
	return 0;
}

KFUNC(bpf_cpumask_copy)
{
	READ(x, b);
	write_mask(a, x);
	return 0;
}

/* bpf_cpumask_populate(mask, from, size) */
KFUNC(bpf_cpumask_populate)
{
	u64 bytes = (st_cpus + 63) / 64 * 8;
	if (c < bytes)
		return (u64)-EACCES;
	memcpy(((struct mask *)a)->words, (const void *)b, bytes);
	return 0;
}

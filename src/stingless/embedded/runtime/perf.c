/* Counters of perf events and branch records: as on a machine where no event was opened and that records no branches. */
#include "helpers.h"

#define EVENT_VALUE 24 /* sizeof(struct bpf_perf_event_value) */
#define BRANCH_RECORDS_SIZE 1

static s64 counter_of(const struct st_env *env, const struct st_map *map, u64 flags)
{
	u64 index = flags & 0xffffffff;
	if (flags >> 32)
		return -EINVAL;
	if (index == 0xffffffff)
		index = env->cpu;
	return index >= map->max_entries ? -E2BIG : -ENOENT;
}

/* bpf_perf_event_read(map, flags) */
HELPER_DEFINE(st_perf_event_read) { return (u64)counter_of(env, (const struct st_map *)a, b); }

/* bpf_perf_event_read_value(map, flags, to, size) */
HELPER_DEFINE(st_perf_event_read_value)
{
	memset((void *)c, 0, (u32)d);
	return (u64)((u32)d == EVENT_VALUE ? counter_of(env, (const struct st_map *)a, b) : -EINVAL);
}

/* bpf_read_branch_records(ctx, to, size, flags) */
HELPER_DEFINE(st_read_branch_records) { return (u64)(d & ~(u64)BRANCH_RECORDS_SIZE ? -EINVAL : -ENOENT); }

/* bpf_get_branch_snapshot(to, size, flags) */
HELPER_DEFINE(st_get_branch_snapshot) { return (u64)(c ? -EINVAL : -ENOENT); }

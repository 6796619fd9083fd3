/* Stacks of the current task in user space, by frame pointers as Linux follows them.  There are no stacks in a kernel. */
#include "helpers.h"
#include "objects.h"
#include "tracer.h"

enum {
	SKIP = 0xff, USER = 1 << 8, FAST_COMPARE = 1 << 9, REUSE_ID = 1 << 10, BUILD_ID = 1 << 11, /* flags */
	DEEPEST = 127, /* kernel.perf_event_max_stack */
};

/* struct bpf_stack_build_id; with the status BPF_STACK_BUILD_ID_IP it holds the address alone, as it may on Linux */
struct located {
	s32 status;
	u8 build_id[20];
	u64 ip;
};
#define STATUS_IP 2

/* The frames of the task, innermost first: how many, or -EFAULT without a task that is stopped for us. */
static s32 user_frames(const struct st_env *env, u64 *frames, u32 room)
{
	struct st_regs regs;
	if (!env->task || !env->task->memory)
		return -EFAULT;
	if (env->user_regs)
		memcpy(&regs, env->user_regs, sizeof(regs));
	else if (!st_get_regs(env->task->pid, &regs))
		return -EFAULT;
	u32 count = 0;
	u64 frame = st_regs_frame(&regs), ip = *st_regs_ip(&regs), back, pair[2];
	if (count < room)
		frames[count++] = ip;
	/* At the entry of a function its caller's frame pointer is still in place. */
	if (count < room && env->func_ip && env->func_ip == ip && st_get_return(&regs, env->task->pid, &back))
		frames[count++] = back;
	while (count < room && frame && frame % 8 == 0 && st_copy_user(env, pair, frame, sizeof(pair), false) == sizeof(pair)) {
		if (!pair[1])
			break;
		frames[count++] = pair[1];
		frame = pair[0];
	}
	return (s32)count;
}

/* bpf_get_stackid(ctx, map, flags) */
HELPER_DEFINE(st_get_stackid)
{
	struct st_map *map = (struct st_map *)b;
	u64 frames[DEEPEST];
	u32 skip = (u32)c & SKIP, deepest = map->value_size / 8 + skip;
	if (c & ~(u64)(SKIP | USER | FAST_COMPARE | REUSE_ID))
		return (u64)-EINVAL;
	s32 count = c & USER ? user_frames(env, frames, deepest < DEEPEST ? deepest : DEEPEST) : -EFAULT;
	if (count <= (s32)skip)
		return (u64)-EFAULT;
	return (u64)st_stack_add(map, frames + skip, (u32)count - skip, c);
}

static s64 get_stack(const struct st_env *env, u8 *to, u32 size, u64 flags, bool current)
{
	u64 frames[DEEPEST];
	u32 each = flags & BUILD_ID ? sizeof(struct located) : 8, skip = (u32)flags & SKIP, most = size / each + skip;
	memset(to, 0, size);
	if (flags & ~(u64)(SKIP | USER | BUILD_ID) || (flags & BUILD_ID && !(flags & USER)) || size % each)
		return -EINVAL;
	s32 count = flags & USER && current ? user_frames(env, frames, most < DEEPEST ? most : DEEPEST) : -EFAULT;
	if (count < (s32)skip)
		return -EFAULT;
	count -= (s32)skip;
	for (s32 i = 0; i < count; i++) {
		struct located located = {STATUS_IP, {0}, frames[(u32)i + skip]};
		if (flags & BUILD_ID)
			memcpy(to + (u32)i * each, &located, each);
		else
			memcpy(to + (u32)i * each, &frames[(u32)i + skip], each);
	}
	return count * (s32)each;
}

/* bpf_get_stack(ctx, to, size, flags) */
HELPER_DEFINE(st_get_stack) { return (u64)get_stack(env, (u8 *)b, (u32)c, d, true); }

/* bpf_get_task_stack(task, to, size, flags): only the current task is known to be stopped. */
HELPER_DEFINE(st_get_task_stack)
{
	bool current = env->objects && env->task && st_objects_current(env->objects, env->task) == a;
	return (u64)get_stack(env, (u8 *)b, (u32)c, d, current);
}

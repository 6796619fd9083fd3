/* Helpers of local storage: values that belong to a task, a control group or an inode; and user ring buffers. */
#include "dynptr.h"
#include "helpers.h"
#include "objects.h"

#define CREATE 1

/* The number of the object at an address, of that kind: 0, when there is none. */
static u64 number_of(const struct st_env *env, u64 address, u32 kind)
{
	return address ? st_objects_number(env->objects, address, kind) : 0;
}

static u64 get(struct st_map *map, u64 number, const void *initial, u64 flags)
{
	if (!number || flags & ~(u64)CREATE)
		return 0;
	return (u64)st_storage_get(map, number, flags & CREATE ? initial : 0, flags & CREATE);
}

static u64 delete(struct st_map *map, u64 number)
{
	return (u64)(s64)(number ? st_storage_delete(map, number) : -EINVAL);
}

static u64 task_number(const struct st_env *env, u64 address)
{
	/* without a layout of kernel objects: what bpf_get_current_task() gives then */
	if (!env->objects)
		return address ? (address - ST_PLAIN_TASK) >> 14 : 0;
	return number_of(env, address, ST_OBJECT_task_struct);
}

/* bpf_*_storage_get(map, object, initial value, flags), bpf_*_storage_delete(map, object) */
HELPER_DEFINE(st_task_storage_get) { return get((struct st_map *)a, task_number(env, b), (const void *)c, d); }
HELPER_DEFINE(st_task_storage_delete) { return delete((struct st_map *)a, task_number(env, b)); }

HELPER_DEFINE(st_cgrp_storage_get)
{
	return get((struct st_map *)a, number_of(env, b, ST_OBJECT_cgroup), (const void *)c, d);
}

HELPER_DEFINE(st_cgrp_storage_delete) { return delete((struct st_map *)a, number_of(env, b, ST_OBJECT_cgroup)); }

HELPER_DEFINE(st_inode_storage_get)
{
	return get((struct st_map *)a, number_of(env, b, ST_OBJECT_inode), (const void *)c, d);
}

HELPER_DEFINE(st_inode_storage_delete) { return delete((struct st_map *)a, number_of(env, b, ST_OBJECT_inode)); }

/* bpf_get_local_storage(map, flags): of the cgroup that the program runs for. */
HELPER_DEFINE(st_get_local_storage)
{
	u64 cgroup = env->task && env->task->cgroup ? env->task->cgroup : st_own_cgroup;
	return (u64)st_cgroup_storage((struct st_map *)a, cgroup, 0, env->cpu);
}

enum { NO_WAKEUP = 1, FORCE_WAKEUP = 2, SAMPLES = 128 * 1024 };

/* bpf_user_ringbuf_drain(map, callback, ctx, flags): how many samples the callback got. */
HELPER_DEFINE(st_user_ringbuf_drain)
{
	struct st_map *map = (struct st_map *)a;
	s64 samples = 0, error;
	if (d & ~(u64)(NO_WAKEUP | FORCE_WAKEUP))
		return (u64)-EINVAL;
	if ((error = st_user_ring_begin(map)))
		return (u64)error;
	for (u32 seen = 0; seen < SAMPLES && !error && !env->fault; seen++) {
		struct st_dynptr ptr;
		u8 *sample;
		u32 size;
		error = st_user_ring_peek(map, &sample, &size);
		if (error == -EAGAIN) {
			error = 0;
			continue;
		}
		if (error)
			break;
		st_dynptr_make(&ptr, sample, ST_DYNPTR_LOCAL, size, false);
		bool stop = st_callback(env, b, (u64)&ptr, c, 0, 0, 0);
		st_user_ring_pass(map, size);
		samples++;
		if (stop)
			break;
	}
	st_user_ring_end(map, d, samples > 0);
	return (u64)(error && error != -ENODATA ? error : samples);
}

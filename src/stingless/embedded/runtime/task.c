/* Helpers about the current task, the time, and this execution. */
#include "helpers.h"
#include "objects.h"

enum { CLOCK_MONOTONIC = 1, CLOCK_MONOTONIC_COARSE = 6, CLOCK_BOOTTIME = 7, CLOCK_TAI = 11 };

u64 st_clock(const struct st_env *env, int clock)
{
	struct timespec now;
	if (env->now)
		return env->now();
	clock_gettime(clock, &now);
	return (u64)now.tv_sec * 1000000000 + (u64)now.tv_nsec;
}

s32 st_task_pid(const struct st_env *env)
{
	return env->task ? env->task->pid : gettid();
}

void st_task_comm(const struct st_env *env, char comm[16])
{
	if (env->task)
		memcpy(comm, env->task->comm, 16);
	else
		prctl(PR_GET_NAME, comm);
	comm[15] = 0;
}

HELPER_DEFINE(st_ktime_get_ns) { return st_clock(env, CLOCK_MONOTONIC); }
HELPER_DEFINE(st_ktime_get_boot_ns) { return st_clock(env, CLOCK_BOOTTIME); }
HELPER_DEFINE(st_ktime_get_coarse_ns) { return st_clock(env, CLOCK_MONOTONIC_COARSE); }
HELPER_DEFINE(st_ktime_get_tai_ns) { return st_clock(env, CLOCK_TAI); }
HELPER_DEFINE(st_jiffies64) { return st_clock(env, CLOCK_MONOTONIC) / 4000000; } /* HZ=250 */

HELPER_DEFINE(st_get_current_pid_tgid)
{
	u32 pid = (u32)st_task_pid(env), tgid = (u32)(env->task ? env->task->tgid : getpid());
	return (u64)tgid << 32 | pid;
}

HELPER_DEFINE(st_get_current_uid_gid)
{
	return env->task ? (u64)env->task->gid << 32 | env->task->uid : (u64)getgid() << 32 | getuid();
}

/* bpf_get_current_comm(buffer, size) */
HELPER_DEFINE(st_get_current_comm)
{
	char comm[16];
	u32 size = (u32)b, length;
	if (!size)
		return 0;
	st_task_comm(env, comm);
	length = (u32)strlen(comm);
	memset((void *)a, 0, size);
	memcpy((void *)a, comm, length < size ? length : size - 1);
	return 0;
}

/* Without a layout of kernel objects: an address that differs by task and that nothing can be read from. */
HELPER_DEFINE(st_get_current_task)
{
	if (env->objects) {
		struct st_task own;
		if (env->task)
			return st_objects_current(env->objects, env->task);
		own = (struct st_task){.pid = gettid(), .tgid = getpid(), .cpu = env->cpu};
		st_task_comm(env, own.comm);
		return st_objects_current(env->objects, &own);
	}
	return 0xffff888000000000ull + ((u64)(u32)st_task_pid(env) << 14);
}

HELPER_DEFINE(st_get_current_cgroup_id) { return env->task ? env->task->cgroup : st_own_cgroup; }
HELPER_DEFINE(st_get_smp_processor_id) { return env->cpu; }
HELPER_DEFINE(st_get_numa_node_id) { return 0; }
HELPER_DEFINE(st_get_func_ip) { return env->func_ip; }
HELPER_DEFINE(st_get_attach_cookie) { return env->cookie; }

HELPER_DEFINE(st_get_prandom_u32)
{
	static u64 shared;
	u64 state = env->prandom;
	if (state) {
		state = env->prandom += 0x9e3779b97f4a7c15ull;
	} else {
		if (unlikely(!__atomic_load_n(&shared, __ATOMIC_RELAXED)))
			getrandom(&shared, sizeof(shared), 0);
		state = __atomic_add_fetch(&shared, 0x9e3779b97f4a7c15ull, __ATOMIC_RELAXED);
	}
	state = (state ^ state >> 30) * 0xbf58476d1ce4e5b9ull;
	state = (state ^ state >> 27) * 0x94d049bb133111ebull;
	return (u32)(state ^ state >> 31);
}

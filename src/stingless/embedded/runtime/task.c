/* Helpers about the current task, the time, and this execution. */
#include "helpers.h"
#include "fixed.h"
#include "objects.h"
#include "tracer.h"

enum { CLOCK_MONOTONIC = 1, CLOCK_MONOTONIC_COARSE = 6, CLOCK_BOOTTIME = 7, CLOCK_TAI = 11 };

u64 st_clock(const struct st_env *env, int clock)
{
	struct timespec now;
	if (env->fixed && env->fixed->has_time)
		return __atomic_fetch_add(&env->fixed->time, env->fixed->step, __ATOMIC_RELAXED);
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
	return ST_PLAIN_TASK + ((u64)(u32)st_task_pid(env) << 14);
}

HELPER_DEFINE(st_get_smp_processor_id) { return env->cpu; }
HELPER_DEFINE(st_get_numa_node_id) { return 0; }
HELPER_DEFINE(st_get_func_ip) { return env->func_ip; }
HELPER_DEFINE(st_get_attach_cookie) { return env->cookie; }

HELPER_DEFINE(st_get_prandom_u32)
{
	static u64 shared;
	u64 state;
	if (env->fixed && env->fixed->has_random) {
		state = __atomic_add_fetch(&env->fixed->random, 0x9e3779b97f4a7c15ull, __ATOMIC_RELAXED);
	} else {
		if (unlikely(!__atomic_load_n(&shared, __ATOMIC_RELAXED)))
			getrandom(&shared, sizeof(shared), 0);
		state = __atomic_add_fetch(&shared, 0x9e3779b97f4a7c15ull, __ATOMIC_RELAXED);
	}
	state = (state ^ state >> 30) * 0xbf58476d1ce4e5b9ull;
	state = (state ^ state >> 27) * 0x94d049bb133111ebull;
	return (u32)(state ^ state >> 31);
}

/* bpf_get_ns_current_pid_tgid(device, inode, to, size): the numbers of the task in its own pid namespace, if that is the
 * namespace of this place in nsfs. */
HELPER_DEFINE(st_get_ns_current_pid_tgid)
{
	struct {
		u32 pid, tgid;
	} *to = (void *)c;
	char text[4096];
	u64 device, inode;
	memset(to, 0, (u32)d);
	if ((u32)d != sizeof(*to) || a >> 32)
		return (u64)-EINVAL;
	s32 tid = st_task_pid(env);
	if (!st_namespace(tid, "ns/pid", &device, &inode) || device != a || inode != b)
		return (u64)-EINVAL;
	if (st_read_proc(tid, "status", text, sizeof(text)) <= 0)
		return (u64)-ENOENT;
	to->tgid = st_last_number(st_proc_field(text, "NStgid:"));
	to->pid = st_last_number(st_proc_field(text, "NSpid:"));
	return 0;
}

/* A run outside of any event has no task of its own: the caller is not to be hit by what it tests. */
static u64 signal_task(const struct st_env *env, u32 number, bool thread)
{
	const struct st_task *task = env->task;
	if (!task || !task->memory)
		return (u64)-EPERM;
	return (u64)(thread ? sys6(NR_TGKILL, task->tgid, task->pid, (s32)number, 0, 0, 0)
			    : sys6(NR_KILL, task->tgid, (s32)number, 0, 0, 0, 0));
}

HELPER_DEFINE(st_send_signal) { return signal_task(env, (u32)a, false); }
HELPER_DEFINE(st_send_signal_thread) { return signal_task(env, (u32)a, true); }

/* The registers of the task in user space, where the event has them; else nothing, which reads as zero. */
HELPER_DEFINE(st_task_pt_regs) { return (u64)env->user_regs; }

/* bpf_get_func_arg(ctx, n, to): arguments come first in the context of a function's entry or exit, its result after them. */
HELPER_DEFINE(st_get_func_arg)
{
	if ((u32)b >= env->func_args)
		return (u64)-EINVAL;
	*(u64 *)c = ((const u64 *)a)[(u32)b];
	return 0;
}

HELPER_DEFINE(st_get_func_ret)
{
	if (!env->func_returned)
		return (u64)-EOPNOTSUPP;
	*(u64 *)b = ((const u64 *)a)[env->func_args];
	return 0;
}

HELPER_DEFINE(st_get_func_arg_cnt) { return env->func_args; }
HELPER_DEFINE(st_get_retval) { return (u64)(s64)env->retval; }

HELPER_DEFINE(st_set_retval)
{
	env->retval = (s32)a;
	return 0;
}

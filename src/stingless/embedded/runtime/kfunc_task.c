/* kfuncs on tasks and control groups.  They are addresses of kernel objects, which no one owns: nothing is counted. */
#include "kfunc.h"
#include "objects_proc.h"
#include "tracer.h"

KFUNC(bpf_task_acquire) { return a; }
KFUNC(bpf_task_release) { return 0; }
KFUNC(bpf_cgroup_acquire) { return a; }
KFUNC(bpf_cgroup_release) { return 0; }

static u64 task_of(const struct st_env *env, s32 pid)
{
	char text[64];
	u64 address;
	if (pid <= 0 || !env->objects || st_read_proc(pid, "stat", text, sizeof(text)) <= 0)
		return 0;
	st_acquire(&env->objects->lock);
	address = st_object(env->objects, ST_OBJECT_task_struct, (u64)pid, 0);
	st_release(&env->objects->lock);
	return address;
}

KFUNC(bpf_task_from_pid) { return task_of(env, (s32)a); }
KFUNC(bpf_task_from_vpid) { return task_of(env, (s32)a); }

/* The path of a task's cgroup in the version 2 hierarchy. */
static bool path_of(const struct st_env *env, u64 task, char *path)
{
	char text[ST_OBJECT_TEXT];
	u64 tid = st_objects_number(env->objects, task, ST_OBJECT_task_struct);
	u32 length = 0;
	if (!tid || st_read_proc((s32)tid, "cgroup", text, sizeof(text)) <= 0)
		return false;
	for (const char *own = st_proc_field(text, "0::"); own[length] && own[length] != '\n'; length++)
		path[length] = own[length];
	path[length] = 0;
	return length > 0;
}

/* The path that names a cgroup's object. */
static bool name_of(const struct st_env *env, u64 cgroup, char *path)
{
	bool found = false;
	if (!env->objects)
		return false;
	st_acquire(&env->objects->lock);
	for (u32 i = 0; i < env->objects->count && !found; i++) {
		const struct st_object *each = &env->objects->objects[i];
		if (each->kind == ST_OBJECT_cgroup && each->text && st_object(env->objects, ST_OBJECT_cgroup, 0, each->text) == cgroup) {
			memcpy(path, each->text, strlen(each->text) + 1);
			found = true;
		}
	}
	st_release(&env->objects->lock);
	return found;
}

/* bpf_task_under_cgroup(task, ancestor) */
KFUNC(bpf_task_under_cgroup)
{
	char own[ST_OBJECT_TEXT], above[ST_OBJECT_TEXT];
	if (!path_of(env, a, own) || !name_of(env, b, above))
		return 0;
	usize length = strlen(above);
	if (length == 1)
		return 1; /* the root */
	return strlen(own) >= length && !memcmp(own, above, length) && (!own[length] || own[length] == '/');
}

/* bpf_cgroup_ancestor(cgroup, level) */
KFUNC(bpf_cgroup_ancestor)
{
	char path[ST_OBJECT_TEXT];
	s32 level = (s32)b;
	u64 address;
	if (level < 0 || !name_of(env, a, path))
		return 0;
	u32 end = 1; /* of the part that names it: "/" is level 0 */
	for (u32 at = 1; level > 0; level--) {
		if (!path[at])
			return 0;
		while (path[at] && path[at] != '/')
			at++;
		end = at;
		at += path[at] == '/';
	}
	path[end] = 0;
	st_acquire(&env->objects->lock);
	address = st_object(env->objects, ST_OBJECT_cgroup, 0, path);
	st_release(&env->objects->lock);
	return address;
}

#define PAD_ZEROS 1

static s64 copy_string(u8 *to, u32 size, u64 flags, s64 length)
{
	if (length < 0)
		return length;
	if (flags & PAD_ZEROS)
		memset(to + length, 0, size - (u64)length);
	else
		to[length] = 0;
	return length + 1;
}

/* Characters before the end of the string or `room`, or -EFAULT. */
static s64 user_string(const struct st_env *env, u8 *to, u32 room, u64 from)
{
	u64 got = st_copy_user(env, to, from, room, true);
	if (got && !to[got - 1])
		return (s64)got - 1;
	return got == room ? (s64)got : -EFAULT;
}

/* bpf_copy_from_user_str(to, size, address, flags) */
KFUNC(bpf_copy_from_user_str)
{
	u32 size = (u32)b;
	if (d & ~(u64)PAD_ZEROS)
		return (u64)-EINVAL;
	return (u64)(size ? copy_string((u8 *)a, size, d, user_string(env, (u8 *)a, size - 1, c)) : 0);
}

/* bpf_copy_from_user_task_str(to, size, address, task, flags) */
KFUNC(bpf_copy_from_user_task_str)
{
	u32 size = (u32)b;
	if (e & ~(u64)PAD_ZEROS)
		return (u64)-EINVAL;
	if (!size)
		return 0;
	struct st_task other = {.memory = (s32)st_objects_number(env->objects, d, ST_OBJECT_task_struct)};
	struct st_env of = {.task = &other};
	return (u64)copy_string((u8 *)a, size, e, other.memory ? user_string(&of, (u8 *)a, size - 1, c) : -EFAULT);
}

/* bpf_send_signal_task(task, signal, type, value): type is PIDTYPE_PID (0) or PIDTYPE_TGID (1); only to what is traced here. */
KFUNC(bpf_send_signal_task)
{
	const struct st_task *current = env->task;
	u64 tid = st_objects_number(env->objects, a, ST_OBJECT_task_struct);
	if ((u32)c > 1)
		return (u64)-EINVAL;
	if (!current || !current->memory || tid != (u64)current->pid)
		return (u64)-EPERM;
	return (u32)c ? st_send_signal(env, b, 0, 0, 0, 0) : st_send_signal_thread(env, b, 0, 0, 0, 0);
}

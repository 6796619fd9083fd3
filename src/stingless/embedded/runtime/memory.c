/* Reading memory by address.  "Kernel" memory is what an execution may see: the event's windows, its own stack, its
 * packet, and map values; nothing else of this process.  User memory is the task's, read with process_vm_readv(2), so
 * that a bad address is an error and not a crash. */
#include "helpers.h"
#include "objects.h"

static u64 from_span(void *to, const void *base, u64 length, u64 address, u64 size, bool string)
{
	u64 offset = address - (u64)base;
	if (address < (u64)base || offset >= length)
		return 0;
	return st_copy(to, (const void *)address, length - offset < size ? length - offset : size, string);
}

u64 st_copy_kernel(const struct st_env *env, void *to, u64 address, u64 size, bool string)
{
	u64 copied = 0;
	for (u32 i = 0; i < env->window_count && !copied; i++)
		copied = from_span(to, env->windows[i].base, env->windows[i].size, address, size, string);
	if (!copied && env->machine_frames) {
		u8 *lowest = __builtin_frame_address(0);
		copied = from_span(to, lowest, (u64)(env->machine_frames - lowest), address, size, string);
	} else if (!copied) {
		copied = from_span(to, env->stack, ST_FRAMES * ST_STACK, address, size, string);
	}
	if (!copied && env->data)
		copied = from_span(to, env->data_hard_start, (u64)(env->data_limit - env->data_hard_start), address, size, string);
	if (!copied)
		copied = st_objects_read(env->objects, to, address, size, string);
	return copied ? copied : st_maps_read(to, address, size, string);
}

static u64 read_task(const struct st_env *env, void *to, u64 address, u64 size)
{
	struct iovec local = {to, size}, remote = {(void *)address, size};
	s32 pid = env->task && env->task->memory ? env->task->memory : getpid();
	s64 got = process_vm_readv(pid, &local, 1, &remote, 1, 0);
	return got < 0 ? 0 : (u64)got;
}

u64 st_copy_user(const struct st_env *env, void *to, u64 address, u64 size, bool string)
{
	if (!string)
		return read_task(env, to, address, size);
	/* piece by piece, since the string may end just before memory that cannot be read */
	for (u64 done = 0; done < size;) {
		u64 piece = 256 - (address + done) % 256;
		if (piece > size - done)
			piece = size - done;
		u8 bytes[256]; /* of which only the string goes to the program: what follows stays as it was */
		u64 got = read_task(env, bytes, address + done, piece);
		for (u64 i = 0; i < got; i++, done++)
			if (!(((u8 *)to)[done] = bytes[i])) {
				u64 word = (done / 8 + 1) * 8;
				if (word <= size) /* as Linux copies by words, there are zeroes up to the end of one */
					memset((u8 *)to + done, 0, word - done);
				return done + 1;
			}
		if (got < piece)
			return done;
	}
	return size;
}

s64 st_copy_string(const struct st_env *env, char *to, u64 address, u32 size, enum st_from space)
{
	u64 copied = 0;
	if (!size)
		return 0;
	if (space & ST_KERNEL)
		copied = st_copy_kernel(env, to, address, size, true);
	if (!copied && space & ST_USER)
		copied = st_copy_user(env, to, address, size, true);
	if (copied && !to[copied - 1])
		return (s64)copied;
	if (copied == size) {
		to[size - 1] = 0;
		return size;
	}
	memset(to, 0, size);
	return -EFAULT;
}

static u64 probe(struct st_env *env, u64 to, u32 size, u64 address, enum st_from space)
{
	if (!size)
		return 0;
	if (space & ST_KERNEL && st_copy_kernel(env, (void *)to, address, size, false) == size)
		return 0;
	if (space & ST_USER && st_copy_user(env, (void *)to, address, size, false) == size)
		return 0;
	memset((void *)to, 0, size);
	return (u64)-EFAULT;
}

HELPER_DEFINE(st_probe_read) { return probe(env, a, (u32)b, c, ST_ANY); }
HELPER_DEFINE(st_probe_read_user) { return probe(env, a, (u32)b, c, ST_USER); }
HELPER_DEFINE(st_probe_read_kernel) { return probe(env, a, (u32)b, c, ST_KERNEL); }
HELPER_DEFINE(st_probe_read_str) { return (u64)st_copy_string(env, (char *)a, c, (u32)b, ST_ANY); }
HELPER_DEFINE(st_probe_read_user_str) { return (u64)st_copy_string(env, (char *)a, c, (u32)b, ST_USER); }
HELPER_DEFINE(st_probe_read_kernel_str) { return (u64)st_copy_string(env, (char *)a, c, (u32)b, ST_KERNEL); }

/* bpf_copy_from_user(to, size, address) */
HELPER_DEFINE(st_copy_from_user) { return probe(env, a, (u32)b, c, ST_USER); }

/* bpf_copy_from_user_task(to, size, address, task, flags) */
HELPER_DEFINE(st_copy_from_user_task)
{
	u32 size = (u32)b;
	if (e)
		return (u64)-EINVAL;
	s32 pid = (s32)st_objects_number(env->objects, d, ST_OBJECT_task_struct);
	struct iovec local = {(void *)a, size}, remote = {(void *)c, size};
	if (!size || (pid && process_vm_readv(pid, &local, 1, &remote, 1, 0) == size))
		return 0;
	memset((void *)a, 0, size);
	return (u64)-EFAULT;
}

/* bpf_probe_write_user(to, from, size) */
HELPER_DEFINE(st_probe_write_user)
{
	u32 size = (u32)c;
	s32 pid = env->task && env->task->memory ? env->task->memory : getpid();
	struct iovec local = {(void *)b, size}, remote = {(void *)a, size};
	return (u64)(process_vm_writev(pid, &local, 1, &remote, 1, 0) == size ? 0 : -EFAULT);
}

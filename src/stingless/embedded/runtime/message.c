/* Helpers of programs that see messages of sockets, and settings that are read or written. */
#include "packet_state.h"

enum { MSG_SIZE = 68 }; /* of struct sk_msg_md */

static u64 message_size(const struct st_env *env) { return (u64)(env->data_end - env->data_hard_start); }

/* The message lies from data_hard_start on; what a program has asked to see of it is a part. */
static void show(struct st_env *env, u64 start, u64 end)
{
	u32 size = (u32)message_size(env);
	u8 *pointers[2] = {env->data_hard_start + start, env->data_hard_start + end};
	memcpy(env->ctx, pointers, sizeof(pointers));
	memcpy((u8 *)env->ctx + MSG_SIZE, &size, sizeof(size));
}

/* bpf_msg_apply_bytes(msg, bytes), bpf_msg_cork_bytes(msg, bytes): there is one message here, whose verdict is told. */
HELPER_DEFINE(st_msg_apply_bytes) { return 0; }
HELPER_DEFINE(st_msg_cork_bytes) { return 0; }

/* bpf_msg_pull_data(msg, start, end, flags) */
HELPER_DEFINE(st_msg_pull_data)
{
	u32 start = (u32)b, end = (u32)c;
	if (d || end <= start || end > message_size(env))
		return (u64)-EINVAL;
	show(env, start, end);
	return 0;
}

/* bpf_msg_push_data(msg, start, len, flags): the new bytes are zero. */
HELPER_DEFINE(st_msg_push_data)
{
	u32 start = (u32)b, size = (u32)c;
	if (d)
		return (u64)-EINVAL;
	if (!size)
		return 0;
	if (start > message_size(env))
		return (u64)-EINVAL;
	if (size > env->data_limit - env->data_end)
		return (u64)-ENOMEM;
	u8 *at = env->data_hard_start + start;
	memmove(at + size, at, (u64)(env->data_end - at));
	memset(at, 0, size);
	env->data_end += size;
	show(env, 0, message_size(env));
	return 0;
}

/* bpf_msg_pop_data(msg, start, len, flags) */
HELPER_DEFINE(st_msg_pop_data)
{
	u32 start = (u32)b, size = (u32)c;
	if (d)
		return (u64)-EINVAL;
	if (!size)
		return 0;
	if (start >= message_size(env) || (u64)start + size > message_size(env))
		return (u64)-EINVAL;
	u8 *at = env->data_hard_start + start;
	memmove(at, at + size, (u64)(env->data_end - at) - size);
	env->data_end -= size;
	show(env, 0, message_size(env));
	return 0;
}

/* The data of a setting: its name, its value and the new one, with a NUL between. */
static const u8 *part(const struct st_env *env, u32 number, u32 *size)
{
	enum { LAST = 2 };
	const u8 *at = env->data;
	for (u32 i = 0; i < number; i++) {
		while (at < env->data_end && *at)
			at++;
		if (at < env->data_end)
			at++;
	}
	const u8 *end = at;
	while (end < env->data_end && (number == LAST || *end))
		end++;
	*size = (u32)(end - at);
	return at;
}

static bool writes(const struct st_env *env)
{
	u32 write;
	memcpy(&write, env->ctx, sizeof(write));
	return write;
}

static u64 copy_value(u8 *to, u64 room, const u8 *from, u32 size)
{
	if (!room)
		return (u64)-E2BIG;
	if (!size) {
		memset(to, 0, room);
		return (u64)-EINVAL;
	}
	memcpy(to, from, size < room ? size : room);
	if (room > size) {
		memset(to + size, 0, room - size);
		return size;
	}
	to[room - 1] = 0;
	return (u64)-E2BIG;
}

/* bpf_sysctl_get_name(ctx, to, size, flags) */
HELPER_DEFINE(st_sysctl_get_name)
{
	enum { BASE_NAME = 1 };
	u32 size;
	const u8 *name = part(env, 0, &size);
	for (u32 i = size; d & BASE_NAME && i; i--)
		if (name[i - 1] == '/') {
			name += i;
			size -= i;
			break;
		}
	if (!c)
		return (u64)-EINVAL;
	u64 copied = size < c ? size : c - 1;
	memcpy((u8 *)b, name, copied);
	((u8 *)b)[copied] = 0;
	return copied < size ? (u64)-E2BIG : copied;
}

/* bpf_sysctl_get_current_value(ctx, to, size) */
HELPER_DEFINE(st_sysctl_get_current_value)
{
	u32 size;
	const u8 *value = part(env, 1, &size);
	return copy_value((u8 *)b, c, value, size);
}

/* bpf_sysctl_get_new_value(ctx, to, size) */
HELPER_DEFINE(st_sysctl_get_new_value)
{
	u32 size;
	const u8 *value = part(env, 2, &size);
	if (!writes(env)) {
		memset((u8 *)b, 0, c);
		return (u64)-EINVAL;
	}
	return copy_value((u8 *)b, c, value, size);
}

/* bpf_sysctl_set_new_value(ctx, from, size) */
HELPER_DEFINE(st_sysctl_set_new_value)
{
	u32 size;
	const u8 *value = part(env, 2, &size);
	if (!writes(env) || !size || !c)
		return (u64)-EINVAL;
	if (c > ST_PAGE - 1)
		return (u64)-E2BIG;
	u8 *at = env->data + (value - env->data);
	if (c > (u64)(env->data_limit - at))
		return (u64)-E2BIG;
	memcpy(at, (const void *)b, c);
	env->data_end = at + c;
	return 0;
}

/* Helpers of XDP programs. */
#include "packet_state.h"

#define FRAME_ROOM 40 /* sizeof(struct xdp_frame), which Linux keeps at the start of the headroom */
#define META_MAX 252

static u64 length(const struct st_env *env)
{
	return (u64)(env->data_end - env->data) + ((const struct st_packet *)env->ctx)->frags_size;
}

/* bpf_xdp_get_buff_len(xdp) */
HELPER_DEFINE(st_xdp_get_buff_len) { return length(env); }

/* bpf_xdp_adjust_head(xdp, delta): metadata, if any, moves along. */
HELPER_DEFINE(st_xdp_adjust_head)
{
	s32 delta = (s32)b;
	u64 meta = (u64)(env->data - env->data_meta);
	u8 *data = env->data + delta;
	if (data < env->data_hard_start + FRAME_ROOM + meta || data > env->data_end - ST_ETH_HLEN)
		return (u64)-EINVAL;
	if (meta)
		memmove(env->data_meta + delta, env->data_meta, meta);
	env->data_meta += delta;
	env->data = data;
	st_packet_publish(env);
	return 0;
}

static u64 grow_frags(struct st_packet *packet, u32 by)
{
	u32 last = packet->frags_size % ST_PAGE;
	if (by > (last ? ST_PAGE - last : 0))
		return (u64)-EINVAL;
	memset(packet->frags + packet->frags_size, 0, by);
	packet->frags_size += by;
	return 0;
}

static u64 shrink_frags(struct st_env *env, u32 by)
{
	struct st_packet *packet = env->ctx;
	if ((s64)by > (s64)length(env) - ST_ETH_HLEN)
		return (u64)-EINVAL;
	u32 off = by < packet->frags_size ? by : packet->frags_size;
	packet->frags_size -= off;
	env->data_end -= by - off;
	st_packet_publish(env);
	return 0;
}

/* bpf_xdp_adjust_tail(xdp, delta): new bytes are zero. */
HELPER_DEFINE(st_xdp_adjust_tail)
{
	s32 delta = (s32)b;
	struct st_packet *packet = env->ctx;
	if (packet->frags_size)
		return delta < 0 ? shrink_frags(env, (u32)-delta) : grow_frags(packet, (u32)delta);
	u8 *end = env->data_end + delta;
	if (end > env->data_limit || end < env->data + ST_ETH_HLEN)
		return (u64)-EINVAL;
	if (delta > 0)
		memset(env->data_end, 0, (u32)delta);
	env->data_end = end;
	st_packet_publish(env);
	return 0;
}

/* bpf_xdp_adjust_meta(xdp, delta) */
HELPER_DEFINE(st_xdp_adjust_meta)
{
	u8 *meta = env->data_meta + (s32)b;
	if (meta < env->data_hard_start + FRAME_ROOM || meta > env->data)
		return (u64)-EINVAL;
	u64 size = (u64)(env->data - meta);
	if (size % 4 || size > META_MAX)
		return (u64)-EACCES;
	env->data_meta = meta;
	st_packet_publish(env);
	return 0;
}

static u64 copy(const struct st_env *env, u32 offset, u8 *memory, u32 size, bool store)
{
	const struct st_packet *packet = env->ctx;
	u64 linear = (u64)(env->data_end - env->data);
	if (offset > 0xffff || size > 0xffff)
		return (u64)-EFAULT;
	if ((u64)offset + size > length(env))
		return (u64)-EINVAL;
	u32 first = offset >= linear ? 0 : linear - offset < size ? (u32)(linear - offset) : size;
	u8 *frag = packet->frags + (offset > linear ? offset - linear : 0);
	if (store) {
		memcpy(env->data + offset, memory, first);
		if (first < size)
			memcpy(frag, memory + first, size - first);
	} else {
		memcpy(memory, env->data + offset, first);
		if (first < size)
			memcpy(memory + first, frag, size - first);
	}
	return 0;
}

/* bpf_xdp_load_bytes(xdp, offset, to, size) and bpf_xdp_store_bytes(xdp, offset, from, size) */
HELPER_DEFINE(st_xdp_load_bytes) { return copy(env, (u32)b, (u8 *)c, (u32)d, false); }
HELPER_DEFINE(st_xdp_store_bytes) { return copy(env, (u32)b, (u8 *)c, (u32)d, true); }

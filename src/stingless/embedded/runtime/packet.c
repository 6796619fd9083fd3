/* Helpers of packet programs.  The packet is one linear buffer: data_hard_start <= data_meta <= data <= data_end <=
 * data_limit. */
#include "helpers.h"

#define ETH_HLEN 14
#define FRAME_ROOM 40 /* sizeof(struct xdp_frame), which Linux keeps at the start of the headroom */
#define META_MAX 252
#define EACCES 13

static void publish(struct st_env *env)
{
	struct st_packet *packet = env->ctx;
	packet->data = env->data;
	packet->data_end = env->data_end;
	packet->data_meta = env->data_meta;
}

/* SKF_NET_OFF and SKF_LL_OFF count from the network and the link header; other negative offsets are nowhere. */
bool st_packet_load(const struct st_env *env, s64 offset, u32 size, u64 *value)
{
	const u8 *at = env->data;
	if (offset < 0) {
		if (offset >= -0x100000) {
			at = env->network;
			offset += 0x100000;
		} else if (offset >= -0x200000) {
			at = env->mac;
			offset += 0x200000;
		} else {
			return false;
		}
	}
	if (!at || offset + size > env->data_end - at)
		return false;
	u64 result = 0;
	for (u32 i = 0; i < size; i++)
		result = result << 8 | at[offset + i];
	*value = result;
	return true;
}

static u64 load_bytes(const struct st_env *env, const u8 *start, u64 offset, void *to, u32 size)
{
	u64 length = (u64)(env->data_end - start);
	if (offset > 0x7fffffff || offset > length || size > length - offset) {
		memset(to, 0, size);
		return (u64)-EFAULT;
	}
	memcpy(to, start + offset, size);
	return 0;
}

/* bpf_skb_load_bytes(skb, offset, to, len) */
HELPER_DEFINE(st_skb_load_bytes) { return load_bytes(env, env->data, (u32)b, (void *)c, (u32)d); }

/* bpf_skb_load_bytes_relative(skb, offset, to, len, start_header) */
HELPER_DEFINE(st_skb_load_bytes_relative)
{
	const u8 *start = e == 0 ? env->mac : e == 1 ? env->network : 0;
	if (!start || (u32)b > 0xffff) {
		memset((void *)c, 0, (u32)d);
		return (u64)-EFAULT;
	}
	return load_bytes(env, start, (u32)b, (void *)c, (u32)d);
}

/* bpf_csum_diff(from, from_size, to, to_size, seed) */
HELPER_DEFINE(st_csum_diff)
{
	const u8 *from = (const u8 *)a, *to = (const u8 *)c;
	u32 from_size = (u32)b, to_size = (u32)d;
	u64 sum = (u32)e;
	if (from_size % 4 || to_size % 4)
		return (u64)-EINVAL;
	for (u32 i = 0; i < from_size; i += 2)
		sum += (u16) ~(from[i] | from[i + 1] << 8);
	for (u32 i = 0; i < to_size; i += 2)
		sum += (u16)(to[i] | to[i + 1] << 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* bpf_xdp_adjust_head(xdp, delta): metadata, if any, moves along. */
HELPER_DEFINE(st_xdp_adjust_head)
{
	s32 delta = (s32)b;
	u64 meta = (u64)(env->data - env->data_meta);
	u8 *data = env->data + delta;
	if (data < env->data_hard_start + FRAME_ROOM + meta || data > env->data_end - ETH_HLEN)
		return (u64)-EINVAL;
	if (meta)
		memmove(env->data_meta + delta, env->data_meta, meta);
	env->data_meta += delta;
	env->data = data;
	publish(env);
	return 0;
}

/* bpf_xdp_adjust_tail(xdp, delta): new bytes are zero. */
HELPER_DEFINE(st_xdp_adjust_tail)
{
	s32 delta = (s32)b;
	u8 *end = env->data_end + delta;
	if (end > env->data_limit || end < env->data + ETH_HLEN)
		return (u64)-EINVAL;
	if (delta > 0)
		memset(env->data_end, 0, (u32)delta);
	env->data_end = end;
	publish(env);
	return 0;
}

/* bpf_xdp_adjust_meta(xdp, delta) */
HELPER_DEFINE(st_xdp_adjust_meta)
{
	u8 *meta = env->data_meta + (s32)b;
	if (meta < env->data_hard_start + FRAME_ROOM || meta > env->data)
		return (u64)-EINVAL;
	u64 length = (u64)(env->data - meta);
	if (length % 4 || length > META_MAX)
		return (u64)-EACCES;
	env->data_meta = meta;
	publish(env);
	return 0;
}

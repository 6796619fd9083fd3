/* What helpers of socket buffers and of XDP have in common. */
#include "packet_state.h"

void st_packet_publish(struct st_env *env)
{
	struct st_packet *packet = env->ctx;
	packet->data = env->data;
	packet->data_end = env->data_end;
	packet->data_meta = env->data_meta;
	if (env->mac)
		st_packet_set(packet, SKB_LEN, (u32)(env->data_end - env->data));
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

u32 st_sum_add(u32 sum, u32 more)
{
	u32 result = sum + more;
	return result + (result < more);
}

u16 st_sum_fold(u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (u16)(sum + (sum >> 16));
}

u32 st_sum(const u8 *from, u32 size, u32 seed)
{
	u64 sum = seed;
	for (; size > 1; from += 2, size -= 2)
		sum += (u32)(from[0] | from[1] << 8);
	if (size)
		sum += from[0];
	while (sum >> 32)
		sum = (u32)sum + (sum >> 32);
	return (u32)sum;
}

/* bpf_csum_diff(from, from_size, to, to_size, seed) */
HELPER_DEFINE(st_csum_diff)
{
	const u8 *from = (const u8 *)a, *to = (const u8 *)c;
	u32 from_size = (u32)b, to_size = (u32)d, sum = (u32)e;
	if ((from_size | to_size) % 4)
		return (u64)-EINVAL;
	sum = st_sum(to, to_size, sum);
	if (from_size)
		sum = st_sum_add(sum, ~st_sum(from, from_size, 0));
	return st_sum_fold(sum);
}

enum { XDP_ABORTED, XDP_REDIRECT = 4, TC_ACT_SHOT = 2, TC_ACT_REDIRECT = 7, BPF_F_INGRESS = 1, BPF_F_PEER = 4 };

static u64 redirect(struct st_env *env, u64 ifindex, u64 flags, u64 verdict)
{
	struct st_packet *packet = env->ctx;
	packet->redirect_ifindex = (u32)ifindex;
	packet->redirect_flags = flags;
	return verdict;
}

/* bpf_redirect(ifindex, flags).  There are no interfaces here: the target is noted for who runs the program. */
HELPER_DEFINE(st_redirect)
{
	if (!env->mac)
		return b ? XDP_ABORTED : redirect(env, a, b, XDP_REDIRECT);
	return b & ~(u64)BPF_F_INGRESS ? TC_ACT_SHOT : redirect(env, a, b, TC_ACT_REDIRECT);
}

/* bpf_redirect_peer(ifindex, flags) */
HELPER_DEFINE(st_redirect_peer) { return b ? TC_ACT_SHOT : redirect(env, a, BPF_F_PEER, TC_ACT_REDIRECT); }

/* bpf_redirect_neigh(ifindex, params, size, flags) */
HELPER_DEFINE(st_redirect_neigh)
{
	enum { PARAMS = 20 }; /* sizeof(struct bpf_redir_neigh) */
	return d || ((s32)c && (s32)c < PARAMS) ? TC_ACT_SHOT : redirect(env, a, 0, TC_ACT_REDIRECT);
}

/* bpf_clone_redirect(skb, ifindex, flags): counted; interface 0 is none. */
HELPER_DEFINE(st_clone_redirect)
{
	struct st_packet *packet = env->ctx;
	if (c & ~(u64)BPF_F_INGRESS)
		return (u64)-EINVAL;
	if (st_packet_get(packet, SKB_GSO_SIZE))
		return (u64)-EBADMSG; /* of an unknown kind of offload */
	if (!(u32)b)
		return (u64)-EINVAL;
	packet->clones++;
	redirect(env, b, c, 0);
	return 0;
}

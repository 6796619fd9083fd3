/* Helpers that redirect to what a map holds: the verdict counts, and nothing is sent. */
#include "helpers.h"

enum { XDP_REDIRECT = 4, SK_DROP = 0, SK_PASS = 1, F_INGRESS = 1, F_BROADCAST = 1 << 3, F_EXCLUDE_INGRESS = 1 << 4 };
#define XDP_ACTIONS 3ull /* of flags: what is returned when there is no such target */

/* bpf_redirect_map(map, key, flags).  The interface is noted for who runs the program. */
HELPER_DEFINE(st_redirect_map)
{
	struct st_map *map = (struct st_map *)a;
	struct st_packet *packet = env->ctx;
	bool devices = map->type == ST_DEVMAP || map->type == ST_DEVMAP_HASH;
	u64 known = XDP_ACTIONS | (devices ? F_BROADCAST | F_EXCLUDE_INGRESS : 0);
	u32 key = (u32)b, none = 0;
	if (c & ~known)
		return 0;
	const u32 *target = st_map_lookup(map, &key, env->cpu);
	if (!target && !(c & F_BROADCAST))
		return c & XDP_ACTIONS;
	packet->redirect_ifindex = devices && target && !(c & F_BROADCAST) ? *target : none;
	packet->redirect_flags = c;
	return XDP_REDIRECT;
}

static u64 socket_verdict(struct st_map *map, const void *key, u64 flags)
{
	return flags & ~(u64)F_INGRESS || !st_map_lookup(map, key, 0) ? SK_DROP : SK_PASS;
}

/* bpf_sk_redirect_map(skb, map, key, flags), bpf_msg_redirect_map(msg, map, key, flags) */
HELPER_DEFINE(st_sk_redirect_map)
{
	u32 key = (u32)c;
	return socket_verdict((struct st_map *)b, &key, d);
}

/* bpf_sk_redirect_hash(skb, map, key, flags), bpf_msg_redirect_hash(msg, map, key, flags) */
HELPER_DEFINE(st_sk_redirect_hash) { return socket_verdict((struct st_map *)b, (const void *)c, d); }

/* Helpers of socket buffers.  Where a packet has no room to grow, it moves in its buffer: programs' pointers into it are
 * void after these calls anyway. */
#include "packet_state.h"

enum { SK_SKB = 14 }; /* enum bpf_prog_type */

#define MAX_LENGTH 16064u /* what Linux allocates at most for one, SKB_MAX_ALLOC with pages of 4 KiB */

enum { ETH_P_IP = 0x0008, ETH_P_IPV6 = 0xdd86, ETH_P_8021Q = 0x0081, ETH_P_8021AD = 0xa888 }; /* as they lie */
enum { IPV4_HLEN = 20, IPV6_HLEN = 40, VLAN_HLEN = 4, MACS = 12 };

static u32 length(const struct st_env *env) { return (u32)(env->data_end - env->data); }

static u16 protocol(const struct st_packet *packet) { return (u16)st_packet_get(packet, SKB_PROTOCOL); }

/* Room for `head` more bytes in front of the packet and `tail` behind it. */
static bool make_room(struct st_env *env, u32 head, u32 tail)
{
	u8 *low = env->mac < env->data ? env->mac : env->data;
	if (low - env->data_hard_start >= head && env->data_limit - env->data_end >= tail)
		return true;
	s64 spare = (env->data_limit - env->data_hard_start) - (env->data_end - low) - head - tail;
	if (spare < 0)
		return false;
	s64 by = env->data_hard_start + head + spare / 2 - low;
	memmove(low + by, low, (u64)(env->data_end - low));
	env->data += by;
	env->data_end += by;
	env->data_meta += by;
	env->mac += by;
	env->network += by;
	return true;
}

/* The same for room in front, as skb_cow() makes it: the offsets of headers move along with where the room starts, even
 * that of a transport header that was not set. */
static bool make_head_room(struct st_env *env, u32 size)
{
	struct st_packet *packet = env->ctx;
	if (!make_room(env, size, 0))
		return false;
	if (size > packet->headroom) {
		u32 by = (size - packet->headroom + 63) & ~63u;
		packet->headroom += by;
		packet->transport += (u16)by;
	}
	return true;
}

static u16 network_offset(const struct st_env *env)
{
	return (u16)(((const struct st_packet *)env->ctx)->headroom + (u32)(env->network - env->data));
}

static void clear_hash(struct st_packet *packet)
{
	packet->hashed = 0;
	st_packet_set(packet, SKB_HASH, 0);
}

static void reset_checksum(struct st_packet *packet)
{
	packet->checksum = ST_CHECKSUM_NONE;
	packet->checksum_level = 0;
}

static bool is_gso(const struct st_packet *packet) { return st_packet_get(packet, SKB_GSO_SIZE) != 0; }

static u64 load_bytes(const struct st_env *env, const u8 *start, u64 offset, void *to, u32 size)
{
	s64 room = env->data_end - start;
	if (offset > 0x7fffffff || (s64)(offset + size) > room) {
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
	const u8 *start = (u32)e == 0 ? env->mac : (u32)e == 1 ? env->network : 0;
	if (!start || (u32)b > 0xffff) {
		memset((void *)c, 0, (u32)d);
		return (u64)-EFAULT;
	}
	return load_bytes(env, start, (u32)b, (void *)c, (u32)d);
}

/* bpf_skb_store_bytes(skb, offset, from, len, flags) */
HELPER_DEFINE(st_skb_store_bytes)
{
	enum { RECOMPUTE_CSUM = 1, INVALIDATE_HASH = 2 };
	if (e & ~(u64)(RECOMPUTE_CSUM | INVALIDATE_HASH))
		return (u64)-EINVAL;
	if ((u32)b > 0x7fffffff || (u32)b + (u32)d > length(env))
		return (u64)-EFAULT;
	memcpy(env->data + (u32)b, (const void *)c, (u32)d);
	if (e & INVALIDATE_HASH)
		clear_hash(env->ctx);
	return 0;
}

/* bpf_skb_pull_data(skb, len): all of a packet is at hand here. */
HELPER_DEFINE(st_skb_pull_data) { return (u32)b > length(env) ? (u64)-ENOMEM : 0; }

static u16 sum16_add(u16 sum, u16 more)
{
	u16 result = (u16)(sum + more);
	return (u16)(result + (result < more));
}

static void replace_by_difference(u8 *at, u32 difference)
{
	u16 sum;
	memcpy(&sum, at, 2);
	sum = (u16)~st_sum_fold(st_sum_add(difference, ~(u32)sum));
	memcpy(at, &sum, 2);
}

static void replace_word(u8 *at, u32 from, u32 to)
{
	u16 sum;
	memcpy(&sum, at, 2);
	sum = (u16)~st_sum_fold(st_sum_add(st_sum_add(~(u32)sum, ~from), to));
	memcpy(at, &sum, 2);
}

static void replace_half(u8 *at, u16 from, u16 to)
{
	u16 sum;
	memcpy(&sum, at, 2);
	sum = (u16)~sum16_add(sum16_add((u16)~sum, (u16)~from), to);
	memcpy(at, &sum, 2);
}

/* bpf_l3_csum_replace(skb, offset, from, to, size) */
HELPER_DEFINE(st_l3_csum_replace)
{
	u32 offset = (u32)b;
	if (e & ~0xfull)
		return (u64)-EINVAL;
	if (offset > 0xffff || offset & 1 || offset + 2 > length(env))
		return (u64)-EFAULT;
	u8 *at = env->data + offset;
	switch (e) {
	case 0:
		if (c)
			return (u64)-EINVAL;
		replace_by_difference(at, (u32)d);
		return 0;
	case 2: replace_half(at, (u16)c, (u16)d); return 0;
	case 4: replace_word(at, (u32)c, (u32)d); return 0;
	}
	return (u64)-EINVAL;
}

/* bpf_l4_csum_replace(skb, offset, from, to, flags) */
HELPER_DEFINE(st_l4_csum_replace)
{
	enum { SIZE = 0xf, PSEUDO_HDR = 0x10, MARK_MANGLED_0 = 0x20, MARK_ENFORCE = 0x40, IPV6 = 0x80 };
	u32 offset = (u32)b;
	u16 sum;
	if (e & ~(u64)(SIZE | PSEUDO_HDR | MARK_MANGLED_0 | MARK_ENFORCE | IPV6))
		return (u64)-EINVAL;
	if (offset > 0xffff || offset & 1 || offset + 2 > length(env))
		return (u64)-EFAULT;
	u8 *at = env->data + offset;
	memcpy(&sum, at, 2);
	if (e & MARK_MANGLED_0 && !(e & MARK_ENFORCE) && !sum)
		return 0;
	switch (e & SIZE) {
	case 0:
		if (c)
			return (u64)-EINVAL;
		replace_by_difference(at, (u32)d);
		break;
	case 2: replace_word(at, (u16)c, (u16)d); break;
	case 4: replace_word(at, (u32)c, (u32)d); break;
	default: return (u64)-EINVAL;
	}
	memcpy(&sum, at, 2);
	if (e & MARK_MANGLED_0 && !sum)
		memset(at, 0xff, 2);
	return 0;
}

/* bpf_csum_update(skb, sum): a packet here has no sum of all of it. */
HELPER_DEFINE(st_csum_update) { return (u64)-ENOTSUPP; }

/* bpf_csum_level(skb, level) */
HELPER_DEFINE(st_csum_level)
{
	enum { QUERY, INC, DEC, RESET, MAX_LEVEL = 3 };
	struct st_packet *packet = env->ctx;
	bool checked = packet->checksum == ST_CHECKSUM_UNNECESSARY;
	switch (b) {
	case QUERY: return checked ? packet->checksum_level : (u64)-EACCES;
	case INC:
		if (checked && packet->checksum_level < MAX_LEVEL)
			packet->checksum_level++;
		packet->checksum = ST_CHECKSUM_UNNECESSARY;
		return 0;
	case DEC:
		if (checked && packet->checksum_level)
			packet->checksum_level--;
		else
			reset_checksum(packet);
		return 0;
	case RESET: reset_checksum(packet); return 0;
	}
	return (u64)-EINVAL;
}

/* Put `size` zero bytes at `offset`, or take them away.  The link and network header move with what is before. */
static void push(struct st_env *env, u32 offset, u32 size)
{
	struct st_packet *packet = env->ctx;
	bool same = packet->transport == network_offset(env);
	env->data -= size;
	packet->headroom -= size;
	memmove(env->data, env->data + size, offset);
	memset(env->data + offset, 0, size);
	env->mac -= size;
	env->network -= size;
	if (same)
		packet->transport = network_offset(env);
}

static void pop(struct st_env *env, u32 offset, u32 size)
{
	struct st_packet *packet = env->ctx;
	bool same = packet->transport == network_offset(env);
	memmove(env->data + size, env->data, offset);
	env->data += size;
	packet->headroom += size;
	env->mac += size;
	env->network += size;
	if (same)
		packet->transport = network_offset(env);
}

static void moved(struct st_env *env)
{
	env->data_meta = env->data;
	st_packet_publish(env);
}

/* bpf_skb_change_proto(skb, proto, flags) */
HELPER_DEFINE(st_skb_change_proto)
{
	struct st_packet *packet = env->ctx;
	u16 from = protocol(packet), to = (u16)b;
	u32 link = (u32)(env->network - env->mac), size = IPV6_HLEN - IPV4_HLEN;
	if (c)
		return (u64)-EINVAL;
	if (from == ETH_P_IP && to == ETH_P_IPV6) {
		if (!make_head_room(env, size))
			return (u64)-ENOMEM;
		push(env, link, size);
	} else if (from == ETH_P_IPV6 && to == ETH_P_IP) {
		if (link + size > length(env))
			return (u64)-ENOMEM;
		pop(env, link, size);
	} else {
		return (u64)-ENOTSUPP;
	}
	st_packet_set(packet, SKB_PROTOCOL, to);
	clear_hash(packet);
	moved(env);
	return 0;
}

/* bpf_skb_change_type(skb, type) */
HELPER_DEFINE(st_skb_change_type)
{
	enum { OTHERHOST = 3 };
	struct st_packet *packet = env->ctx;
	if (st_packet_get(packet, SKB_PKT_TYPE) > OTHERHOST || (u32)b > OTHERHOST)
		return (u64)-EINVAL;
	st_packet_set(packet, SKB_PKT_TYPE, (u32)b);
	return 0;
}

/* bpf_skb_change_tail(skb, len, flags): new bytes are zero. */
HELPER_DEFINE(st_skb_change_tail)
{
	struct st_packet *packet = env->ctx;
	u32 size = (u32)b, now = length(env);
	s64 least = env->network - env->data;
	if (packet->transport != 0xffff && packet->transport > packet->headroom)
		least = packet->transport - packet->headroom;
	if (c || size > MAX_LENGTH || (s64)size < least)
		return (u64)-EINVAL;
	if (packet->encapsulated)
		return (u64)-ENOTSUPP;
	if (size > now) {
		if (!make_room(env, 0, size - now))
			return (u64)-ENOMEM;
		memset(env->data_end, 0, size - now);
	}
	env->data_end = env->data + size;
	if (is_gso(packet)) {
		st_packet_set(packet, SKB_GSO_SIZE, 0);
		st_packet_set(packet, SKB_GSO_SEGS, 0);
	}
	moved(env);
	return 0;
}

/* bpf_skb_change_head(skb, room, flags) */
HELPER_DEFINE(st_skb_change_head)
{
	u32 size = (u32)b, grown = length(env) + size;
	if (c || (!is_gso(env->ctx) && grown > MAX_LENGTH) || grown < length(env))
		return (u64)-EINVAL;
	if (!make_head_room(env, size))
		return (u64)-ENOMEM;
	env->data -= size;
	((struct st_packet *)env->ctx)->headroom -= size;
	memset(env->data, 0, size);
	env->mac = env->data;
	moved(env);
	return 0;
}

enum { /* flags of bpf_skb_adjust_room() */
	FIXED_GSO = 1, ENCAP_IPV4 = 2, ENCAP_IPV6 = 4, ENCAP_GRE = 8, ENCAP_UDP = 16, NO_CSUM_RESET = 32, ENCAP_ETH = 64,
	DECAP_IPV4 = 128, DECAP_IPV6 = 256,
	ENCAP_IP = ENCAP_IPV4 | ENCAP_IPV6, DECAP_IP = DECAP_IPV4 | DECAP_IPV6,
};
#define ENCAP_LINK_SHIFT 56 /* the length of the inner link header */

static s64 grow(struct st_env *env, u32 offset, u32 size, u64 flags)
{
	struct st_packet *packet = env->ctx;
	u32 inner_link = (u32)(flags >> ENCAP_LINK_SHIFT), link = (u32)(env->network - env->mac);
	if (is_gso(packet))
		return -ENOTSUPP; /* of an unknown kind, as test runs make them */
	if (!make_head_room(env, size))
		return -ENOMEM;
	if (flags & ENCAP_IP) {
		if ((flags & ENCAP_IP) == ENCAP_IP || (flags & ENCAP_GRE && flags & ENCAP_UDP))
			return -EINVAL;
		if (flags & ENCAP_ETH && inner_link < ST_ETH_HLEN)
			return -EINVAL;
		if (packet->encapsulated)
			return -EALREADY;
		if (inner_link > size)
			return -EINVAL;
	}
	push(env, offset, size);
	if (flags & ENCAP_IP) {
		packet->encapsulated = 1;
		env->network = env->data + link;
		if (flags & (ENCAP_GRE | ENCAP_UDP))
			packet->transport = (u16)(network_offset(env) + (flags & ENCAP_IPV6 ? IPV6_HLEN : IPV4_HLEN));
		st_packet_set(packet, SKB_PROTOCOL, flags & ENCAP_IPV6 ? ETH_P_IPV6 : ETH_P_IP);
	}
	return 0;
}

static s64 shrink(struct st_env *env, u32 offset, u32 size, u64 flags)
{
	struct st_packet *packet = env->ctx;
	if (flags & ~(u64)(FIXED_GSO | DECAP_IP | NO_CSUM_RESET))
		return -EINVAL;
	if (is_gso(packet))
		return -ENOTSUPP;
	if (offset + size > length(env))
		return -ENOMEM;
	pop(env, offset, size);
	if (flags & DECAP_IP)
		st_packet_set(packet, SKB_PROTOCOL, flags & DECAP_IPV6 ? ETH_P_IPV6 : ETH_P_IP);
	return 0;
}

/* The same of a stream: bytes at its start. */
static u64 stream_room(struct st_env *env, s32 delta, u32 size, u64 flags)
{
	if (flags)
		return (u64)-EINVAL;
	if (size > 0xfff)
		return (u64)-EFAULT;
	if (delta < 0 ? size > length(env) : !make_head_room(env, size))
		return (u64)-ENOMEM;
	env->data -= delta;
	((struct st_packet *)env->ctx)->headroom -= (u32)delta;
	if (delta > 0)
		memset(env->data, 0, size);
	moved(env);
	return 0;
}

/* bpf_skb_adjust_room(skb, delta, mode, flags) */
HELPER_DEFINE(st_skb_adjust_room)
{
	enum { MODE_NET, MODE_MAC };
	struct st_packet *packet = env->ctx;
	s32 delta = (s32)b;
	u32 mode = (u32)c, size = (u32)(delta < 0 ? -delta : delta);
	u16 proto = protocol(packet);
	u64 flags = d;
	if (env->prog->type == SK_SKB)
		return stream_room(env, delta, size, mode | flags);
	if (flags & ~(FIXED_GSO | ENCAP_IP | ENCAP_GRE | ENCAP_UDP | ENCAP_ETH | DECAP_IP | NO_CSUM_RESET | 0xffull << ENCAP_LINK_SHIFT))
		return (u64)-EINVAL;
	if (size > 0xfff)
		return (u64)-EFAULT;
	if (proto != ETH_P_IP && proto != ETH_P_IPV6)
		return (u64)-ENOTSUPP;
	u32 least = proto == ETH_P_IP ? IPV4_HLEN : IPV6_HLEN, offset = (u32)(env->network - env->mac);
	if (mode == MODE_NET)
		offset += least;
	else if (mode != MODE_MAC)
		return (u64)-ENOTSUPP;
	if (flags & DECAP_IP) {
		if (delta >= 0 || (flags & DECAP_IP) == DECAP_IP)
			return (u64)-EINVAL;
		least = flags & DECAP_IPV4 ? IPV4_HLEN : IPV6_HLEN;
	}
	u32 now = (u32)(env->data_end - env->network);
	if (delta < 0 ? size >= now || now - size < least : length(env) + size > MAX_LENGTH && !is_gso(packet))
		return (u64)-ENOTSUPP;
	s64 result = delta < 0 ? shrink(env, offset, size, flags) : grow(env, offset, size, flags);
	if (result)
		return (u64)result;
	if (!(flags & NO_CSUM_RESET) && packet->checksum == ST_CHECKSUM_UNNECESSARY)
		reset_checksum(packet);
	moved(env);
	return 0;
}

static bool is_vlan(u16 proto) { return proto == ETH_P_8021Q || proto == ETH_P_8021AD; }

static void set_tag(struct st_packet *packet, u16 proto, u16 tci)
{
	st_packet_set(packet, SKB_VLAN_PRESENT, proto || tci);
	st_packet_set(packet, SKB_VLAN_PROTO, proto);
	st_packet_set(packet, SKB_VLAN_TCI, tci);
}

/* bpf_skb_vlan_push(skb, proto, tci): the outermost tag is beside the packet, one that was there goes into it. */
HELPER_DEFINE(st_skb_vlan_push)
{
	struct st_packet *packet = env->ctx;
	u16 proto = is_vlan((u16)b) ? (u16)b : ETH_P_8021Q;
	if (st_packet_get(packet, SKB_VLAN_PRESENT)) {
		u16 tci = __builtin_bswap16((u16)st_packet_get(packet, SKB_VLAN_TCI));
		u16 before = (u16)st_packet_get(packet, SKB_VLAN_PROTO);
		if (!make_head_room(env, VLAN_HLEN))
			return (u64)-ENOMEM;
		env->data -= VLAN_HLEN;
		packet->headroom -= VLAN_HLEN;
		env->mac -= VLAN_HLEN;
		env->network -= VLAN_HLEN;
		memmove(env->data, env->data + VLAN_HLEN, MACS);
		memcpy(env->data + MACS, &before, 2);
		memcpy(env->data + MACS + 2, &tci, 2);
		st_packet_set(packet, SKB_PROTOCOL, before);
		moved(env);
	}
	set_tag(packet, proto, (u16)c);
	return 0;
}

static s64 pop_tag(struct st_env *env, u16 *tci)
{
	struct st_packet *packet = env->ctx;
	u16 proto;
	if (length(env) < ST_ETH_HLEN + VLAN_HLEN)
		return -ENOMEM;
	memcpy(tci, env->data + ST_ETH_HLEN, 2);
	*tci = __builtin_bswap16(*tci);
	memcpy(&proto, env->data + ST_ETH_HLEN + 2, 2);
	if (__builtin_bswap16(proto) < 1536)
		proto = length(env) >= ST_ETH_HLEN + VLAN_HLEN + 2 && env->data[18] == 0xff && env->data[19] == 0xff ? 0x0100 : 0x0400;
	st_packet_set(packet, SKB_PROTOCOL, proto);
	memmove(env->data + VLAN_HLEN, env->data, MACS);
	env->data += VLAN_HLEN;
	packet->headroom += VLAN_HLEN;
	env->mac += VLAN_HLEN;
	if (env->network - env->data < ST_ETH_HLEN)
		env->network = env->data + ST_ETH_HLEN;
	return 0;
}

/* bpf_skb_vlan_pop(skb) */
HELPER_DEFINE(st_skb_vlan_pop)
{
	struct st_packet *packet = env->ctx;
	u16 tci = 0;
	s64 result;
	if (st_packet_get(packet, SKB_VLAN_PRESENT)) {
		set_tag(packet, 0, 0);
	} else {
		if (!is_vlan(protocol(packet)))
			return 0;
		if ((result = pop_tag(env, &tci)))
			return (u64)result;
		moved(env);
	}
	u16 proto = protocol(packet);
	if (!is_vlan(proto))
		return 0;
	if ((result = pop_tag(env, &tci)))
		return (u64)result;
	set_tag(packet, proto, tci);
	moved(env);
	return 0;
}

static u32 mix(u32 hash, const u8 *from, u32 size)
{
	for (u32 i = 0; i < size; i++)
		hash = (hash ^ from[i]) * 16777619;
	return hash;
}

/* bpf_get_hash_recalc(skb): of the addresses and ports (Linux's has a random key), the same in both directions. */
HELPER_DEFINE(st_get_hash_recalc)
{
	struct st_packet *packet = env->ctx;
	if (packet->hashed)
		return st_packet_get(packet, SKB_HASH);
	const u8 *ip = env->network;
	s64 room = env->data_end - ip;
	u16 proto = protocol(packet);
	u32 source = 2166136261, target = 2166136261, hash = proto;
	u32 header = 0, addresses = proto == ETH_P_IP ? 12 : 8, size = proto == ETH_P_IP ? 4 : 16, kind = 0;
	if (proto == ETH_P_IP && room >= IPV4_HLEN) {
		header = (ip[0] & 0xfu) * 4;
		kind = (ip[6] & 0x3f) | ip[7] ? 0 : ip[9];
		hash += ip[9];
	} else if (proto == ETH_P_IPV6 && room >= IPV6_HLEN) {
		header = IPV6_HLEN;
		kind = ip[6];
		hash += ip[6];
	}
	if (header) {
		source = mix(source, ip + addresses, size);
		target = mix(target, ip + addresses + size, size);
		if ((kind == 6 || kind == 17) && room >= header + 4) {
			source = mix(source, ip + header, 2);
			target = mix(target, ip + header + 2, 2);
		}
	}
	hash = (source ^ target) * 2654435761u + hash;
	st_packet_set(packet, SKB_HASH, hash ? hash : 1);
	packet->hashed = 1;
	return st_packet_get(packet, SKB_HASH);
}

/* bpf_set_hash(skb, hash) */
HELPER_DEFINE(st_set_hash)
{
	struct st_packet *packet = env->ctx;
	packet->hashed = 1;
	st_packet_set(packet, SKB_HASH, (u32)b);
	return 0;
}

/* bpf_set_hash_invalid(skb) */
HELPER_DEFINE(st_set_hash_invalid)
{
	clear_hash(env->ctx);
	return 0;
}

/* bpf_skb_set_tstamp(skb, tstamp, type) */
HELPER_DEFINE(st_skb_set_tstamp)
{
	enum { REALTIME, MONOTONIC, TAI };
	struct st_packet *packet = env->ctx;
	u16 proto = protocol(packet);
	if (proto != ETH_P_IP && proto != ETH_P_IPV6)
		return (u64)-EOPNOTSUPP;
	if ((u32)c > TAI || ((u32)c != REALTIME && !b))
		return (u64)-EINVAL;
	memcpy(packet->visible + SKB_TSTAMP, &b, sizeof(b));
	packet->visible[SKB_TSTAMP_TYPE] = (u8)c;
	return 0;
}

/* Sockets of the packets here are of no cgroup class and no route. */
HELPER_DEFINE(st_get_cgroup_classid) { return 0; }
HELPER_DEFINE(st_get_route_realm) { return 0; }

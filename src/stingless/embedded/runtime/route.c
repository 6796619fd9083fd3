/* Packet helpers that ask about interfaces and routes: the interfaces are those of this process's network namespace, and
 * it forwards nothing. */
#include "helpers.h"

enum { ENODEV = 19, EAFNOSUPPORT = 97, AF_INET = 2, AF_INET6 = 10, SOCK_DGRAM = 2, SOCK_CLOEXEC = 02000000 };
enum { SIOCGIFMTU = 0x8921, LINK_HEADER = 14, FRAGMENTATION_NEEDED = 1, FORWARDING_DISABLED = 5 };
enum { XDP = 6, SEGMENTS = 1, FIB_FLAGS = 0x7f, FIB_PARAMS = 64, IFINDEX_OF_SKB = 40, IFINDEX_OF_XDP = 12 };

int socket(int family, int type, int protocol);
int ioctl(int fd, unsigned long request, ...);
int close(int fd);
char *if_indextoname(u32 index, char *name);

/* Of an interface, or -ENODEV. */
static s64 mtu_of(u32 index)
{
	struct {
		char name[16];
		s32 value;
		u8 rest[20];
	} request = {0};
	if (!if_indextoname(index, request.name))
		return -ENODEV;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -ENODEV;
	int result = ioctl(fd, SIOCGIFMTU, &request);
	close(fd);
	return result < 0 ? -ENODEV : request.value;
}

/* bpf_check_mtu(ctx, ifindex, mtu_len, difference, flags) */
HELPER_DEFINE(st_check_mtu)
{
	u32 *size = (u32 *)c, index = (u32)b;
	bool xdp = env->prog->type == XDP;
	if (e & ~(u64)SEGMENTS || (xdp && e) || (e & SEGMENTS && ((s32)d || *size)))
		return (u64)-EINVAL;
	if (!index)
		memcpy(&index, ((const struct st_packet *)a)->visible + (xdp ? IFINDEX_OF_XDP : IFINDEX_OF_SKB), sizeof(index));
	s64 mtu = mtu_of(index);
	if (mtu < 0)
		return (u64)mtu;
	s64 length = (*size ? (s64)*size + LINK_HEADER : env->data_end - env->data) + (s32)d;
	*size = (u32)mtu;
	return length <= mtu + LINK_HEADER ? 0 : FRAGMENTATION_NEEDED;
}

/* bpf_fib_lookup(ctx, params, size, flags) */
HELPER_DEFINE(st_fib_lookup)
{
	const u8 *family = (const u8 *)b;
	if ((s32)c < FIB_PARAMS || d & ~(u64)FIB_FLAGS)
		return (u64)-EINVAL;
	return *family == AF_INET || *family == AF_INET6 ? FORWARDING_DISABLED : (u64)-EAFNOSUPPORT;
}

/* bpf_skb_ecn_set_ce(skb): whether the packet carries the mark of congestion now. */
HELPER_DEFINE(st_skb_ecn_set_ce)
{
	u8 *ip = env->network;
	if (ip && ip + 20 <= env->data_end && *ip >> 4 == 4) {
		u16 check;
		u32 code = ip[1] & 3u, sum;
		if (code == 0 || code == 3)
			return code == 3;
		memcpy(&check, ip + 10, sizeof(check));
		/* the number of the service field grows by 3 - code */
		sum = (u32)(u16)~check + __builtin_bswap16((u16)(3 - code));
		sum = (sum & 0xffff) + (sum >> 16);
		check = (u16)~sum;
		memcpy(ip + 10, &check, sizeof(check));
		ip[1] |= 3;
		return 1;
	}
	if (ip && ip + 40 <= env->data_end && *ip >> 4 == 6) {
		if (!(ip[1] & 0x30))
			return 0;
		ip[1] |= 0x30;
		return 1;
	}
	return 0;
}

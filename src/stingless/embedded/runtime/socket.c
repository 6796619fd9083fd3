/* Helpers about sockets.  A program has the socket of its context, if any, of which little is known; there are no others:
 * look-ups find nothing, as on Linux in a new network namespace. */
#include "helpers.h"

enum { SK_LOOKUP_TYPE = 30, ASSIGN_FLAGS = 3, CREATE = 1, NOBODY = 65534 };
enum { AF_INET = 2, AF_INET6 = 10, SOL_SOCKET = 1, SO_NETNS_COOKIE = 71, SOCK_DGRAM = 2, SOCK_CLOEXEC = 02000000 };
enum { TIME_WAIT = 6, LISTEN = 10, NEW_SYN_RECV = 12, STATE_AT = 72, EAFNOSUPPORT = 97 };
/* The number of a socket that nothing names: the one of this run's context. */
#define UNNAMED (~0ull)

int socket(int family, int type, int protocol);
int getsockopt(int fd, int level, int option, void *to, u32 *size);
int close(int fd);

static u32 state_of(u64 socket)
{
	u32 state;
	memcpy(&state, ((const struct st_socket *)socket)->visible + STATE_AT, sizeof(state));
	return state;
}

static bool is_full(u64 socket)
{
	return socket && state_of(socket) != TIME_WAIT && state_of(socket) != NEW_SYN_RECV;
}

static u64 number_of(u64 socket)
{
	u64 cookie = ((const struct st_socket *)socket)->cookie;
	return cookie ? cookie : UNNAMED;
}

/* bpf_sk_lookup_tcp(ctx, tuple, size, namespace, flags) and its kin */
HELPER_DEFINE(st_sk_lookup) { return 0; }
HELPER_DEFINE(st_sk_release) { return 0; }
HELPER_DEFINE(st_sk_fullsock) { return is_full(a) ? a : 0; }
HELPER_DEFINE(st_get_listener_sock) { return a && state_of(a) == LISTEN ? a : 0; }
/* bpf_tcp_sock(), bpf_skc_to_*(): nothing is known that only these have. */
HELPER_DEFINE(st_sk_convert) { return 0; }

/* bpf_sk_storage_get(map, socket, initial value, flags) */
HELPER_DEFINE(st_sk_storage_get)
{
	if (!is_full(b) || d & ~(u64)CREATE)
		return 0;
	return (u64)st_storage_get((struct st_map *)a, number_of(b), d & CREATE ? (const void *)c : 0, d & CREATE);
}

HELPER_DEFINE(st_sk_storage_delete)
{
	return (u64)(s64)(is_full(b) ? st_storage_delete((struct st_map *)a, number_of(b)) : -EINVAL);
}

/* bpf_sk_assign(ctx, sk, flags): a program of type SK_LOOKUP may choose none. */
HELPER_DEFINE(st_sk_assign)
{
	u64 allowed = env->prog->type == SK_LOOKUP_TYPE ? ASSIGN_FLAGS : 0;
	return (u64)(c & ~allowed || (b == 0 && env->prog->type != SK_LOOKUP_TYPE) ? -EINVAL : 0);
}

/* Of packets no socket is known. */
HELPER_DEFINE(st_get_socket_cookie) { return 0; }
HELPER_DEFINE(st_get_socket_uid) { return NOBODY; }
HELPER_DEFINE(st_sk_cgroup_id) { return st_own_cgroup; }
HELPER_DEFINE(st_skb_cgroup_id) { return 0; }
HELPER_DEFINE(st_skb_under_cgroup) { return (u64)-ENOENT; }

/* That of this process's network namespace. */
HELPER_DEFINE(st_get_netns_cookie)
{
	u64 cookie = 0;
	u32 size = sizeof(cookie);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) < 0)
			cookie = 0;
		close(fd);
	}
	return cookie;
}

/* bpf_bind(ctx, address, length): checks the address; there is nothing to bind. */
HELPER_DEFINE(st_bind)
{
	u16 family;
	s32 length = (s32)c;
	if (length < (s32)sizeof(family))
		return (u64)-EINVAL;
	memcpy(&family, (const void *)b, sizeof(family));
	if (family == AF_INET)
		return (u64)(length < 16 ? -EINVAL : 0);
	if (family == AF_INET6)
		return (u64)(length < 24 ? -EINVAL : 0);
	return (u64)-EAFNOSUPPORT;
}

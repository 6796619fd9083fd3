/* Helpers about sockets.  No program here has one: the network of the embedded kernel is empty, so that look-ups find
 * nothing, as on Linux in a new network namespace, and what takes a socket is given none. */
#include "helpers.h"

enum { SK_LOOKUP = 30, ASSIGN_FLAGS = 3 };

/* bpf_sk_lookup_tcp(ctx, tuple, size, namespace, flags) and its kin */
HELPER_DEFINE(st_sk_lookup) { return 0; }
/* bpf_sk_fullsock(), bpf_tcp_sock(), bpf_get_listener_sock(), bpf_skc_to_*(): of no socket */
HELPER_DEFINE(st_sk_convert) { return 0; }
HELPER_DEFINE(st_sk_release) { return 0; }
HELPER_DEFINE(st_sk_cgroup_id) { return 0; }
HELPER_DEFINE(st_sk_storage_get) { return 0; }
HELPER_DEFINE(st_sk_storage_delete) { return (u64)-EINVAL; }

/* bpf_sk_assign(ctx, sk, flags): a program of type SK_LOOKUP may choose none. */
HELPER_DEFINE(st_sk_assign)
{
	u64 allowed = env->prog->type == SK_LOOKUP ? ASSIGN_FLAGS : 0;
	return (u64)(c & ~allowed || (b == 0 && env->prog->type != SK_LOOKUP) ? -EINVAL : 0);
}

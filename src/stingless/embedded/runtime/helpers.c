/* Map, ring and loop helpers, and the table of all helpers by number. */
#include "helpers.h"

static HELPER_DEFINE(map_lookup_elem) { return (u64)st_map_lookup((struct st_map *)a, (void *)b, env->cpu); }

static HELPER_DEFINE(map_update_elem)
{
	return (u64)(s64)st_map_update((struct st_map *)a, (void *)b, (void *)c, d, env->cpu);
}

static HELPER_DEFINE(map_delete_elem) { return (u64)(s64)st_map_delete((struct st_map *)a, (void *)b); }
static HELPER_DEFINE(map_push_elem) { return (u64)(s64)st_map_push((struct st_map *)a, (void *)b, c); }
static HELPER_DEFINE(map_pop_elem) { return (u64)(s64)st_map_peek((struct st_map *)a, (void *)b, true); }
static HELPER_DEFINE(map_peek_elem) { return (u64)(s64)st_map_peek((struct st_map *)a, (void *)b, false); }

static HELPER_DEFINE(map_lookup_percpu_elem)
{
	struct st_map *map = (struct st_map *)a;
	return (u32)c < map->copies ? (u64)st_map_lookup(map, (void *)b, (u32)c) : 0;
}

/* bpf_loop(count, callback, ctx, flags) */
static HELPER_DEFINE(loop)
{
	u32 count = (u32)a;
	if (d)
		return (u64)-EINVAL;
	if (count > 1u << 23)
		return (u32)-E2BIG; /* of 32 bits, as where Linux inlines the loop */
	for (u32 i = 0; i < count; i++)
		if (st_callback(env, b, i, c, 0, 0, 0) || env->fault)
			return i + 1;
	return count;
}

struct walk {
	struct st_env *env;
	u64 map, callback, ctx;
};

static u64 visit(void *state, const void *key, void *value)
{
	struct walk *walk = state;
	return st_callback(walk->env, walk->callback, walk->map, (u64)key, (u64)value, walk->ctx, 0) || walk->env->fault;
}

/* bpf_for_each_map_elem(map, callback, ctx, flags) */
static HELPER_DEFINE(for_each_map_elem)
{
	struct walk walk = {env, a, b, c};
	return d ? (u64)-EINVAL : (u64)st_map_each((struct st_map *)a, env->cpu, visit, &walk);
}

/* bpf_perf_event_output(ctx, map, flags, data, size) */
static HELPER_DEFINE(perf_event_output)
{
	struct st_map *map = (struct st_map *)b;
	u32 index = (u32)c;
	u64 packet = env->data ? c >> 32 & 0xfffff : 0;
	if (c >> 32 != packet)
		return (u64)-EINVAL;
	if (packet > (u64)(env->data_end - env->data))
		return (u64)-EFAULT;
	if (index == ~0u)
		index = env->cpu;
	if (index >= map->max_entries)
		return (u64)-E2BIG;
	if (index != env->cpu)
		return (u64)-EOPNOTSUPP;
	int result = st_ring_write(map->ring, (void *)d, e, env->data, packet, env->cpu, ST_WAKEUP_AUTO);
	return (u64)(s64)(result == -EAGAIN ? -ENOSPC : result);
}

/* bpf_ringbuf_output(map, data, size, flags) */
static HELPER_DEFINE(ringbuf_output)
{
	if (d > (ST_WAKEUP_NO | ST_WAKEUP_FORCE))
		return (u64)-EINVAL;
	struct st_ring *ring = ((struct st_map *)a)->ring;
	return (u64)(s64)st_ring_write(ring, (void *)b, c, 0, 0, ST_RING_TAG_PAGE, (u32)d);
}

/* bpf_ringbuf_reserve(map, size, flags) */
static HELPER_DEFINE(ringbuf_reserve)
{
	return c ? 0 : (u64)st_ring_reserve(((struct st_map *)a)->ring, b, ST_RING_TAG_PAGE);
}

static HELPER_DEFINE(ringbuf_submit)
{
	st_ring_commit(st_ring_of((u8 *)a), (u8 *)a, (u32)b, 0);
	return 0;
}

static HELPER_DEFINE(ringbuf_discard)
{
	st_ring_commit(st_ring_of((u8 *)a), (u8 *)a, (u32)b, 1);
	return 0;
}

/* bpf_ringbuf_query(map, what) */
static HELPER_DEFINE(ringbuf_query)
{
	struct st_ring *ring = ((struct st_map *)a)->ring;
	u64 consumer = __atomic_load_n(&ring->consumer, __ATOMIC_ACQUIRE);
	u64 producer = __atomic_load_n(&ring->producer, __ATOMIC_ACQUIRE);
	switch (b) {
	case 0: return producer - consumer;
	case 1: return ring->size;
	case 2: return consumer;
	case 3: return producer;
	}
	return 0;
}

const st_helper st_helpers[ST_HELPERS] = {
	[1] = map_lookup_elem,
	[2] = map_update_elem,
	[3] = map_delete_elem,
	[4] = st_probe_read,
	[5] = st_ktime_get_ns,
	[6] = st_trace_printk,
	[7] = st_get_prandom_u32,
	[8] = st_get_smp_processor_id,
	[9] = st_skb_store_bytes,
	[10] = st_l3_csum_replace,
	[11] = st_l4_csum_replace,
	/* 12, bpf_tail_call(), is in the interpreter */
	[13] = st_clone_redirect,
	[14] = st_get_current_pid_tgid,
	[15] = st_get_current_uid_gid,
	[16] = st_get_current_comm,
	[17] = st_get_cgroup_classid,
	[18] = st_skb_vlan_push,
	[19] = st_skb_vlan_pop,
	[22] = st_perf_event_read,
	[23] = st_redirect,
	[24] = st_get_route_realm,
	[25] = perf_event_output,
	[26] = st_skb_load_bytes,
	[27] = st_get_stackid,
	[28] = st_csum_diff,
	[31] = st_skb_change_proto,
	[32] = st_skb_change_type,
	[33] = st_skb_under_cgroup,
	[34] = st_get_hash_recalc,
	[35] = st_get_current_task,
	[36] = st_probe_write_user,
	[37] = st_current_task_under_cgroup,
	[38] = st_skb_change_tail,
	[39] = st_skb_pull_data,
	[40] = st_csum_update,
	[41] = st_set_hash_invalid,
	[42] = st_get_numa_node_id,
	[43] = st_skb_change_head,
	[44] = st_xdp_adjust_head,
	[45] = st_probe_read_str,
	[46] = st_get_socket_cookie,
	[47] = st_get_socket_uid,
	[48] = st_set_hash,
	[50] = st_skb_adjust_room,
	[51] = st_redirect_map,
	[52] = st_sk_redirect_map,
	[54] = st_xdp_adjust_meta,
	[55] = st_perf_event_read_value,
	[60] = st_sk_redirect_map,
	[61] = st_msg_apply_bytes,
	[62] = st_msg_cork_bytes,
	[63] = st_msg_pull_data,
	[64] = st_bind,
	[65] = st_xdp_adjust_tail,
	[67] = st_get_stack,
	[68] = st_skb_load_bytes_relative,
	[69] = st_fib_lookup,
	[71] = st_sk_redirect_hash,
	[72] = st_sk_redirect_hash,
	[79] = st_skb_cgroup_id,
	[80] = st_get_current_cgroup_id,
	[81] = st_get_local_storage,
	[83] = st_skb_cgroup_id, /* skb_ancestor_cgroup_id */
	[84] = st_sk_lookup, /* sk_lookup_tcp */
	[85] = st_sk_lookup, /* sk_lookup_udp */
	[86] = st_sk_release,
	[87] = map_push_elem,
	[88] = map_pop_elem,
	[89] = map_peek_elem,
	[90] = st_msg_push_data,
	[91] = st_msg_pop_data,
	[93] = st_spin_lock_helper,
	[94] = st_spin_unlock_helper,
	[95] = st_sk_fullsock,
	[96] = st_sk_convert, /* tcp_sock */
	[97] = st_skb_ecn_set_ce,
	[98] = st_get_listener_sock,
	[99] = st_sk_lookup, /* skc_lookup_tcp */
	[101] = st_sysctl_get_name,
	[102] = st_sysctl_get_current_value,
	[103] = st_sysctl_get_new_value,
	[104] = st_sysctl_set_new_value,
	[105] = st_strtol,
	[106] = st_strtoul,
	[107] = st_sk_storage_get,
	[108] = st_sk_storage_delete,
	[109] = st_send_signal,
	[112] = st_probe_read_user,
	[113] = st_probe_read_kernel,
	[114] = st_probe_read_user_str,
	[115] = st_probe_read_kernel_str,
	[117] = st_send_signal_thread,
	[118] = st_jiffies64,
	[119] = st_read_branch_records,
	[120] = st_get_ns_current_pid_tgid,
	[122] = st_get_netns_cookie,
	[123] = st_get_current_ancestor_cgroup_id,
	[124] = st_sk_assign,
	[125] = st_ktime_get_boot_ns,
	[128] = st_sk_cgroup_id,
	[129] = st_sk_cgroup_id, /* sk_ancestor_cgroup_id */
	[130] = ringbuf_output,
	[131] = ringbuf_reserve,
	[132] = ringbuf_submit,
	[133] = ringbuf_discard,
	[134] = ringbuf_query,
	[135] = st_csum_level,
	[136] = st_sk_convert, /* skc_to_tcp6_sock */
	[137] = st_sk_convert, /* skc_to_tcp_sock */
	[138] = st_sk_convert, /* skc_to_tcp_timewait_sock */
	[139] = st_sk_convert, /* skc_to_tcp_request_sock */
	[140] = st_sk_convert, /* skc_to_udp6_sock */
	[141] = st_get_task_stack,
	[145] = st_inode_storage_get,
	[146] = st_inode_storage_delete,
	[148] = st_copy_from_user,
	[151] = st_skb_cgroup_id, /* skb_cgroup_classid */
	[152] = st_redirect_neigh,
	[155] = st_redirect_peer,
	[156] = st_task_storage_get,
	[157] = st_task_storage_delete,
	[158] = st_get_current_task, /* get_current_task_btf */
	[160] = st_ktime_get_coarse_ns,
	[163] = st_check_mtu,
	[164] = for_each_map_elem,
	[165] = st_snprintf,
	[169] = st_timer_init,
	[170] = st_timer_set_callback,
	[171] = st_timer_start,
	[172] = st_timer_cancel,
	[173] = st_get_func_ip,
	[174] = st_get_attach_cookie,
	[175] = st_task_pt_regs,
	[176] = st_get_branch_snapshot,
	[177] = st_trace_vprintk,
	[178] = st_sk_convert, /* skc_to_unix_sock */
	[181] = loop,
	[182] = st_strncmp,
	[183] = st_get_func_arg,
	[184] = st_get_func_ret,
	[185] = st_get_func_arg_cnt,
	[186] = st_get_retval,
	[187] = st_set_retval,
	[188] = st_xdp_get_buff_len,
	[189] = st_xdp_load_bytes,
	[190] = st_xdp_store_bytes,
	[191] = st_copy_from_user_task,
	[192] = st_skb_set_tstamp,
	[194] = st_kptr_xchg,
	[195] = map_lookup_percpu_elem,
	[196] = st_sk_convert, /* skc_to_mptcp_sock */
	[197] = st_dynptr_from_mem,
	[198] = st_ringbuf_reserve_dynptr,
	[199] = st_ringbuf_submit_dynptr,
	[200] = st_ringbuf_discard_dynptr,
	[201] = st_dynptr_read_helper,
	[202] = st_dynptr_write_helper,
	[203] = st_dynptr_data,
	[208] = st_ktime_get_tai_ns,
	[209] = st_user_ringbuf_drain,
	[210] = st_cgrp_storage_get,
	[211] = st_cgrp_storage_delete,
};

ST_EXPORT u32 st_helper_numbers(u32 *numbers);

/* Fills `numbers` (room for ST_HELPERS) with those that exist; returns how many. */
u32 st_helper_numbers(u32 *numbers)
{
	u32 count = 0;
	for (u32 number = 0; number < ST_HELPERS; number++)
		if (st_helpers[number] || number == 12)
			numbers[count++] = number;
	return count;
}

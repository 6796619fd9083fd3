/* Helpers, one file a group; helpers.c has the table. */
#pragma once
#include "interp.h"
#include "libc.h"
#include "map.h"

#define HELPER(name) u64 name(struct st_env *env, u64 a, u64 b, u64 c, u64 d, u64 e)
#define UNUSED __attribute__((unused))
#define HELPER_DEFINE(name) \
	u64 name(UNUSED struct st_env *env, UNUSED u64 a, UNUSED u64 b, UNUSED u64 c, UNUSED u64 d, UNUSED u64 e)

/* memory.c */
/* Copies from memory that a program may read: bytes copied (at most `size`).  With `string`, stops after a NUL. */
u64 st_copy_kernel(const struct st_env *env, void *to, u64 address, u64 size, bool string);
u64 st_copy_user(const struct st_env *env, void *to, u64 address, u64 size, bool string);
/* The string at `address`, in kernel memory or else in the task's: its length with the NUL, or -EFAULT. */
enum st_from { ST_KERNEL = 1, ST_USER = 2, ST_ANY = 3 };
s64 st_copy_string(const struct st_env *env, char *to, u64 address, u32 size, enum st_from space);
HELPER(st_probe_read);
HELPER(st_probe_read_user);
HELPER(st_probe_read_kernel);
HELPER(st_probe_read_str);
HELPER(st_probe_read_user_str);
HELPER(st_probe_read_kernel_str);
HELPER(st_probe_write_user);
HELPER(st_copy_from_user);
HELPER(st_copy_from_user_task);

/* print.c */
HELPER(st_trace_printk);
HELPER(st_trace_vprintk);
HELPER(st_snprintf);

/* packet.c */
HELPER(st_csum_diff);
HELPER(st_redirect);
HELPER(st_redirect_peer);
HELPER(st_redirect_neigh);
HELPER(st_clone_redirect);

/* skb.c */
HELPER(st_skb_load_bytes);
HELPER(st_skb_load_bytes_relative);
HELPER(st_skb_store_bytes);
HELPER(st_skb_pull_data);
HELPER(st_l3_csum_replace);
HELPER(st_l4_csum_replace);
HELPER(st_csum_update);
HELPER(st_csum_level);
HELPER(st_skb_change_proto);
HELPER(st_skb_change_type);
HELPER(st_skb_change_tail);
HELPER(st_skb_change_head);
HELPER(st_skb_adjust_room);
HELPER(st_skb_vlan_push);
HELPER(st_skb_vlan_pop);
HELPER(st_get_hash_recalc);
HELPER(st_set_hash);
HELPER(st_set_hash_invalid);
HELPER(st_skb_set_tstamp);
HELPER(st_get_cgroup_classid);
HELPER(st_get_route_realm);

/* message.c */
HELPER(st_msg_apply_bytes);
HELPER(st_msg_cork_bytes);
HELPER(st_msg_pull_data);
HELPER(st_msg_push_data);
HELPER(st_msg_pop_data);
HELPER(st_sysctl_get_name);
HELPER(st_sysctl_get_current_value);
HELPER(st_sysctl_get_new_value);
HELPER(st_sysctl_set_new_value);

/* xdp.c */
HELPER(st_xdp_adjust_head);
HELPER(st_xdp_adjust_tail);
HELPER(st_xdp_adjust_meta);
HELPER(st_xdp_get_buff_len);
HELPER(st_xdp_load_bytes);
HELPER(st_xdp_store_bytes);

/* text.c */
HELPER(st_strtol);
HELPER(st_strtoul);
HELPER(st_strncmp);

/* task.c */
u64 st_clock(const struct st_env *env, int clock);
s32 st_task_pid(const struct st_env *env);
void st_task_comm(const struct st_env *env, char comm[16]);
HELPER(st_ktime_get_ns);
HELPER(st_ktime_get_boot_ns);
HELPER(st_ktime_get_coarse_ns);
HELPER(st_ktime_get_tai_ns);
HELPER(st_jiffies64);
HELPER(st_get_current_pid_tgid);
HELPER(st_get_current_uid_gid);
HELPER(st_get_current_comm);
HELPER(st_get_current_task);
HELPER(st_get_current_cgroup_id);
HELPER(st_get_smp_processor_id);
HELPER(st_get_numa_node_id);
HELPER(st_get_prandom_u32);
HELPER(st_get_func_ip);
HELPER(st_get_attach_cookie);
HELPER(st_get_ns_current_pid_tgid);
HELPER(st_send_signal);
HELPER(st_send_signal_thread);
HELPER(st_task_pt_regs);
HELPER(st_get_func_arg);
HELPER(st_get_func_ret);
HELPER(st_get_func_arg_cnt);
HELPER(st_get_retval);
HELPER(st_set_retval);

/* cgroup.c */
HELPER(st_get_current_ancestor_cgroup_id);
HELPER(st_current_task_under_cgroup);

/* stack.c */
HELPER(st_get_stackid);
HELPER(st_get_stack);
HELPER(st_get_task_stack);

/* dynptr.c */
HELPER(st_dynptr_from_mem);
HELPER(st_dynptr_read_helper);
HELPER(st_dynptr_write_helper);
HELPER(st_dynptr_data);
HELPER(st_ringbuf_reserve_dynptr);
HELPER(st_ringbuf_submit_dynptr);
HELPER(st_ringbuf_discard_dynptr);

/* map_helpers.c */
HELPER(st_redirect_map);
HELPER(st_sk_redirect_map);
HELPER(st_sk_redirect_hash);

/* special.c */
HELPER(st_spin_lock_helper);
HELPER(st_spin_unlock_helper);
HELPER(st_kptr_xchg);

/* timer.c */
HELPER(st_timer_init);
HELPER(st_timer_set_callback);
HELPER(st_timer_start);
HELPER(st_timer_cancel);

/* perf.c */
HELPER(st_perf_event_read);
HELPER(st_perf_event_read_value);
HELPER(st_read_branch_records);
HELPER(st_get_branch_snapshot);

/* storage.c */
HELPER(st_task_storage_get);
HELPER(st_task_storage_delete);
HELPER(st_cgrp_storage_get);
HELPER(st_cgrp_storage_delete);
HELPER(st_inode_storage_get);
HELPER(st_inode_storage_delete);
HELPER(st_get_local_storage);
HELPER(st_user_ringbuf_drain);

/* socket.c */
HELPER(st_sk_lookup);
HELPER(st_sk_release);
HELPER(st_sk_fullsock);
HELPER(st_get_listener_sock);
HELPER(st_sk_convert);
HELPER(st_sk_assign);
HELPER(st_sk_cgroup_id);
HELPER(st_sk_storage_get);
HELPER(st_sk_storage_delete);
HELPER(st_get_socket_cookie);
HELPER(st_get_socket_uid);
HELPER(st_skb_cgroup_id);
HELPER(st_skb_under_cgroup);
HELPER(st_get_netns_cookie);
HELPER(st_bind);

/* route.c */
HELPER(st_check_mtu);
HELPER(st_fib_lookup);
HELPER(st_skb_ecn_set_ce);

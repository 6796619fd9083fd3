/* Kernel functions that programs call by name (kfuncs), one file a group; kfunc.c has the table.  A call's number is
 * ST_HELPERS and more: the place in that table, which embedded/ puts there instead of the id that Linux has. */
#pragma once
#include "helpers.h"

struct st_kfunc {
	const char *name;
	st_helper function;
};

extern const struct st_kfunc st_kfuncs[];
extern const u32 st_kfunc_count;
/* The name of a number; 0 past the last. */
ST_EXPORT const char *st_kfunc_name(u32 number);
/* Its address, to be called from machine code. */
ST_EXPORT u64 st_kfunc_address(u32 number);

/* kfunc_object.c: an object that a program allocated is gone: frees it when nobody else holds it. */
void st_object_drop(void *object);
/* Are these bytes of an object that a program allocated? */
bool st_object_has(u64 address, u64 size);
void st_kptr_release(struct st_map *map, const struct st_field *field, void *pointer);
void st_list_release(void *head);
void st_tree_release(void *root);

/* X(name of the function on Linux): each is defined with KFUNC(name). */
#define ST_KFUNCS(X)                                                                                                           \
	X(bpf_iter_num_new) X(bpf_iter_num_next) X(bpf_iter_num_destroy)                                                       \
	X(bpf_iter_bits_new) X(bpf_iter_bits_next) X(bpf_iter_bits_destroy)                                                    \
	X(bpf_rcu_read_lock) X(bpf_rcu_read_unlock) X(bpf_preempt_disable) X(bpf_preempt_enable)                               \
	X(bpf_local_irq_save) X(bpf_local_irq_restore) X(bpf_res_spin_lock) X(bpf_res_spin_unlock)                             \
	X(bpf_rdonly_cast) X(bpf_map_sum_elem_count)                                                                           \
	X(bpf_task_acquire) X(bpf_task_release) X(bpf_task_from_pid) X(bpf_task_from_vpid) X(bpf_task_under_cgroup)            \
	X(bpf_cgroup_acquire) X(bpf_cgroup_release) X(bpf_cgroup_ancestor)                                                     \
	X(bpf_copy_from_user_str) X(bpf_copy_from_user_task_str) X(bpf_send_signal_task)                                       \
	X(bpf_dynptr_from_skb) X(bpf_dynptr_from_xdp) X(bpf_dynptr_slice) X(bpf_dynptr_slice_rdwr) X(bpf_dynptr_adjust)        \
	X(bpf_dynptr_is_null) X(bpf_dynptr_is_rdonly) X(bpf_dynptr_size) X(bpf_dynptr_clone) X(bpf_dynptr_copy)                \
	X(bpf_dynptr_memset)                                                                                                   \
	X(bpf_strcmp) X(bpf_strcasecmp) X(bpf_strchr) X(bpf_strchrnul) X(bpf_strrchr) X(bpf_strnchr) X(bpf_strlen)             \
	X(bpf_strnlen) X(bpf_strspn) X(bpf_strcspn) X(bpf_strstr) X(bpf_strnstr)                                               \
	X(bpf_cpumask_create) X(bpf_cpumask_acquire) X(bpf_cpumask_release) X(bpf_cpumask_first) X(bpf_cpumask_first_zero)     \
	X(bpf_cpumask_first_and) X(bpf_cpumask_empty) X(bpf_cpumask_full) X(bpf_cpumask_weight)                                \
	X(bpf_cpumask_any_distribute) X(bpf_cpumask_any_and_distribute) X(bpf_cpumask_equal) X(bpf_cpumask_intersects)         \
	X(bpf_cpumask_subset) X(bpf_cpumask_test_cpu) X(bpf_cpumask_set_cpu) X(bpf_cpumask_clear_cpu)                          \
	X(bpf_cpumask_test_and_set_cpu) X(bpf_cpumask_test_and_clear_cpu) X(bpf_cpumask_setall) X(bpf_cpumask_clear)           \
	X(bpf_cpumask_and) X(bpf_cpumask_or) X(bpf_cpumask_xor) X(bpf_cpumask_copy) X(bpf_cpumask_populate)                    \
	X(bpf_obj_new_impl) X(bpf_obj_drop_impl) X(bpf_refcount_acquire_impl)                                                  \
	X(bpf_list_push_front_impl) X(bpf_list_push_back_impl) X(bpf_list_pop_front) X(bpf_list_pop_back)                      \
	X(bpf_rbtree_add_impl) X(bpf_rbtree_first) X(bpf_rbtree_remove)                                                        \
	X(bpf_wq_init) X(bpf_wq_set_callback_impl) X(bpf_wq_start)

#define KFUNC(name) HELPER_DEFINE(st_kf_##name)
#define X(name) HELPER(st_kf_##name);
ST_KFUNCS(X)
#undef X

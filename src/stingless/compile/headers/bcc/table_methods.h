/* Table methods: `table.lookup(&key)` arrives here as `__st_lookup(table, &key)`. */
#pragma once

#define __st_kind_of(table) (sizeof(*(table).type) / sizeof(int))
#define __st_leaf(table) __typeof__(*(table).value)

#define __st_lookup(table, k) ((__typeof__((table).value))bpf_map_lookup_elem(&(table), (k)))
#define __st_update(table, k, v) bpf_map_update_elem(&(table), (k), (v), BPF_ANY)
#define __st_insert(table, k, v) bpf_map_update_elem(&(table), (k), (v), BPF_NOEXIST)
#define __st_delete(table, k) bpf_map_delete_elem(&(table), (k))
#define __st_lookup_or_try_init(table, k, v)                                  \
	({                                                                    \
		__typeof__((table).value) __st_found = __st_lookup(table, k); \
		if (!__st_found) {                                            \
			__st_insert(table, k, v);                             \
			__st_found = __st_lookup(table, k);                   \
		}                                                             \
		__st_found;                                                   \
	})
/* It may return from the function that calls it. */
#define __st_lookup_or_init(table, k, v)                                                     \
	({                                                                                   \
		__typeof__((table).value) __st_there = __st_lookup_or_try_init(table, k, v); \
		if (!__st_there)                                                             \
			return 0;                                                            \
		__st_there;                                                                  \
	})

#define __st_has_new_keys(table)                             \
	(__st_kind_of(table) == BPF_MAP_TYPE_HASH ||         \
	 __st_kind_of(table) == BPF_MAP_TYPE_PERCPU_HASH ||  \
	 __st_kind_of(table) == BPF_MAP_TYPE_LRU_HASH ||     \
	 __st_kind_of(table) == BPF_MAP_TYPE_LRU_PERCPU_HASH)
#define __st_add(table, k, how, n)                                                  \
	({                                                                          \
		__typeof__(*(table).key) __st_key = (k);                            \
		__typeof__((table).value) __st_slot = __st_lookup(table, &__st_key); \
		if (__st_slot) {                                                    \
			how(__st_slot, n);                                          \
		} else if (__st_has_new_keys(table)) {                              \
			__st_leaf(table) __st_first = (n);                          \
			__st_insert(table, &__st_key, &__st_first);                 \
		}                                                                   \
	})
#define lock_xadd(slot, n) __st_atomic_add(slot, n)
#define __st_plain_add(slot, n) (*(slot) += (n))
#define __st_atomic_add(slot, n) (void)__sync_fetch_and_add((slot), (n))
#define __st_increment(table, ...) __st_increment_(table, __VA_ARGS__, 1, )
#define __st_increment_(table, k, n, ...) __st_add(table, k, __st_plain_add, n)
#define __st_atomic_increment(table, ...) __st_atomic_increment_(table, __VA_ARGS__, 1, )
#define __st_atomic_increment_(table, k, n, ...) __st_add(table, k, __st_atomic_add, n)

/* What is submitted leaves a pointer of its type in the object, for `table.event()`: see dialect/events.py.  The _as
 * forms are told the record without the casts that are around it. */
#define __st_submits(table, record) static __typeof__((0, (record))) __st_event_##table SEC(".st.events")
#ifndef CUR_CPU_IDENTIFIER
#define CUR_CPU_IDENTIFIER BPF_F_CURRENT_CPU
#endif
#define __st_perf_submit(table, ctx, data, size) __st_perf_submit_as(table, data, ctx, data, size)
#define __st_perf_submit_as(table, record, ctx, data, size)                                           \
	({                                                                                            \
		__st_submits(table, record);                                                          \
		bpf_perf_event_output((void *)(ctx), &(table), CUR_CPU_IDENTIFIER, (data), (size));   \
	})
#define __st_perf_submit_skb(table, skb, skb_len, data, size) \
	__st_perf_submit_skb_as(table, data, skb, skb_len, data, size)
#define __st_perf_submit_skb_as(table, record, skb, skb_len, data, size)                               \
	({                                                                                            \
		__st_submits(table, record);                                                          \
		bpf_perf_event_output((skb), &(table), ((__u64)(skb_len) << 32) | BPF_F_CURRENT_CPU,  \
				      (data), (size));                                                \
	})
#define __st_ringbuf_output(table, data, size, flags) __st_ringbuf_output_as(table, data, data, size, flags)
#define __st_ringbuf_output_as(table, record, data, size, flags)                  \
	({                                                                        \
		__st_submits(table, record);                                      \
		bpf_ringbuf_output(&(table), (void *)(data), (size), (flags));    \
	})
#define __st_ringbuf_reserve(table, size) bpf_ringbuf_reserve(&(table), (size), 0)
#define __st_ringbuf_submit(table, data, flags) __st_ringbuf_submit_as(table, data, data, flags)
#define __st_ringbuf_submit_as(table, record, data, flags) \
	({                                                 \
		__st_submits(table, record);               \
		bpf_ringbuf_submit((data), (flags));       \
	})
#define __st_ringbuf_discard(table, data, flags) bpf_ringbuf_discard((data), (flags))
#define __st_ringbuf_query(table, flags) bpf_ringbuf_query(&(table), (flags))

#define __st_call(table, ctx, index) bpf_tail_call((void *)(ctx), &(table), (index))
#define __st_get_stackid(table, ctx, flags) ((int)bpf_get_stackid((void *)(ctx), &(table), (flags)))
#define __st_perf_read(table, index) ((u64)bpf_perf_event_read(&(table), (index)))
#define __st_perf_counter_value(table, index, value, size) \
	((int)bpf_perf_event_read_value(&(table), (index), (value), (size)))
#define __st_check_current_task(table, index) ((int)bpf_current_task_under_cgroup(&(table), (index)))
#define __st_push(table, value, flags) bpf_map_push_elem(&(table), (value), (flags))
#define __st_pop(table, value) bpf_map_pop_elem(&(table), (value))
#define __st_peek(table, value) bpf_map_peek_elem(&(table), (value))

#define __st_redirect_map(table, index, flags) bpf_redirect_map(&(table), (index), (flags))
#define __st_sock_map_update(table, ctx, k, flags) bpf_sock_map_update((ctx), &(table), (k), (flags))
#define __st_sock_hash_update(table, ctx, k, flags) bpf_sock_hash_update((ctx), &(table), (k), (flags))
#define __st_msg_redirect_map(table, msg, k, flags) bpf_msg_redirect_map((msg), &(table), (k), (flags))
#define __st_msg_redirect_hash(table, msg, k, flags) bpf_msg_redirect_hash((msg), &(table), (k), (flags))
#define __st_sk_redirect_map(table, skb, k, flags) bpf_sk_redirect_map((skb), &(table), (k), (flags))
#define __st_sk_redirect_hash(table, skb, k, flags) bpf_sk_redirect_hash((skb), &(table), (k), (flags))
#define __st_sk_storage_get(table, sk, value, flags) bpf_sk_storage_get(&(table), (sk), (value), (flags))
#define __st_sk_storage_delete(table, sk) bpf_sk_storage_delete(&(table), (sk))
#define __st_inode_storage_get(table, inode, value, flags) \
	bpf_inode_storage_get(&(table), (inode), (value), (flags))
#define __st_inode_storage_delete(table, inode) bpf_inode_storage_delete(&(table), (inode))
#define __st_task_storage_get(table, task, value, flags) bpf_task_storage_get(&(table), (task), (value), (flags))
#define __st_task_storage_delete(table, task) bpf_task_storage_delete(&(table), (task))
#define __st_get_local_storage(table, flags) \
	((__typeof__((table).value))bpf_get_local_storage(&(table), (flags)))

/* Arguments of USDT probes, by a function that the Python side makes of the probe's note. */
#define __st_usdt_readarg(reader, ctx, argument) reader((ctx), (argument), sizeof(*(argument)))
#define __st_usdt_readarg_p(reader, ctx, buffer, size)                          \
	({                                                                      \
		u64 __st_address = 0;                                           \
		reader((ctx), &__st_address, sizeof(__st_address));             \
		bpf_probe_read_user((buffer), (size), (void *)__st_address);    \
	})

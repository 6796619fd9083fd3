/* Programs for the verifier: those whose name begins with ok_ are safe, those with bad_ break one rule. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
char LICENSE[] SEC("license") = "GPL";

#define __ksym_weak __ksym __weak
#define __kptr_tag __attribute__((btf_type_tag("kptr")))
extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;
extern struct task_struct *bpf_task_from_pid(s32 pid) __ksym;
extern struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym;
extern void bpf_task_release(struct task_struct *p) __ksym;
extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym;
extern int bpf_dynptr_from_xdp(struct xdp_md *x, u64 flags, struct bpf_dynptr *ptr) __ksym;
extern void *bpf_dynptr_slice(const struct bpf_dynptr *p, u32 offset, void *buffer, u32 size) __ksym;

struct value { u64 a; struct bpf_spin_lock lock; u64 b; };
struct timed { u64 a; struct bpf_timer timer; };
struct kept { struct task_struct __kptr_tag *task; };
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, u32); __type(value, struct value); } locks SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 8); __type(key, u32); __type(value, struct timed); } timers SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 8); __type(key, u32); __type(value, struct kept); } tasks SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 8); __type(key, u32); __type(value, u64); } numbers SEC(".maps");
struct inner { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 4); __type(key, u32); __type(value, u64); };
struct { __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 2); __type(key, u32); __array(values, struct inner); } outer SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } ring SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_USER_RINGBUF); __uint(max_entries, 4096); } user_ring SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_TASK_STORAGE); __uint(map_flags, 1); __type(key, int); __type(value, u64); } storage SEC(".maps");
u64 out;
u64 table[16];

#define PROG(name) SEC("tc") int name(struct __sk_buff *skb)
#define VALUE(map) ({ u32 k = 0; bpf_map_lookup_elem(&map, &k); })

/* bpf_loop */
struct sum { u64 n; u64 total; };
static int add(u32 i, struct sum *s) { s->total += i; return s->total > 100; }
static int beyond(u32 i, void *c) { table[i] = 1; return 0; }
static int within(u32 i, void *c) { if (i < 16) table[i] = 1; return 0; }
static int returns(u32 i, void *c) { return i; }
PROG(ok_loop) { struct sum s = {}; bpf_loop(1000, add, &s, 0); return s.total; }
PROG(ok_loop_bounds) { bpf_loop(100, within, 0, 0); return 0; }
PROG(bad_loop_bounds) { bpf_loop(100, beyond, 0, 0); return 0; }
PROG(bad_loop_return) { bpf_loop(100, returns, 0, 0); return 0; }
struct at { u64 i; };
static int step(u32 i, struct at *a) { a->i++; return 0; }
PROG(ok_loop_unrolled) { struct at a = {}; bpf_loop(3, step, &a, 0); table[a.i] = 1; return 0; }
PROG(ok_loop_widened) { struct at a = {}; bpf_loop(3, step, &a, 0); if (a.i < 16) table[a.i] = 1; return 0; }
static int leaks(u32 i, void *c) { bpf_ringbuf_reserve(&ring, 8, 0); return 0; }
PROG(bad_loop_leaks) { bpf_loop(3, leaks, 0, 0); return 0; }
/* bpf_for_each_map_elem */
static long each(struct bpf_map *m, u32 *k, u64 *v, struct sum *s) { s->total += *v + *k; return 0; }
static long each_beyond(struct bpf_map *m, u32 *k, u64 *v, void *c) { return v[1] & 1; }
static long each_key(struct bpf_map *m, u32 *k, u64 *v, void *c) { *k = 1; return 0; }
PROG(ok_each) { struct sum s = {}; bpf_for_each_map_elem(&numbers, each, &s, 0); return s.total; }
PROG(bad_each_value) { bpf_for_each_map_elem(&numbers, each_beyond, 0, 0); return 0; }
PROG(bad_each_key) { bpf_for_each_map_elem(&numbers, each_key, 0, 0); return 0; }
/* bpf_user_ringbuf_drain */
static long drained(struct bpf_dynptr *d, void *c) { u64 x = 0; bpf_dynptr_read(&x, 8, d, 0, 0); out = x; return 0; }
PROG(ok_drain) { return bpf_user_ringbuf_drain(&user_ring, drained, 0, 0); }
PROG(bad_drain_map) { return bpf_user_ringbuf_drain(&ring, drained, 0, 0); }
/* Maps in maps. */
PROG(ok_inner) { u32 k = 0; void *m = bpf_map_lookup_elem(&outer, &k); if (!m) return 0; u64 *v = bpf_map_lookup_elem(m, &k); return v ? *v : 0; }
PROG(bad_inner_null) { u32 k = 0; void *m = bpf_map_lookup_elem(&outer, &k); u64 *v = bpf_map_lookup_elem(m, &k); return v ? *v : 0; }
PROG(bad_inner_value) { u32 k = 0; void *m = bpf_map_lookup_elem(&outer, &k); if (!m) return 0; u64 *v = bpf_map_lookup_elem(m, &k); return v ? v[1] : 0; }
/* Locks. */
PROG(ok_lock) { struct value *v = VALUE(locks); if (!v) return 0; bpf_spin_lock(&v->lock); v->a++; bpf_spin_unlock(&v->lock); return 0; }
PROG(bad_lock_kept) { struct value *v = VALUE(locks); if (!v) return 0; bpf_spin_lock(&v->lock); v->a++; return 0; }
PROG(bad_lock_twice) { struct value *v = VALUE(locks); if (!v) return 0; bpf_spin_lock(&v->lock); bpf_spin_lock(&v->lock); bpf_spin_unlock(&v->lock); return 0; }
PROG(bad_unlock) { struct value *v = VALUE(locks); if (!v) return 0; bpf_spin_unlock(&v->lock); return 0; }
PROG(bad_lock_call) { struct value *v = VALUE(locks); if (!v) return 0; bpf_spin_lock(&v->lock); v->a = bpf_ktime_get_ns(); bpf_spin_unlock(&v->lock); return 0; }
PROG(bad_lock_other) { struct value *v = VALUE(locks), *w = VALUE(locks); if (!v || !w) return 0; bpf_spin_lock(&v->lock); bpf_spin_unlock(&w->lock); return 0; }
PROG(bad_lock_store) { struct value *v = VALUE(locks); if (!v) return 0; *(u32 *)&v->lock = 1; return 0; }
/* Timers. */
static int fired(void *m, u32 *k, struct timed *v) { v->a++; return 0; }
static int fired_bad(void *m, u32 *k, struct timed *v) { return 1; }
PROG(ok_timer) { struct timed *v = VALUE(timers); if (!v) return 0; bpf_timer_init(&v->timer, &timers, 1); bpf_timer_set_callback(&v->timer, fired); bpf_timer_start(&v->timer, 1000, 0); return 0; }
PROG(bad_timer_return) { struct timed *v = VALUE(timers); if (!v) return 0; bpf_timer_init(&v->timer, &timers, 1); bpf_timer_set_callback(&v->timer, fired_bad); return 0; }
PROG(bad_timer_map) { struct timed *v = VALUE(timers); if (!v) return 0; bpf_timer_init(&v->timer, &numbers, 1); return 0; }
PROG(bad_timer_place) { struct timed *v = VALUE(timers); if (!v) return 0; bpf_timer_init((void *)v, &timers, 1); return 0; }
PROG(bad_timer_store) { struct timed *v = VALUE(timers); if (!v) return 0; *(u64 *)&v->timer = 1; return 0; }
/* Iterators. */
PROG(ok_iter) { struct bpf_iter_num it; int *n; u64 s = 0; bpf_iter_num_new(&it, 0, 1000); while ((n = bpf_iter_num_next(&it))) s += *n; bpf_iter_num_destroy(&it); return s; }
PROG(ok_iter_bounds) { struct bpf_iter_num it; int *n; bpf_iter_num_new(&it, 0, 16); while ((n = bpf_iter_num_next(&it))) { u32 i = *n; if (i < 16) table[i]++; } bpf_iter_num_destroy(&it); return 0; }
PROG(bad_iter_bounds) { struct bpf_iter_num it; int *n; bpf_iter_num_new(&it, 0, 16); while ((n = bpf_iter_num_next(&it))) table[*n]++; bpf_iter_num_destroy(&it); return 0; }
PROG(bad_iter_kept) { struct bpf_iter_num it; int *n; u64 s = 0; bpf_iter_num_new(&it, 0, 1000); while ((n = bpf_iter_num_next(&it))) s += *n; return s; }
PROG(bad_iter_twice) { struct bpf_iter_num it; bpf_iter_num_new(&it, 0, 1000); bpf_iter_num_new(&it, 0, 10); bpf_iter_num_destroy(&it); return 0; }
PROG(bad_iter_none) { struct bpf_iter_num it; bpf_iter_num_next(&it); return 0; }
PROG(bad_iter_null) { struct bpf_iter_num it; int s; bpf_iter_num_new(&it, 0, 1000); s = *bpf_iter_num_next(&it); bpf_iter_num_destroy(&it); return s; }
PROG(bad_iter_progress) { struct bpf_iter_num it; int *n; u64 i = 0; bpf_iter_num_new(&it, 0, 1000); while ((n = bpf_iter_num_next(&it))) i++; bpf_iter_num_destroy(&it); table[i] = 1; return 0; }
PROG(ok_iter_nested) { struct bpf_iter_num a, b; int *n, *m; u64 s = 0; bpf_iter_num_new(&a, 0, 10); while ((n = bpf_iter_num_next(&a))) { bpf_iter_num_new(&b, 0, 10); while ((m = bpf_iter_num_next(&b))) s += *m; bpf_iter_num_destroy(&b); } bpf_iter_num_destroy(&a); return s; }
/* Dynptrs. */
PROG(ok_dynptr_ring) { struct bpf_dynptr d; u64 *p; bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &d); p = bpf_dynptr_data(&d, 0, 8); if (p) *p = 1; bpf_ringbuf_submit_dynptr(&d, 0); return 0; }
PROG(bad_dynptr_ring_kept) { struct bpf_dynptr d; bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &d); return 0; }
PROG(bad_dynptr_after) { struct bpf_dynptr d; u64 *p; bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &d); p = bpf_dynptr_data(&d, 0, 8); bpf_ringbuf_submit_dynptr(&d, 0); if (p) *p = 1; return 0; }
PROG(bad_dynptr_twice) { struct bpf_dynptr d; bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &d); bpf_ringbuf_submit_dynptr(&d, 0); bpf_ringbuf_submit_dynptr(&d, 0); return 0; }
PROG(bad_dynptr_beyond) { struct bpf_dynptr d; u64 *p; bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &d); p = bpf_dynptr_data(&d, 0, 8); if (p) p[1] = 1; bpf_ringbuf_submit_dynptr(&d, 0); return 0; }
PROG(bad_dynptr_none) { struct bpf_dynptr d; u64 x; return bpf_dynptr_read(&x, 8, &d, 0, 0); }
PROG(ok_dynptr_mem) { u64 *v = VALUE(numbers); struct bpf_dynptr d; u64 x = 0; if (!v) return 0; bpf_dynptr_from_mem(v, 8, 0, &d); bpf_dynptr_read(&x, 8, &d, 0, 0); return x; }
PROG(bad_dynptr_stack) { u64 x = 0; struct bpf_dynptr d; bpf_dynptr_from_mem(&x, 8, 0, &d); return 0; }
PROG(bad_dynptr_overwritten) { struct bpf_dynptr d; bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &d); *(volatile u64 *)&d = 0; bpf_ringbuf_submit_dynptr(&d, 0); return 0; }
SEC("xdp") int ok_dynptr_slice(struct xdp_md *x) { struct bpf_dynptr d; char b[4]; u32 *p; bpf_dynptr_from_xdp(x, 0, &d); p = bpf_dynptr_slice(&d, 0, b, 4); return p ? *p & 1 : 0; }
SEC("xdp") int bad_dynptr_slice_write(struct xdp_md *x) { struct bpf_dynptr d; char b[4]; u32 *p; bpf_dynptr_from_xdp(x, 0, &d); p = bpf_dynptr_slice(&d, 0, b, 4); if (p) *p = 1; return 0; }
SEC("xdp") int bad_dynptr_slice_moved(struct xdp_md *x) { struct bpf_dynptr d; char b[4]; u32 *p; bpf_dynptr_from_xdp(x, 0, &d); p = bpf_dynptr_slice(&d, 0, b, 4); bpf_xdp_adjust_head(x, 0); return p ? *p & 1 : 0; }
/* References. */
PROG(ok_sock) { struct bpf_sock_tuple t = {}; struct bpf_sock *s = bpf_sk_lookup_tcp(skb, &t, sizeof(t.ipv4), -1, 0); u32 f = 0; if (s) { f = s->family; bpf_sk_release(s); } return f; }
PROG(bad_sock_kept) { struct bpf_sock_tuple t = {}; struct bpf_sock *s = bpf_sk_lookup_tcp(skb, &t, sizeof(t.ipv4), -1, 0); return s ? s->family : 0; }
PROG(bad_sock_null) { struct bpf_sock_tuple t = {}; struct bpf_sock *s = bpf_sk_lookup_tcp(skb, &t, sizeof(t.ipv4), -1, 0); bpf_sk_release(s); return 0; }
PROG(bad_sock_after) { struct bpf_sock_tuple t = {}; struct bpf_sock *s = bpf_sk_lookup_tcp(skb, &t, sizeof(t.ipv4), -1, 0); if (!s) return 0; bpf_sk_release(s); return s->family; }
PROG(bad_sock_twice) { struct bpf_sock_tuple t = {}; struct bpf_sock *s = bpf_sk_lookup_tcp(skb, &t, sizeof(t.ipv4), -1, 0); if (!s) return 0; bpf_sk_release(s); bpf_sk_release(s); return 0; }
SEC("raw_tp/sched_switch") int bad_task_type(void *ctx) { struct task_struct *t = bpf_task_from_pid(1); if (!t) return 0; out = t->pid; bpf_task_release(t); return 0; }
SEC("syscall") int ok_task_syscall(void *ctx) { struct task_struct *t = bpf_task_from_pid(1); if (!t) return 0; out = t->pid; bpf_task_release(t); return 0; }
SEC("syscall") int bad_task_kept(void *ctx) { struct task_struct *t = bpf_task_from_pid(1); if (!t) return 0; out = t->pid; return 0; }
SEC("syscall") int bad_task_null(void *ctx) { struct task_struct *t = bpf_task_from_pid(1); bpf_task_release(t); return 0; }
SEC("syscall") int bad_task_write(void *ctx) { struct task_struct *t = bpf_get_current_task_btf(); *(volatile int *)&t->pid = 1; return 0; }
SEC("syscall") int bad_task_beyond(void *ctx) { struct task_struct *t = bpf_get_current_task_btf(); return *(volatile int *)((char *)t + (1 << 20)); }
SEC("syscall") int ok_task_btf(void *ctx) { struct task_struct *t = bpf_get_current_task_btf(); out = t->real_parent->tgid + t->mm->total_vm; return 0; }
SEC("syscall") int bad_task_walked(void *ctx) { struct task_struct *t = bpf_get_current_task_btf(); t = bpf_task_acquire(t->last_wakee); if (t) bpf_task_release(t); return 0; }
SEC("syscall") int ok_task_rcu(void *ctx) { struct task_struct *t = bpf_get_current_task_btf(), *p; bpf_rcu_read_lock(); p = t->real_parent; p = bpf_task_acquire(p); if (p) bpf_task_release(p); bpf_rcu_read_unlock(); return 0; }
SEC("syscall") int bad_rcu_kept(void *ctx) { bpf_rcu_read_lock(); return 0; }
SEC("syscall") int bad_rcu_unmatched(void *ctx) { bpf_rcu_read_unlock(); return 0; }
SEC("kprobe") int ok_storage(void *ctx) { struct task_struct *t = bpf_get_current_task_btf(); u64 *v = bpf_task_storage_get(&storage, t, 0, 1); if (v) *v += 1; return 0; }
SEC("kprobe") int bad_storage_null(void *ctx) { struct task_struct *t = bpf_get_current_task_btf(); u64 *v = bpf_task_storage_get(&storage, t, 0, 1); *v += 1; return 0; }
/* Kernel pointers in maps. */
SEC("syscall") int ok_kptr(void *ctx) { struct kept *v = VALUE(tasks); struct task_struct *t; if (!v) return 0; t = bpf_task_from_pid(1); if (!t) return 0; t = bpf_kptr_xchg(&v->task, t); if (t) bpf_task_release(t); return 0; }
SEC("syscall") int bad_kptr_kept(void *ctx) { struct kept *v = VALUE(tasks); struct task_struct *t; if (!v) return 0; t = bpf_kptr_xchg(&v->task, 0); return 0; }
SEC("syscall") int bad_kptr_unowned(void *ctx) { struct kept *v = VALUE(tasks); struct task_struct *t; if (!v) return 0; t = bpf_get_current_task_btf(); t = bpf_kptr_xchg(&v->task, t); if (t) bpf_task_release(t); return 0; }
SEC("syscall") int bad_kptr_store(void *ctx) { struct kept *v = VALUE(tasks); if (!v) return 0; *(volatile u64 *)&v->task = 1; return 0; }
SEC("syscall") int bad_kptr_partial(void *ctx) { struct kept *v = VALUE(tasks); if (!v) return 0; return *(volatile u32 *)&v->task; }
/* What a privileged loader may do. */
SEC("kprobe") int ok_padding(void *ctx) { struct { u8 a; u64 b; } k; k.a = 1; k.b = 2; bpf_ringbuf_output(&ring, &k, sizeof(k), 0); return 0; }
/* Lists and trees of the program's own objects. */
#define __contains(type, node) __attribute__((btf_decl_tag("contains:" #type ":" #node)))
#define private(name) SEC(".data." #name) __hidden __attribute__((aligned(8)))
extern void *bpf_obj_new_impl(u64 local_type_id, void *meta) __ksym;
extern void bpf_obj_drop_impl(void *kptr, void *meta) __ksym;
extern int bpf_list_push_front_impl(struct bpf_list_head *head, struct bpf_list_node *node, void *meta, u64 off) __ksym;
extern struct bpf_list_node *bpf_list_pop_front(struct bpf_list_head *head) __ksym;
extern int bpf_rbtree_add_impl(struct bpf_rb_root *root, struct bpf_rb_node *node, bool (less)(struct bpf_rb_node *a, const struct bpf_rb_node *b), void *meta, u64 off) __ksym;
extern struct bpf_rb_node *bpf_rbtree_first(struct bpf_rb_root *root) __ksym;
extern struct bpf_rb_node *bpf_rbtree_remove(struct bpf_rb_root *root, struct bpf_rb_node *node) __ksym;
#define bpf_obj_new(type) ((type *)bpf_obj_new_impl(bpf_core_type_id_local(type), 0))
#define bpf_obj_drop(p) bpf_obj_drop_impl(p, 0)
#define bpf_list_push_front(head, node) bpf_list_push_front_impl(head, node, 0, 0)
#define bpf_rbtree_add(root, node, less) bpf_rbtree_add_impl(root, node, less, 0, 0)
#define container(p, type, member) ((type *)((char *)(p) - __builtin_offsetof(type, member)))
struct item { u64 key; struct bpf_list_node node; u64 n; };
struct leaf { u64 key; struct bpf_rb_node node; };
private(A) struct bpf_spin_lock list_lock;
private(A) struct bpf_list_head list __contains(item, node);
private(B) struct bpf_spin_lock tree_lock;
private(B) struct bpf_rb_root tree __contains(leaf, node);
static bool less(struct bpf_rb_node *a, const struct bpf_rb_node *b) { return container(a, struct leaf, node)->key < container(b, struct leaf, node)->key; }
PROG(ok_object) { struct item *i = bpf_obj_new(struct item); if (!i) return 0; i->n = 1; bpf_obj_drop(i); return 0; }
PROG(bad_object_kept) { struct item *i = bpf_obj_new(struct item); if (!i) return 0; i->n = 1; return 0; }
PROG(bad_object_node) { struct item *i = bpf_obj_new(struct item); if (!i) return 0; *(volatile u64 *)&i->node = 1; bpf_obj_drop(i); return 0; }
PROG(bad_object_beyond) { struct item *i = bpf_obj_new(struct item); if (!i) return 0; ((volatile u64 *)i)[sizeof(*i) / 8] = 1; bpf_obj_drop(i); return 0; }
PROG(ok_list) { struct item *i = bpf_obj_new(struct item); struct bpf_list_node *n; if (!i) return 0; bpf_spin_lock(&list_lock); bpf_list_push_front(&list, &i->node); n = bpf_list_pop_front(&list); bpf_spin_unlock(&list_lock); if (n) { i = container(n, struct item, node); bpf_obj_drop(i); } return 0; }
PROG(bad_list_unlocked) { struct item *i = bpf_obj_new(struct item); if (!i) return 0; bpf_list_push_front(&list, &i->node); return 0; }
PROG(bad_list_other_lock) { struct item *i = bpf_obj_new(struct item); if (!i) return 0; bpf_spin_lock(&tree_lock); bpf_list_push_front(&list, &i->node); bpf_spin_unlock(&tree_lock); return 0; }
PROG(bad_list_after) { struct item *i = bpf_obj_new(struct item); if (!i) return 0; bpf_spin_lock(&list_lock); bpf_list_push_front(&list, &i->node); bpf_spin_unlock(&list_lock); i->n = 1; return 0; }
PROG(bad_list_twice) { struct item *i = bpf_obj_new(struct item); if (!i) return 0; bpf_spin_lock(&list_lock); bpf_list_push_front(&list, &i->node); bpf_list_push_front(&list, &i->node); bpf_spin_unlock(&list_lock); return 0; }
PROG(bad_list_popped_kept) { struct bpf_list_node *n; bpf_spin_lock(&list_lock); n = bpf_list_pop_front(&list); bpf_spin_unlock(&list_lock); return 0; }
PROG(ok_tree) { struct leaf *l = bpf_obj_new(struct leaf); struct bpf_rb_node *n; if (!l) return 0; l->key = 1; bpf_spin_lock(&tree_lock); bpf_rbtree_add(&tree, &l->node, less); n = bpf_rbtree_first(&tree); if (!n) { bpf_spin_unlock(&tree_lock); return 0; } n = bpf_rbtree_remove(&tree, n); bpf_spin_unlock(&tree_lock); if (n) bpf_obj_drop(container(n, struct leaf, node)); return 0; }
PROG(bad_tree_seen_after) { struct bpf_rb_node *n; bpf_spin_lock(&tree_lock); n = bpf_rbtree_first(&tree); bpf_spin_unlock(&tree_lock); return n ? container(n, struct leaf, node)->key : 0; }

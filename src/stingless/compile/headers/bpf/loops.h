/* Loops over the kernel's open-coded iterators (Linux 6.4): the verifier checks the body once, not each turn. */
#ifndef __ST_BPF_LOOPS_H
#define __ST_BPF_LOOPS_H

struct bpf_iter_num;
extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __weak __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __weak __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __weak __ksym;

/* `struct bpf_iter_TYPE it`, destroyed when its scope is left, and the first clause of a `for` that makes it.  The
 * destructor is named where the iterator is made: BTF describes only the functions that the code mentions. */
#define __st_iterator(type, it, ...)                                                                             \
	struct bpf_iter_##type it __attribute__((aligned(8), cleanup(bpf_iter_##type##_destroy))),               \
		*___bpf_concat(it, _made) __attribute__((unused)) = (bpf_iter_##type##_new(&it, ##__VA_ARGS__),  \
								     (void)bpf_iter_##type##_destroy, (void *)0)
#define __st_for_each(type, it, cur, ...) \
	for (__st_iterator(type, it, ##__VA_ARGS__); ((cur) = bpf_iter_##type##_next(&it));)
/* Each step looks at the bounds anew: the verifier knows only that the number is some int. */
#define __st_for(it, i, start, end)                                                             \
	for (__st_iterator(num, it, (start), (end)); ({                                         \
		     int *__st_at = bpf_iter_num_next(&it);                                     \
		     (__st_at ? ((i) = *__st_at, (i) >= (start) && (i) < (end)) : 0);           \
	     });)

#ifndef bpf_for_each
#define bpf_for_each(type, cur, ...) __st_for_each(type, ___bpf_concat(__st_it, __COUNTER__), cur, ##__VA_ARGS__)
#endif
#ifndef bpf_for
#define bpf_for(i, start, end) __st_for(___bpf_concat(__st_it, __COUNTER__), i, start, end)
#endif
#ifndef bpf_repeat
#define bpf_repeat(n) __st_repeat(___bpf_concat(__st_it, __COUNTER__), n)
#define __st_repeat(it, n) for (__st_iterator(num, it, 0, (n)); bpf_iter_num_next(&it);)
#endif

#endif

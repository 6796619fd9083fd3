/* BPF_PROG2(name, type, parameter, type, parameter, ...): as BPF_PROG, with structs of up to 16 bytes passed by value,
 * which take one slot or two. */
#ifndef __ST_BPF_STRUCT_ARGUMENTS_H
#define __ST_BPF_STRUCT_ARGUMENTS_H

#define __st_slots(type) ((sizeof(type) + 7) / 8)
/* The value in the slots from `at` on.  Slots are loaded whole, as the verifier wants it, and then cut to size. */
#define __st_from_slots(type, at)                                             \
	({                                                                    \
		union {                                                       \
			unsigned char one;                                    \
			unsigned short two;                                   \
			unsigned int four;                                    \
			unsigned long long eight[2];                          \
			type value;                                           \
		} __st_slot = {};                                             \
		if (sizeof(type) == 1)                                        \
			__st_slot.one = ctx[at];                              \
		else if (sizeof(type) == 2)                                   \
			__st_slot.two = ctx[at];                              \
		else if (sizeof(type) == 4)                                   \
			__st_slot.four = ctx[at];                             \
		else                                                          \
			__st_slot.eight[0] = ctx[at];                         \
		if (sizeof(type) > 8)                                         \
			__st_slot.eight[1] = ctx[(at) + 1];                   \
		__st_slot.value;                                              \
	})

#define __st_pairs0(at)
#define __st_pairs2(at, t, x) , __st_from_slots(t, at)
#define __st_pairs4(at, t, x, ...) __st_pairs2(at, t, x) __st_pairs2(at + __st_slots(t), __VA_ARGS__)
#define __st_pairs6(at, t, x, ...) __st_pairs2(at, t, x) __st_pairs4(at + __st_slots(t), __VA_ARGS__)
#define __st_pairs8(at, t, x, ...) __st_pairs2(at, t, x) __st_pairs6(at + __st_slots(t), __VA_ARGS__)
#define __st_pairs10(at, t, x, ...) __st_pairs2(at, t, x) __st_pairs8(at + __st_slots(t), __VA_ARGS__)
#define __st_pairs12(at, t, x, ...) __st_pairs2(at, t, x) __st_pairs10(at + __st_slots(t), __VA_ARGS__)
#define __st_pairs14(at, t, x, ...) __st_pairs2(at, t, x) __st_pairs12(at + __st_slots(t), __VA_ARGS__)
#define __st_pairs16(at, t, x, ...) __st_pairs2(at, t, x) __st_pairs14(at + __st_slots(t), __VA_ARGS__)
#define __st_pairs18(at, t, x, ...) __st_pairs2(at, t, x) __st_pairs16(at + __st_slots(t), __VA_ARGS__)
#define __st_pairs20(at, t, x, ...) __st_pairs2(at, t, x) __st_pairs18(at + __st_slots(t), __VA_ARGS__)
#define __st_pairs22(at, t, x, ...) __st_pairs2(at, t, x) __st_pairs20(at + __st_slots(t), __VA_ARGS__)
#define __st_pairs24(at, t, x, ...) __st_pairs2(at, t, x) __st_pairs22(at + __st_slots(t), __VA_ARGS__)

#define __st_declared0()
#define __st_declared2(t, x) , t x
#define __st_declared4(t, x, ...) , t x __st_declared2(__VA_ARGS__)
#define __st_declared6(t, x, ...) , t x __st_declared4(__VA_ARGS__)
#define __st_declared8(t, x, ...) , t x __st_declared6(__VA_ARGS__)
#define __st_declared10(t, x, ...) , t x __st_declared8(__VA_ARGS__)
#define __st_declared12(t, x, ...) , t x __st_declared10(__VA_ARGS__)
#define __st_declared14(t, x, ...) , t x __st_declared12(__VA_ARGS__)
#define __st_declared16(t, x, ...) , t x __st_declared14(__VA_ARGS__)
#define __st_declared18(t, x, ...) , t x __st_declared16(__VA_ARGS__)
#define __st_declared20(t, x, ...) , t x __st_declared18(__VA_ARGS__)
#define __st_declared22(t, x, ...) , t x __st_declared20(__VA_ARGS__)
#define __st_declared24(t, x, ...) , t x __st_declared22(__VA_ARGS__)

/* As ___bpf_narg, up to 24. */
#define __st_nth24(_, _1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12, _13, _14, _15, _16, _17, _18, _19, _20, _21, \
		   _22, _23, _24, chosen, ...)                                                                       \
	chosen
#define __st_narg24(...)                                                                                            \
	__st_nth24(_, ##__VA_ARGS__, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, \
		   2, 1, 0)

#define BPF_PROG2(name, ...)                                                                               \
	__st_body(name, unsigned long long,                                                                \
		  (unsigned long long *ctx ___bpf_apply(__st_declared, __st_narg24(__VA_ARGS__))(__VA_ARGS__)), \
		  return ____##name(ctx ___bpf_apply(__st_pairs, __st_narg24(__VA_ARGS__))(0, ##__VA_ARGS__));)

#endif

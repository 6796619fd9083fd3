/* Reading kernel memory by names of members: each access is recorded as a CO-RE relocation, so that it finds the member
 * where the running kernel has it. */
#ifndef __BPF_CORE_READ_H__
#define __BPF_CORE_READ_H__

#include "bpf_helpers.h"

/* The questions that relocations ask, by clang's numbers. */
enum bpf_field_info_kind {
	BPF_FIELD_BYTE_OFFSET,
	BPF_FIELD_BYTE_SIZE,
	BPF_FIELD_EXISTS,
	BPF_FIELD_SIGNED,
	BPF_FIELD_LSHIFT_U64,
	BPF_FIELD_RSHIFT_U64,
};
enum bpf_type_id_kind {
	BPF_TYPE_ID_LOCAL,
	BPF_TYPE_ID_TARGET,
};
enum bpf_type_info_kind {
	BPF_TYPE_EXISTS,
	BPF_TYPE_SIZE,
	BPF_TYPE_MATCHES,
};
enum bpf_enum_value_kind {
	BPF_ENUMVAL_EXISTS,
	BPF_ENUMVAL_VALUE,
};

#define __st_null(type) ((__typeof__(type) *)0)

/* Members: named by (type, member) or by (variable->member). */
#define ___bpf_field_ref1(field) (field)
#define ___bpf_field_ref2(type, field) (__st_null(type)->field)
#define ___bpf_field_ref(...) ___bpf_apply(___bpf_field_ref, ___bpf_narg(__VA_ARGS__))(__VA_ARGS__)
#define bpf_core_field_exists(...) __builtin_preserve_field_info(___bpf_field_ref(__VA_ARGS__), BPF_FIELD_EXISTS)
#define bpf_core_field_size(...) __builtin_preserve_field_info(___bpf_field_ref(__VA_ARGS__), BPF_FIELD_BYTE_SIZE)
#define bpf_core_field_offset(...) __builtin_preserve_field_info(___bpf_field_ref(__VA_ARGS__), BPF_FIELD_BYTE_OFFSET)

/* Types and enumerators. */
#define bpf_core_type_id_local(type) __builtin_btf_type_id(*__st_null(type), BPF_TYPE_ID_LOCAL)
#define bpf_core_type_id_kernel(type) __builtin_btf_type_id(*__st_null(type), BPF_TYPE_ID_TARGET)
#define bpf_core_type_exists(type) __builtin_preserve_type_info(*__st_null(type), BPF_TYPE_EXISTS)
#define bpf_core_type_matches(type) __builtin_preserve_type_info(*__st_null(type), BPF_TYPE_MATCHES)
#define bpf_core_type_size(type) __builtin_preserve_type_info(*__st_null(type), BPF_TYPE_SIZE)
#define bpf_core_enum_value_exists(enum_type, enum_value) \
	__builtin_preserve_enum_value(*(__typeof__(enum_type) *)enum_value, BPF_ENUMVAL_EXISTS)
#define bpf_core_enum_value(enum_type, enum_value) \
	__builtin_preserve_enum_value(*(__typeof__(enum_type) *)enum_value, BPF_ENUMVAL_VALUE)

/* A pointer that the verifier takes for one to a kernel type, to be read directly (Linux 6.2). */
extern void *bpf_rdonly_cast(const void *obj, unsigned int btf_id) __ksym __weak;
#define bpf_core_cast(ptr, type) ((__typeof__(type) *)bpf_rdonly_cast((ptr), bpf_core_type_id_kernel(type)))

/* One read.  `src` is the address of an access: &task->pid. */
#define __st_relocated(src) ((const void *)__builtin_preserve_access_index(src))
#define bpf_core_read(dst, size, src) bpf_probe_read_kernel(dst, size, __st_relocated(src))
#define bpf_core_read_user(dst, size, src) bpf_probe_read_user(dst, size, __st_relocated(src))
#define bpf_core_read_str(dst, size, src) bpf_probe_read_kernel_str(dst, size, __st_relocated(src))
#define bpf_core_read_user_str(dst, size, src) bpf_probe_read_user_str(dst, size, __st_relocated(src))

/* Chains: src->a->b->c, one read a pointer.
 *
 * `step` reads the pointers on the way, `end` the last member.  The pointer read last is in __st_p; the type of the
 * whole way so far, as an expression that is never evaluated, is `way`. */
#define __st_read_member(read, dst, pointer, way, member) \
	read((void *)(dst), sizeof(*(dst)), &((__typeof__(way))(pointer))->member)
#define __st_chain1(step, end, dst, pointer, way, a) __st_read_member(end, dst, pointer, way, a)
#define __st_chain2(step, end, dst, pointer, way, a, ...) \
	__st_read_member(step, &__st_p, pointer, way, a); __st_chain1(step, end, dst, __st_p, (way)->a, __VA_ARGS__)
#define __st_chain3(step, end, dst, pointer, way, a, ...) \
	__st_read_member(step, &__st_p, pointer, way, a); __st_chain2(step, end, dst, __st_p, (way)->a, __VA_ARGS__)
#define __st_chain4(step, end, dst, pointer, way, a, ...) \
	__st_read_member(step, &__st_p, pointer, way, a); __st_chain3(step, end, dst, __st_p, (way)->a, __VA_ARGS__)
#define __st_chain5(step, end, dst, pointer, way, a, ...) \
	__st_read_member(step, &__st_p, pointer, way, a); __st_chain4(step, end, dst, __st_p, (way)->a, __VA_ARGS__)
#define __st_chain6(step, end, dst, pointer, way, a, ...) \
	__st_read_member(step, &__st_p, pointer, way, a); __st_chain5(step, end, dst, __st_p, (way)->a, __VA_ARGS__)
#define __st_chain7(step, end, dst, pointer, way, a, ...) \
	__st_read_member(step, &__st_p, pointer, way, a); __st_chain6(step, end, dst, __st_p, (way)->a, __VA_ARGS__)
#define __st_chain8(step, end, dst, pointer, way, a, ...) \
	__st_read_member(step, &__st_p, pointer, way, a); __st_chain7(step, end, dst, __st_p, (way)->a, __VA_ARGS__)
#define __st_chain9(step, end, dst, pointer, way, a, ...) \
	__st_read_member(step, &__st_p, pointer, way, a); __st_chain8(step, end, dst, __st_p, (way)->a, __VA_ARGS__)
#define __st_chain10(step, end, dst, pointer, way, a, ...) \
	__st_read_member(step, &__st_p, pointer, way, a); __st_chain9(step, end, dst, __st_p, (way)->a, __VA_ARGS__)
#define __st_chain(step, end, dst, src, ...)                                                     \
	({                                                                                       \
		const void *__st_p __attribute__((unused));                                      \
		___bpf_apply(__st_chain, ___bpf_narg(__VA_ARGS__))(step, end, dst, src, src, __VA_ARGS__); \
	})

/* What a chain ends in: (src)->a->b->c. */
#define ___arrow1(a) a
#define ___arrow2(a, ...) a->___arrow1(__VA_ARGS__)
#define ___arrow3(a, ...) a->___arrow2(__VA_ARGS__)
#define ___arrow4(a, ...) a->___arrow3(__VA_ARGS__)
#define ___arrow5(a, ...) a->___arrow4(__VA_ARGS__)
#define ___arrow6(a, ...) a->___arrow5(__VA_ARGS__)
#define ___arrow7(a, ...) a->___arrow6(__VA_ARGS__)
#define ___arrow8(a, ...) a->___arrow7(__VA_ARGS__)
#define ___arrow9(a, ...) a->___arrow8(__VA_ARGS__)
#define ___arrow10(a, ...) a->___arrow9(__VA_ARGS__)
#define ___arrow11(a, ...) a->___arrow10(__VA_ARGS__)
#define ___arrow(...) ___bpf_apply(___arrow, ___bpf_narg(__VA_ARGS__))(__VA_ARGS__)
#define ___type(...) __typeof__(___arrow(__VA_ARGS__))
#define __st_value(into, src, a, ...)                                 \
	({                                                            \
		___type((src), a, ##__VA_ARGS__) __r;                 \
		into(&__r, (src), a, ##__VA_ARGS__);                  \
		__r;                                                  \
	})

/* *_INTO(&destination, pointer, member, member, ...) gives the last read's result: 0, a length or a negative errno.
 * CORE: kernel memory, relocated.  CORE_READ_USER: a kernel type that lies in user memory (structs of the UAPI). */
#define BPF_CORE_READ_INTO(dst, src, a, ...) __st_chain(bpf_core_read, bpf_core_read, dst, (src), a, ##__VA_ARGS__)
#define BPF_CORE_READ_STR_INTO(dst, src, a, ...) \
	__st_chain(bpf_core_read, bpf_core_read_str, dst, (src), a, ##__VA_ARGS__)
#define BPF_CORE_READ_USER_INTO(dst, src, a, ...) \
	__st_chain(bpf_core_read_user, bpf_core_read_user, dst, (src), a, ##__VA_ARGS__)
#define BPF_CORE_READ_USER_STR_INTO(dst, src, a, ...) \
	__st_chain(bpf_core_read_user, bpf_core_read_user_str, dst, (src), a, ##__VA_ARGS__)
#define BPF_CORE_READ(src, a, ...) __st_value(BPF_CORE_READ_INTO, src, a, ##__VA_ARGS__)
#define BPF_CORE_READ_USER(src, a, ...) __st_value(BPF_CORE_READ_USER_INTO, src, a, ##__VA_ARGS__)

/* The same with nothing relocated: the program's own types. */
#define BPF_PROBE_READ_INTO(dst, src, a, ...) \
	__st_chain(bpf_probe_read_kernel, bpf_probe_read_kernel, dst, (src), a, ##__VA_ARGS__)
#define BPF_PROBE_READ_STR_INTO(dst, src, a, ...) \
	__st_chain(bpf_probe_read_kernel, bpf_probe_read_kernel_str, dst, (src), a, ##__VA_ARGS__)
#define BPF_PROBE_READ_USER_INTO(dst, src, a, ...) \
	__st_chain(bpf_probe_read_user, bpf_probe_read_user, dst, (src), a, ##__VA_ARGS__)
#define BPF_PROBE_READ_USER_STR_INTO(dst, src, a, ...) \
	__st_chain(bpf_probe_read_user, bpf_probe_read_user_str, dst, (src), a, ##__VA_ARGS__)
#define BPF_PROBE_READ(src, a, ...) __st_value(BPF_PROBE_READ_INTO, src, a, ##__VA_ARGS__)
#define BPF_PROBE_READ_USER(src, a, ...) __st_value(BPF_PROBE_READ_USER_INTO, src, a, ##__VA_ARGS__)

#include "bitfields.h"

#endif

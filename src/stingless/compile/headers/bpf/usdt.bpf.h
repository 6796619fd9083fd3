/* Static probes of user programs (SEC("usdt/PATH:PROVIDER:NAME")): their arguments by number, and BPF_USDT().
 *
 * The loader describes each place of a probe in the map __bpf_usdt_specs.  The description's index comes with the probe
 * as its cookie, or, where the kernel has no cookies (before 5.15), is found by the address in __bpf_usdt_ip_to_spec_id.
 * Names and layout of both maps are those that libbpf made common, so that either loader serves either header. */
#ifndef __USDT_BPF_H__
#define __USDT_BPF_H__

#include "bpf_helpers.h"
#include "bpf_tracing.h"

/* Define these before the include to have room for more. */
#ifndef BPF_USDT_MAX_SPEC_CNT
#define BPF_USDT_MAX_SPEC_CNT 256 /* different descriptions */
#endif
#ifndef BPF_USDT_MAX_IP_CNT
#define BPF_USDT_MAX_IP_CNT (4 * BPF_USDT_MAX_SPEC_CNT) /* places, where the kernel has no cookies */
#endif
#define BPF_USDT_MAX_ARG_CNT 12

enum __bpf_usdt_arg_type {
	BPF_USDT_ARG_CONST, /* val_off itself */
	BPF_USDT_ARG_REG, /* a register */
	BPF_USDT_ARG_REG_DEREF, /* the user's memory at register + val_off */
	BPF_USDT_ARG_SIB, /* the user's memory at register + (index register << scale_bitshift) + val_off */
};

/* 16 bytes.  Registers are offsets in struct pt_regs; the value's upper arg_bitshift bits are not its own. */
struct __bpf_usdt_arg_spec {
	__u64 val_off;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	__u32 arg_type : 8, idx_reg_off : 12, scale_bitshift : 4, __unused : 8;
#else
	__u32 __unused : 8, idx_reg_off : 12, scale_bitshift : 4, arg_type : 8;
#endif
	__s16 reg_off;
	_Bool arg_signed;
	__u8 arg_bitshift;
};

/* 208 bytes */
struct __bpf_usdt_spec {
	struct __bpf_usdt_arg_spec args[BPF_USDT_MAX_ARG_CNT];
	__u64 usdt_cookie;
	__s16 arg_cnt;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BPF_USDT_MAX_SPEC_CNT);
	__type(key, int);
	__type(value, struct __bpf_usdt_spec);
} __bpf_usdt_specs SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BPF_USDT_MAX_IP_CNT);
	__type(key, long);
	__type(value, __u32);
} __bpf_usdt_ip_to_spec_id SEC(".maps") __weak;

extern const _Bool LINUX_HAS_BPF_COOKIE __kconfig;

#define __ST_USDT_ENOENT (-2)
#define __ST_USDT_ESRCH (-3)

static __always_inline struct __bpf_usdt_spec *__st_usdt_spec(struct pt_regs *ctx)
{
	__u32 id, *found;
	long ip;

	if (LINUX_HAS_BPF_COOKIE) {
		id = bpf_get_attach_cookie(ctx);
	} else {
		ip = PT_REGS_IP(ctx);
		found = bpf_map_lookup_elem(&__bpf_usdt_ip_to_spec_id, &ip);
		if (!found)
			return NULL;
		id = *found;
	}
	return bpf_map_lookup_elem(&__bpf_usdt_specs, &id);
}

/* The argument's description; NULL with *error set when there is none. */
static __always_inline struct __bpf_usdt_arg_spec *__st_usdt_arg_spec(struct pt_regs *ctx, __u64 number, long *error)
{
	struct __bpf_usdt_spec *spec = __st_usdt_spec(ctx);

	*error = __ST_USDT_ESRCH;
	if (!spec)
		return NULL;
	*error = __ST_USDT_ENOENT;
	barrier_var(number); /* the verifier wants to see the very register that was compared */
	if (number >= BPF_USDT_MAX_ARG_CNT || (__s64)number >= spec->arg_cnt)
		return NULL;
	return &spec->args[number];
}

/* The saved register at an offset in struct pt_regs.  The context cannot be read at an offset that is not constant. */
static __always_inline long __st_usdt_register(struct pt_regs *ctx, long offset, unsigned long *value)
{
	return bpf_probe_read_kernel(value, sizeof(*value), (void *)ctx + offset);
}

/* How many arguments the probe has; negative when the probe is not known. */
static __noinline __attribute__((unused)) int bpf_usdt_arg_cnt(struct pt_regs *ctx)
{
	struct __bpf_usdt_spec *spec = __st_usdt_spec(ctx);

	return spec ? spec->arg_cnt : __ST_USDT_ESRCH;
}

/* An argument's size in bytes: 1, 2, 4 or 8; negative as for bpf_usdt_arg(). */
static __noinline __attribute__((unused)) int bpf_usdt_arg_size(struct pt_regs *ctx, __u64 arg_num)
{
	long error;
	struct __bpf_usdt_arg_spec *arg = __st_usdt_arg_spec(ctx, arg_num, &error);

	return arg ? (64 - arg->arg_bitshift) / 8 : (int)error;
}

/* Put argument `arg_num` (from 0 on) in *res, widened to 64 bits by its own signedness.  Returns 0; -ENOENT when the
 * probe has not so many; the error of the read when memory cannot be read. */
static __noinline __attribute__((unused)) int bpf_usdt_arg(struct pt_regs *ctx, __u64 arg_num, long *res)
{
	unsigned long value = 0, index = 0;
	struct __bpf_usdt_arg_spec *arg;
	long error;

	*res = 0; /* on every path, for the caller's verification */
	arg = __st_usdt_arg_spec(ctx, arg_num, &error);
	if (!arg)
		return error;
	if (arg->arg_type == BPF_USDT_ARG_CONST) {
		value = arg->val_off;
	} else {
		error = __st_usdt_register(ctx, arg->reg_off, &value);
		if (error)
			return error;
		if (arg->arg_type == BPF_USDT_ARG_SIB) {
			error = __st_usdt_register(ctx, arg->idx_reg_off, &index);
			if (error)
				return error;
			value += index << arg->scale_bitshift;
		}
		if (arg->arg_type == BPF_USDT_ARG_REG_DEREF || arg->arg_type == BPF_USDT_ARG_SIB) {
			error = bpf_probe_read_user(&value, sizeof(value), (void *)(value + arg->val_off));
			if (error)
				return error;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
			value >>= arg->arg_bitshift;
#endif
		}
	}
	value <<= arg->arg_bitshift;
	*res = arg->arg_signed ? (long)value >> arg->arg_bitshift : (long)(value >> arg->arg_bitshift);
	return 0;
}

/* The number that the user gave with the attachment. */
static __noinline __attribute__((unused)) long bpf_usdt_cookie(struct pt_regs *ctx)
{
	struct __bpf_usdt_spec *spec = __st_usdt_spec(ctx);

	return spec ? (long)spec->usdt_cookie : 0;
}

#define __st_usdt_value(n) ({ long __st_value; bpf_usdt_arg(ctx, n, &__st_value); (void *)__st_value; })
#define __st_usdt_args0()
#define __st_usdt_args1(_1) , __st_usdt_value(0)
#define __st_usdt_args2(_1, ...) __st_usdt_args1(_1), __st_usdt_value(1)
#define __st_usdt_args3(_1, ...) __st_usdt_args2(_1), __st_usdt_value(2)
#define __st_usdt_args4(_1, ...) __st_usdt_args3(_1), __st_usdt_value(3)
#define __st_usdt_args5(_1, ...) __st_usdt_args4(_1), __st_usdt_value(4)
#define __st_usdt_args6(_1, ...) __st_usdt_args5(_1), __st_usdt_value(5)
#define __st_usdt_args7(_1, ...) __st_usdt_args6(_1), __st_usdt_value(6)
#define __st_usdt_args8(_1, ...) __st_usdt_args7(_1), __st_usdt_value(7)
#define __st_usdt_args9(_1, ...) __st_usdt_args8(_1), __st_usdt_value(8)
#define __st_usdt_args10(_1, ...) __st_usdt_args9(_1), __st_usdt_value(9)
#define __st_usdt_args11(_1, ...) __st_usdt_args10(_1), __st_usdt_value(10)
#define __st_usdt_args12(_1, ...) __st_usdt_args11(_1), __st_usdt_value(11)
#define __st_usdt_args(...) ___bpf_apply(__st_usdt_args, ___bpf_narg(__VA_ARGS__))(__VA_ARGS__)

/* SEC("usdt/...") int BPF_USDT(name, int first, char *second) { ... }; up to 12 arguments. */
#define BPF_USDT(name, ...)                                                             \
	__st_body(name, struct pt_regs, __st_parameters(struct pt_regs, ##__VA_ARGS__), \
		  return ____##name(ctx __st_usdt_args(__VA_ARGS__));)

#endif

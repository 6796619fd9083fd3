/* What the functions of probes are made of, and what they may use. */
#pragma once

#define __st_program(name) SEC(name)
#define __st_volatile(register) (*(const volatile unsigned long *)&(register))
#define PT_REGS_SYSCALL_CTX(ctx) PT_REGS_SYSCALL_REGS(ctx)

/* A field of variable length of a tracepoint's record: its length is in the upper half of data_loc_FIELD, its place in
 * the record in the lower. */
#define __st_data_loc(field) ((void *)args + (args->data_loc_##field & 0xffff))
#define TP_DATA_LOC_READ_CONST(dst, field, length) bpf_probe_read_kernel((dst), (length), __st_data_loc(field))
#define TP_DATA_LOC_READ(dst, field) \
	bpf_probe_read_kernel((dst), args->data_loc_##field >> 16, __st_data_loc(field))
#define TP_DATA_LOC_READ_STR(dst, field, length) bpf_probe_read_kernel_str((dst), (length), __st_data_loc(field))

/* The position of the highest bit that is set, from 0; of bpf_log2l(), from 1. */
static inline __attribute__((always_inline)) unsigned int bpf_log2(unsigned int v)
{
	unsigned int upper, found;

	found = (v > 0xffff) << 4;
	v >>= found;
	upper = (v > 0xff) << 3;
	v >>= upper;
	found |= upper;
	upper = (v > 0xf) << 2;
	v >>= upper;
	found |= upper;
	upper = (v > 3) << 1;
	v >>= upper;
	found |= upper;
	return found | v >> 1;
}
static inline __attribute__((always_inline)) unsigned int bpf_log2l(unsigned long v)
{
	unsigned int upper = v >> 32;

	return upper ? bpf_log2(upper) + 33 : bpf_log2(v) + 1;
}

/* The interpreter: RFC 9669, with the number semantics of Linux.  One label an opcode; each jumps to the next itself. */
#include "interp.h"
#include "libc.h"
#include "machine.h"
#include "map.h"

#pragma clang diagnostic ignored "-Winitializer-overrides"

#define ST_BUDGET (1ull << 24)

struct frame {
	const struct st_insn *back;
	u64 saved[4];
	u32 may_goto; /* taken in the frame that called */
};

/* Memory operands may be unaligned (packets) and of any type. */
#define UNALIGNED(type) typedef type type##_any __attribute__((aligned(1), may_alias))
UNALIGNED(u8);
UNALIGNED(u16);
UNALIGNED(u32);
UNALIGNED(u64);
UNALIGNED(s8);
UNALIGNED(s16);
UNALIGNED(s32);

static u64 swap(u64 value, s32 bits)
{
	return bits == 16 ? __builtin_bswap16((u16)value)
	     : bits == 32 ? __builtin_bswap32((u32)value)
	                  : __builtin_bswap64(value);
}

static u64 divide64(u64 a, u64 b, s16 is_signed)
{
	if (!b)
		return 0;
	if (!is_signed)
		return a / b;
	return b == ~0ull ? -a : (u64)((s64)a / (s64)b);
}

static u64 modulo64(u64 a, u64 b, s16 is_signed)
{
	if (!b)
		return a;
	if (!is_signed)
		return a % b;
	return b == ~0ull ? 0 : (u64)((s64)a % (s64)b);
}

static u32 divide32(u32 a, u32 b, s16 is_signed)
{
	if (!b)
		return 0;
	if (!is_signed)
		return a / b;
	return b == ~0u ? -a : (u32)((s32)a / (s32)b);
}

static u32 modulo32(u32 a, u32 b, s16 is_signed)
{
	if (!b)
		return a;
	if (!is_signed)
		return a % b;
	return b == ~0u ? 0 : (u32)((s32)a % (s32)b);
}

static u64 sign_extend(u64 value, s16 bits)
{
	return bits == 8 ? (u64)(s8)value : bits == 16 ? (u64)(s16)value : bits == 32 ? (u64)(s32)value : value;
}

#define ATOMIC_OPERATIONS(name, type)                                                                             \
	static bool name(type *at, u64 *operand, u64 *r0, s32 operation)                                          \
	{                                                                                                         \
		type value = (type)*operand, expected = (type)*r0;                                                \
		switch (operation) {                                                                              \
		case 0x00: __atomic_fetch_add(at, value, __ATOMIC_RELAXED); return true;                          \
		case 0x40: __atomic_fetch_or(at, value, __ATOMIC_RELAXED); return true;                           \
		case 0x50: __atomic_fetch_and(at, value, __ATOMIC_RELAXED); return true;                          \
		case 0xa0: __atomic_fetch_xor(at, value, __ATOMIC_RELAXED); return true;                          \
		case 0x01: *operand = __atomic_fetch_add(at, value, __ATOMIC_SEQ_CST); return true;               \
		case 0x41: *operand = __atomic_fetch_or(at, value, __ATOMIC_SEQ_CST); return true;                \
		case 0x51: *operand = __atomic_fetch_and(at, value, __ATOMIC_SEQ_CST); return true;               \
		case 0xa1: *operand = __atomic_fetch_xor(at, value, __ATOMIC_SEQ_CST); return true;               \
		case 0xe1: *operand = __atomic_exchange_n(at, value, __ATOMIC_SEQ_CST); return true;              \
		case 0xf1:                                                                                        \
			__atomic_compare_exchange_n(at, &expected, value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
			*r0 = expected;                                                                           \
			return true;                                                                              \
		}                                                                                                 \
		return false;                                                                                     \
	}
ATOMIC_OPERATIONS(atomic32, u32)
ATOMIC_OPERATIONS(atomic64, u64)

#define LOAD_ACQUIRE 0x100
#define STORE_RELEASE 0x110

/* Every arithmetic opcode in its four forms: 64 or 32 bits, immediate or register. */
#define ALU_OPS(X) X(add, 0x00) X(sub, 0x10) X(mul, 0x20) X(div, 0x30) X(or, 0x40) X(and, 0x50) X(lsh, 0x60) \
	X(rsh, 0x70) X(mod, 0x90) X(xor, 0xa0) X(arsh, 0xc0)
#define ALU_ENTRY(name, code)                                                                                 \
	[code | 0x07] = &&name##64_k, [code | 0x0f] = &&name##64_x, [code | 0x04] = &&name##32_k,             \
	[code | 0x0c] = &&name##32_x,

#define JUMP_OPS(X) X(jeq, 0x10) X(jgt, 0x20) X(jge, 0x30) X(jset, 0x40) X(jne, 0x50) X(jsgt, 0x60) X(jsge, 0x70) \
	X(jlt, 0xa0) X(jle, 0xb0) X(jslt, 0xc0) X(jsle, 0xd0)
#define JUMP_ENTRY(name, code)                                                                                \
	[code | 0x05] = &&name##64_k, [code | 0x0d] = &&name##64_x, [code | 0x06] = &&name##32_k,             \
	[code | 0x0e] = &&name##32_x,

#define DST r[insn->dst]
#define SRC r[insn->src]
#define NEXT goto *labels[(++insn)->opcode]

#define ALU(name, wide, narrow)                                                                               \
	name##64_k: { u64 a = DST, b = (u64)(s64)insn->imm; (void)a; DST = wide; } NEXT;                      \
	name##64_x: { u64 a = DST, b = SRC; (void)a; DST = wide; } NEXT;                                      \
	name##32_k: { u32 a = (u32)DST, b = (u32)insn->imm; (void)a; DST = (u32)(narrow); } NEXT;             \
	name##32_x: { u32 a = (u32)DST, b = (u32)SRC; (void)a; DST = (u32)(narrow); } NEXT;

#define TAKE(distance)                                                                                        \
	do {                                                                                                  \
		s32 by = (distance);                                                                          \
		if (unlikely(by < 0) && unlikely(!--budget))                                                  \
			goto out_of_budget;                                                                   \
		insn += by;                                                                                   \
		NEXT;                                                                                         \
	} while (0)

#define JUMP(name, unsigned64, unsigned32, condition)                                                         \
	name##64_k: { unsigned64 a = (unsigned64)DST, b = (unsigned64)(s64)insn->imm; if (condition) TAKE(insn->off); } NEXT; \
	name##64_x: { unsigned64 a = (unsigned64)DST, b = (unsigned64)SRC; if (condition) TAKE(insn->off); } NEXT; \
	name##32_k: { unsigned32 a = (unsigned32)DST, b = (unsigned32)insn->imm; if (condition) TAKE(insn->off); } NEXT; \
	name##32_x: { unsigned32 a = (unsigned32)DST, b = (unsigned32)SRC; if (condition) TAKE(insn->off); } NEXT;

#define MEMORY(name, type)                                                                                    \
	ldx_##name: DST = *(const type##_any *)(SRC + insn->off); NEXT;                                       \
	stx_##name: *(type##_any *)(DST + insn->off) = (type)SRC; NEXT;                                       \
	st_##name: *(type##_any *)(DST + insn->off) = (type)(s64)insn->imm; NEXT;

u64 st_interpret(struct st_env *env, const struct st_insn *insn, u64 r1, u64 r2, u64 r3, u64 r4, u64 r5)
{
	static const void *const labels[256] = {
		[0 ... 255] = &&bad_opcode,
		ALU_OPS(ALU_ENTRY) JUMP_OPS(JUMP_ENTRY)
		[0xb7] = &&mov64_k, [0xbf] = &&mov64_x, [0xb4] = &&mov32_k, [0xbc] = &&mov32_x,
		[0x87] = &&neg64, [0x84] = &&neg32,
		[0xd4] = &&to_little, [0xdc] = &&to_big, [0xd7] = &&byte_swap,
		[0x05] = &&ja, [0x06] = &&ja_long, [0xe5] = &&may_goto, [0x85] = &&call, [0x8d] = &&call_register, [0x95] = &&exit,
		[0x71] = &&ldx_b, [0x69] = &&ldx_h, [0x61] = &&ldx_w, [0x79] = &&ldx_dw,
		[0x91] = &&ldsx_b, [0x89] = &&ldsx_h, [0x81] = &&ldsx_w,
		[0x31] = &&probe_b, [0x29] = &&probe_h, [0x21] = &&probe_w, [0x39] = &&probe_dw,
		[0x51] = &&probe_sb, [0x49] = &&probe_sh, [0x41] = &&probe_sw,
		[0x73] = &&stx_b, [0x6b] = &&stx_h, [0x63] = &&stx_w, [0x7b] = &&stx_dw,
		[0x72] = &&st_b, [0x6a] = &&st_h, [0x62] = &&st_w, [0x7a] = &&st_dw,
		[0xd3] = &&atomic_b, [0xcb] = &&atomic_h, [0xc3] = &&atomic_w, [0xdb] = &&atomic_dw,
		[0x18] = &&ld_imm64,
		[0x20] = &&ld_abs_w, [0x28] = &&ld_abs_h, [0x30] = &&ld_abs_b,
		[0x40] = &&ld_ind_w, [0x48] = &&ld_ind_h, [0x50] = &&ld_ind_b,
	};
	u32 base = env->frames;
	if (unlikely(base >= ST_FRAMES)) {
		env->fault = ST_FAULT_DEPTH;
		return 0;
	}
	struct frame frames[ST_FRAMES];
	u64 budget = ST_BUDGET;
	u32 may_goto = 0;
	u64 r[16] = {0, r1, r2, r3, r4, r5}; /* 16: any 4-bit number is in bounds */
	env->frames = base + 1;
	r[10] = (u64)(env->stack + (base + 1) * ST_STACK);
	goto *labels[insn->opcode];

	ALU(add, a + b, a + b)
	ALU(sub, a - b, a - b)
	ALU(mul, a * b, a * b)
	ALU(div, divide64(a, b, insn->off), divide32(a, b, insn->off))
	ALU(mod, modulo64(a, b, insn->off), modulo32(a, b, insn->off))
	ALU(or, a | b, a | b)
	ALU(and, a & b, a & b)
	ALU(xor, a ^ b, a ^ b)
	ALU(lsh, a << (b & 63), a << (b & 31))
	ALU(rsh, a >> (b & 63), a >> (b & 31))
	ALU(arsh, (u64)((s64)a >> (b & 63)), (u32)((s32)a >> (b & 31)))

mov64_k: DST = (u64)(s64)insn->imm; NEXT;
mov64_x: DST = sign_extend(SRC, insn->off); NEXT;
mov32_k: DST = (u32)insn->imm; NEXT;
mov32_x: DST = (u32)sign_extend(SRC, insn->off); NEXT;
neg64: DST = -DST; NEXT;
neg32: DST = (u32)-(u32)DST; NEXT;
to_little:
	if (insn->imm != 64)
		DST = insn->imm == 16 ? (u16)DST : (u32)DST;
	NEXT;
to_big:
byte_swap: DST = swap(DST, insn->imm); NEXT;

	JUMP(jeq, u64, u32, a == b)
	JUMP(jne, u64, u32, a != b)
	JUMP(jgt, u64, u32, a > b)
	JUMP(jge, u64, u32, a >= b)
	JUMP(jlt, u64, u32, a < b)
	JUMP(jle, u64, u32, a <= b)
	JUMP(jset, u64, u32, a & b)
	JUMP(jsgt, s64, s32, a > b)
	JUMP(jsge, s64, s32, a >= b)
	JUMP(jslt, s64, s32, a < b)
	JUMP(jsle, s64, s32, a <= b)

ja: TAKE(insn->off);
ja_long: TAKE(insn->imm);
may_goto:
	if (may_goto == ST_MAY_GOTO)
		TAKE(insn->off);
	may_goto++;
	NEXT;

	MEMORY(b, u8)
	MEMORY(h, u16)
	MEMORY(w, u32)
	MEMORY(dw, u64)
ldsx_b: DST = (u64)(s64)*(const s8_any *)(SRC + insn->off); NEXT;
ldsx_h: DST = (u64)(s64)*(const s16_any *)(SRC + insn->off); NEXT;
ldsx_w: DST = (u64)(s64)*(const s32_any *)(SRC + insn->off); NEXT;

	/* Loads through kernel pointers that may be anything: what cannot be read is 0.  The opcodes are those of Linux's
	 * rewritten programs; no program comes with them. */
probe_b: DST = st_probe_load(env, SRC + insn->off, 1); NEXT;
probe_h: DST = st_probe_load(env, SRC + insn->off, 2); NEXT;
probe_w: DST = st_probe_load(env, SRC + insn->off, 4); NEXT;
probe_dw: DST = st_probe_load(env, SRC + insn->off, 8); NEXT;
probe_sb: DST = (u64)(s64)(s8)st_probe_load(env, SRC + insn->off, 1); NEXT;
probe_sh: DST = (u64)(s64)(s16)st_probe_load(env, SRC + insn->off, 2); NEXT;
probe_sw: DST = (u64)(s64)(s32)st_probe_load(env, SRC + insn->off, 4); NEXT;

ld_imm64: {
	u64 value = (u32)insn->imm | (u64)(u32)insn[1].imm << 32;
	if (insn->src == 4) /* the address of a function of this program */
		value = (u64)(insn + 1 + insn->imm);
	DST = value;
	insn++;
	NEXT;
}

#define LEGACY(name, offset, size)                                                                            \
	name:                                                                                                 \
	if (unlikely(!st_packet_load(env, offset, size, &r[0]))) {                                            \
		r[0] = 0;                                                                                     \
		goto exit;                                                                                    \
	}                                                                                                     \
	NEXT;
	LEGACY(ld_abs_w, insn->imm, 4)
	LEGACY(ld_abs_h, insn->imm, 2)
	LEGACY(ld_abs_b, insn->imm, 1)
	LEGACY(ld_ind_w, (s32)((u32)SRC + (u32)insn->imm), 4)
	LEGACY(ld_ind_h, (s32)((u32)SRC + (u32)insn->imm), 2)
	LEGACY(ld_ind_b, (s32)((u32)SRC + (u32)insn->imm), 1)

#define ORDERED(type)                                                                                         \
	if (insn->imm == LOAD_ACQUIRE) {                                                                      \
		DST = __atomic_load_n((type *)(SRC + insn->off), __ATOMIC_ACQUIRE);                           \
		NEXT;                                                                                         \
	}                                                                                                     \
	if (insn->imm == STORE_RELEASE) {                                                                     \
		__atomic_store_n((type *)(DST + insn->off), (type)SRC, __ATOMIC_RELEASE);                     \
		NEXT;                                                                                         \
	}
atomic_b:
	ORDERED(u8)
	goto bad_opcode;
atomic_h:
	ORDERED(u16)
	goto bad_opcode;
atomic_w:
	ORDERED(u32)
	if (!atomic32((u32 *)(DST + insn->off), &SRC, &r[0], insn->imm))
		goto bad_opcode;
	NEXT;
atomic_dw:
	ORDERED(u64)
	if (!atomic64((u64 *)(DST + insn->off), &SRC, &r[0], insn->imm))
		goto bad_opcode;
	NEXT;

call:
	if (insn->src == 1) {
		if (unlikely(env->frames >= ST_FRAMES)) {
			env->fault = ST_FAULT_DEPTH;
			goto stop;
		}
		struct frame *frame = &frames[env->frames++ - base];
		frame->back = insn;
		frame->may_goto = may_goto;
		memcpy(frame->saved, &r[6], sizeof(frame->saved));
		r[10] += ST_STACK;
		may_goto = 0;
		TAKE(insn->imm);
	}
	if (insn->imm == 12) { /* bpf_tail_call(ctx, prog_array, index): stays in this frame, or goes on after the call */
		const struct st_prog *prog = st_map_program((const struct st_map *)r[2], (u32)r[3]);
		if (prog && env->tail_calls < ST_TAIL_CALLS) {
			env->tail_calls++;
			env->prog = prog;
			insn = prog->insns - 1;
			may_goto = 0;
		}
		NEXT;
	}
	{
		u32 id = (u32)insn->imm;
		st_helper helper = likely(id < ST_HELPERS && !insn->src) ? st_helpers[id] : 0;
		if (unlikely(!helper)) {
			env->fault = ST_FAULT_HELPER;
			goto stop;
		}
		r[0] = helper(env, r[1], r[2], r[3], r[4], r[5]);
		if (unlikely(env->fault))
			goto stop;
		NEXT;
	}

exit:
	if (--env->frames == base)
		return r[0];
	{
		struct frame *frame = &frames[env->frames - base];
		insn = frame->back;
		may_goto = frame->may_goto;
		memcpy(&r[6], frame->saved, sizeof(frame->saved));
		r[10] -= ST_STACK;
	}
	NEXT;

call_register: /* of a function of this program, by the address that LD_IMM64 gave */
	r[0] = st_callback(env, DST, r[1], r[2], r[3], r[4], r[5]);
	if (unlikely(env->fault))
		goto stop;
	NEXT;

bad_opcode:
	env->fault = ST_FAULT_OPCODE;
	goto stop;
out_of_budget:
	env->fault = ST_FAULT_BUDGET;
stop:
	env->frames = base;
	return 0;
}

u64 st_callback(struct st_env *env, u64 function, u64 a, u64 b, u64 c, u64 d, u64 e)
{
	if (function & ST_MACHINE)
		return ((st_machine)(function - ST_MACHINE))(env, a, b, c, d, e);
	return st_interpret(env, (const struct st_insn *)function, a, b, c, d, e);
}

/* An execution holds the slot of its CPU, as on Linux nothing else of its kind runs there: per-CPU values need no lock. */
static struct {
	st_lock lock;
	u32 padding[15];
} slots[ST_CPUS];
u32 st_cpus = 1;
u64 st_own_cgroup;

void st_configure(u32 possible_cpus, u64 own_cgroup)
{
	st_cpus = possible_cpus < ST_CPUS ? possible_cpus : ST_CPUS;
	st_own_cgroup = own_cgroup;
}

/* What no execution can find any more can be freed after it. */
void st_synchronize(void)
{
	for (u32 cpu = 0; cpu < st_cpus; cpu++) {
		st_acquire(&slots[cpu].lock);
		st_release(&slots[cpu].lock);
	}
}

/* With the machine code there is, or 0: then what its stack is follows from the caller's frame. */
static st_machine start(const struct st_prog *prog, struct st_env *env, u8 *stack, void *frame)
{
	env->stack = stack;
	env->frames = 0;
	env->tail_calls = 0;
	env->fault = ST_FAULT_NONE;
	env->prog = prog;
	env->cpu = (env->task ? env->task->cpu : (u32)sched_getcpu()) % st_cpus;
	st_acquire(&slots[env->cpu].lock);
	st_machine machine = __atomic_load_n(&prog->machine, __ATOMIC_ACQUIRE);
	env->machine_frames = machine ? frame : 0;
	return machine;
}

static void finish(struct st_env *env)
{
	st_release(&slots[env->cpu].lock);
	env->stack = 0;
}

u64 st_run(const struct st_prog *prog, void *ctx, struct st_env *env)
{
	u8 stack[ST_FRAMES * ST_STACK] __attribute__((aligned(16)));
	env->ctx = ctx;
	st_machine machine = start(prog, env, stack, __builtin_frame_address(0));
	u64 r0;
	if (likely(machine))
		r0 = machine(env, (u64)ctx, 0, 0, 0, 0);
	else
		r0 = st_interpret(env, prog->insns, (u64)ctx, 0, 0, 0, 0);
	finish(env);
	if (unlikely(!machine))
		st_ran((struct st_prog *)prog);
	return r0;
}

u64 st_run_function(const struct st_prog *prog, struct st_env *env, u64 function, u64 a, u64 b, u64 c,
		    bool (*may_start)(void *), void *state)
{
	u8 stack[ST_FRAMES * ST_STACK] __attribute__((aligned(16)));
	start(prog, env, stack, __builtin_frame_address(0));
	u64 r0 = may_start(state) ? st_callback(env, function, a, b, c, 0, 0) : 0;
	finish(env);
	return r0;
}

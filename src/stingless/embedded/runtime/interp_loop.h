/* The loop of the interpreter, included by interp.c with INTERPRET as its name, and by careful.c with CAREFUL too. */
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
#ifdef CAREFUL
#define NEXT goto next
#define ACCESS(address, size, writes)                                                                         \
	do {                                                                                                  \
		if (unlikely(!may_access(env, (u64)(address), size, writes)))                                 \
			goto stop;                                                                            \
	} while (0)
#else
#define NEXT goto *labels[(++insn)->opcode]
#define ACCESS(address, size, writes)
#endif

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
	ldx_##name: ACCESS(SRC + insn->off, sizeof(type), false);                                             \
		DST = *(const type##_any *)(SRC + insn->off); NEXT;                                           \
	stx_##name: ACCESS(DST + insn->off, sizeof(type), true);                                              \
		*(type##_any *)(DST + insn->off) = (type)SRC; NEXT;                                           \
	st_##name: ACCESS(DST + insn->off, sizeof(type), true);                                               \
		*(type##_any *)(DST + insn->off) = (type)(s64)insn->imm; NEXT;

u64 INTERPRET(struct st_env *env, const struct st_insn *insn, u64 r1, u64 r2, u64 r3, u64 r4, u64 r5)
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
	if (unlikely(env->prog->zero_stack))
		memset((void *)(r[10] - ST_STACK), 0, ST_STACK);
#ifdef CAREFUL
	struct st_careful *careful = env->careful;
	insn--;
next:
	insn++;
	env->fault_insn = (u32)(insn - env->prog->insns);
	if (unlikely(env->steps++ >= careful->budget))
		goto out_of_budget;
	if (careful->records)
		record(env, env->fault_insn, env->frames - 1, r);
#endif
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
ldsx_b: ACCESS(SRC + insn->off, sizeof(s8), false); DST = (u64)(s64)*(const s8_any *)(SRC + insn->off); NEXT;
ldsx_h: ACCESS(SRC + insn->off, sizeof(s16), false); DST = (u64)(s64)*(const s16_any *)(SRC + insn->off); NEXT;
ldsx_w: ACCESS(SRC + insn->off, sizeof(s32), false); DST = (u64)(s64)*(const s32_any *)(SRC + insn->off); NEXT;

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
		ACCESS(SRC + insn->off, sizeof(type), false);                                                 \
		DST = __atomic_load_n((type *)(SRC + insn->off), __ATOMIC_ACQUIRE);                           \
		NEXT;                                                                                         \
	}                                                                                                     \
	ACCESS(DST + insn->off, sizeof(type), true);                                                          \
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
		if (unlikely(env->prog->zero_stack))
			memset((void *)(r[10] - ST_STACK), 0, ST_STACK);
		TAKE(insn->imm);
	}
	if (insn->imm == 12) { /* bpf_tail_call(ctx, prog_array, index): stays in this frame, or goes on after the call */
		const struct st_prog *prog = st_map_program((const struct st_map *)r[2], (u32)r[3]);
		if (prog && env->tail_calls < ST_TAIL_CALLS) {
			env->tail_calls++;
			insn = prog->insns - 1;
			env->prog = prog;
			may_goto = 0;
		}
		NEXT;
	}
	{
		u32 id = (u32)insn->imm;
		st_helper helper = likely(!insn->src) ? HELPER_OF(id) : 0;
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
#ifdef CAREFUL
	if (!is_function(env, DST)) {
		env->fault = ST_FAULT_ACCESS;
		env->fault_address = DST;
		goto stop;
	}
#endif
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

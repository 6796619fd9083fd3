/* Stepping over one x86-64 instruction away from its place. */
#pragma once
#include "tracer.h"

bool st_get_return(const struct st_regs *regs, s32 tid, u64 *address) { return st_read_user(tid, address, regs->sp, 8); }

bool st_set_return(struct st_regs *regs, s32 tid, u64 address) { return st_write_user(tid, regs->sp, &address, 8); }

u64 st_returned_sp(u64 sp) { return sp + 8; }

void st_restore_return(struct st_regs *regs, s32 tid, u64 sp, u64 bottom, u64 from, u64 to)
{
	u64 found;
	(void)regs, (void)bottom;
	if (st_read_user(tid, &found, sp, sizeof found) && found == from)
		st_write_user(tid, sp, &to, sizeof to);
}

static u64 *register_of(struct st_regs *regs, u32 number)
{
	u64 *registers[] = {&regs->ax, &regs->cx, &regs->dx, &regs->bx, &regs->sp, &regs->bp, &regs->si, &regs->di,
			    &regs->r8, &regs->r9, &regs->r10, &regs->r11, &regs->r12, &regs->r13, &regs->r14, &regs->r15};
	return registers[number & 15];
}

static bool push(struct st_regs *regs, s32 tid, u64 value)
{
	if (!st_write_user(tid, regs->sp - 8, &value, 8))
		return false;
	regs->sp -= 8;
	return true;
}

static s32 immediate32(const u8 *at)
{
	s32 value;
	memcpy(&value, at, sizeof value);
	return value;
}

/* sub $imm, %rsp */
static void subtract_sp(struct st_regs *regs, s64 imm)
{
	enum { CF = 1, PF = 4, AF = 16, ZF = 64, SF = 128, OF = 2048 };
	u64 a = regs->sp, b = (u64)imm, r = a - b;
	u64 flags = regs->flags & ~(u64)(CF | PF | AF | ZF | SF | OF);
	flags |= a < b ? CF : 0;
	flags |= __builtin_parity((u8)r) ? 0 : PF;
	flags |= (a ^ b ^ r) & 16 ? AF : 0;
	flags |= r ? 0 : ZF;
	flags |= r >> 63 ? SF : 0;
	flags |= ((a ^ b) & (a ^ r)) >> 63 ? OF : 0;
	regs->sp = r;
	regs->flags = flags;
}

/* What functions usually begin with.  False: not done, and nothing changed. */
static bool emulate(const u8 *code, struct st_regs *regs, s32 tid)
{
	if (!memcmp(code, "\xf3\x0f\x1e\xfa", 4)) { /* endbr64 */
		regs->ip += 4;
		return true;
	}
	if (code[0] == 0x90) { /* nop */
		regs->ip += 1;
		return true;
	}
	if (code[0] == 0xc3) { /* ret */
		u64 to;
		if (!st_read_user(tid, &to, regs->sp, 8))
			return false;
		regs->sp += 8;
		regs->ip = to;
		return true;
	}
	if (code[0] == 0xeb) { /* jmp rel8 */
		regs->ip += 2 + (u64)(s64)(s8)code[1];
		return true;
	}
	if (code[0] == 0xe9) { /* jmp rel32 */
		regs->ip += 5 + (u64)(s64)immediate32(code + 1);
		return true;
	}
	u32 rex = (code[0] & 0xf0) == 0x40 ? code[0] : 0;
	const u8 *op = code + (rex != 0);
	if ((*op & 0xf8) == 0x50 && !(rex & 0xe)) { /* push reg */
		if (!push(regs, tid, *register_of(regs, (*op & 7) | (rex & 1) << 3)))
			return false;
		regs->ip += (u64)(op + 1 - code);
		return true;
	}
	if (rex == 0x48 && op[0] == 0x83 && op[1] == 0xec) { /* sub $imm8, %rsp */
		subtract_sp(regs, (s8)op[2]);
		regs->ip += 4;
		return true;
	}
	if (rex == 0x48 && op[0] == 0x81 && op[1] == 0xec) { /* sub $imm32, %rsp */
		subtract_sp(regs, immediate32(op + 2));
		regs->ip += 7;
		return true;
	}
	if ((rex & 8) && op[0] == 0x89 && op[1] >= 0xc0) { /* mov reg, reg */
		*register_of(regs, (op[1] & 7) | (rex & 1) << 3) = *register_of(regs, (op[1] >> 3 & 7) | (rex & 4) << 1);
		regs->ip += 3;
		return true;
	}
	if (!rex && (*op & 0xf8) == 0xb8) { /* mov $imm32, reg32 */
		*register_of(regs, *op & 7) = (u32)immediate32(op + 1);
		regs->ip += 5;
		return true;
	}
	return false;
}

static bool has_modrm(u32 op)
{
	if (op < 0x40)
		return (op & 7) < 4;
	return op == 0x63 || op == 0x69 || op == 0x6b || (op >= 0x80 && op <= 0x8f) || op == 0xc0 || op == 0xc1 || op == 0xc6 || op == 0xc7 ||
	       (op >= 0xd0 && op <= 0xd3) || (op >= 0xd8 && op <= 0xdf) || op == 0xf6 || op == 0xf7 || op == 0xfe || op == 0xff;
}

/* After 0x0f. */
static bool has_modrm_0f(u32 op)
{
	return !((op >= 0x05 && op <= 0x0b) || op == 0x0e || (op >= 0x30 && op <= 0x37) || op == 0x77 || (op >= 0x80 && op <= 0x8f) ||
		 (op >= 0xa0 && op <= 0xa2) || (op >= 0xa8 && op <= 0xaa) || (op >= 0xc8 && op <= 0xcf));
}

/* Bytes of the immediate of an instruction with a ModRM byte. `map` is 1 for one-byte opcodes, 2 after 0f, 3 after 0f 38, 4 after 0f 3a. */
static u32 immediate_size(u32 map, u32 op, u32 modrm, bool word)
{
	u32 whole = word ? 2 : 4;
	if (map == 4)
		return 1;
	if (map == 2)
		return (op >= 0x70 && op <= 0x73) || op == 0xa4 || op == 0xac || op == 0xba || op == 0xc2 || (op >= 0xc4 && op <= 0xc6);
	if (map != 1)
		return 0;
	switch (op) {
	case 0x80: case 0x82: case 0x83: case 0xc0: case 0xc1: case 0xc6: case 0x6b:
		return 1;
	case 0x69: case 0x81: case 0xc7:
		return whole;
	case 0xf6:
		return (modrm >> 3 & 7) < 2;
	case 0xf7:
		return (modrm >> 3 & 7) < 2 ? whole : 0;
	}
	return 0;
}

enum st_stepping st_step_start(struct st_step *step, const u8 *code, struct st_regs *regs, s32 tid, u8 *out)
{
	*step = (struct st_step){.address = step->address, .slot = step->slot};
	if (emulate(code, regs, tid))
		return ST_STEPPED;
	memcpy(out, code, ST_CODE);

	u32 at = 0, map = 1, vvvv = 16;
	bool word = false;
	u8 *base = 0, base_off = 0, base_mask = 0; /* the bit that extends the base register, and its value when it does not */
	for (; at < 14; at++) {
		u8 c = code[at];
		if (c == 0x66)
			word = true;
		else if (c == 0xf2 || c == 0xf3)
			step->repeats = true;
		else if (c != 0x2e && c != 0x36 && c != 0x3e && c != 0x26 && c != 0x64 && c != 0x65 && c != 0x67 && c != 0xf0)
			break;
	}
	if ((code[at] & 0xf0) == 0x40) {
		base = out + at, base_mask = 1;
		word &= !(code[at] & 8);
		at++;
	}
	u32 op = code[at++];
	bool modrm_follows;
	if (op == 0xc5) {
		vvvv = ~code[at++] >> 3 & 15;
		op = code[at++], map = 2, modrm_follows = op != 0x77;
	} else if (op == 0xc4 || op == 0x62) {
		base = out + at, base_mask = base_off = 0x20;
		map = 1 + (code[at++] & 7);
		vvvv = ~code[at++] >> 3 & 15;
		at += op == 0x62;
		op = code[at++], modrm_follows = !(map == 2 && op == 0x77);
	} else if (op == 0x0f) {
		op = code[at++], map = 2;
		if (op == 0x38 || op == 0x3a) {
			map = op == 0x38 ? 3 : 4;
			op = code[at++], modrm_follows = true;
		} else {
			modrm_follows = has_modrm_0f(op);
		}
	} else if (op == 0xd5 || op == 0xcc) { /* the prefix of registers that struct pt_regs lacks; a breakpoint */
		return ST_NOT_STEPPABLE;
	} else {
		modrm_follows = has_modrm(op);
	}

	u32 modrm = modrm_follows ? code[at] : 0, extension = modrm >> 3 & 7;
	if (map == 1) {
		step->pushes_flags = op == 0x9c;
		step->pushes_next = op == 0xe8 || (op == 0xff && (extension == 2 || extension == 3));
		step->absolute = op == 0xc2 || op == 0xc3 || op == 0xca || op == 0xcb || op == 0xcf || (op == 0xff && extension >= 2 && extension <= 5);
	}
	if (modrm_follows && (modrm & 0xc7) == 5) {
		/* Memory relative to the program counter: to a register that holds what that would be.  No instruction with a ModRM
		 * byte means si, di or bx implicitly together with memory, but for one that means bx. */
		static const u8 lendable[] = {6, 7, 3};
		u32 i = 0;
		while (lendable[i] == extension || lendable[i] == (vvvv & 7))
			i++;
		u64 *lent = register_of(regs, lendable[i]);
		step->scratch = lendable[i] + 1;
		step->scratch_value = *lent;
		*lent = step->address + at + 5 + immediate_size(map, op, modrm, word);
		out[at] = (u8)((modrm & 0x38) | 0x80 | lendable[i]);
		if (base)
			*base = (u8)((*base & ~base_mask) | base_off);
	}
	return ST_IN_SLOT;
}

void st_step_finish(const struct st_step *step, struct st_regs *regs, s32 tid)
{
	u64 moved = step->address - step->slot, pushed;
	bool executed = regs->ip != step->slot; /* or it faulted */
	if (step->scratch)
		*register_of(regs, step->scratch - 1u) = step->scratch_value;
	if (!step->absolute || !executed)
		regs->ip += moved;
	if (step->pushes_next && executed && st_read_user(tid, &pushed, regs->sp, 8)) {
		pushed += moved;
		st_write_user(tid, regs->sp, &pushed, 8);
	}
	if (step->pushes_flags && executed && st_read_user(tid, &pushed, regs->sp, 8)) {
		pushed &= ~0x100ull; /* the trap flag of the single step */
		st_write_user(tid, regs->sp, &pushed, 8);
	}
}

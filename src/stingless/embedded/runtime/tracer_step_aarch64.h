/* Stepping over one arm64 instruction away from its place. */
#pragma once
#include "tracer.h"

bool st_get_return(const struct st_regs *regs, s32 tid, u64 *address)
{
	(void)tid;
	*address = regs->regs[30];
	return true;
}

bool st_set_return(struct st_regs *regs, s32 tid, u64 address)
{
	(void)tid;
	regs->regs[30] = address;
	return true;
}

u64 st_returned_sp(u64 sp) { return sp; }

/* In the link register still, or in the frame, where the function has put it. */
void st_restore_return(struct st_regs *regs, s32 tid, u64 sp, u64 bottom, u64 from, u64 to)
{
	if (bottom == regs->sp && regs->regs[30] == from)
		regs->regs[30] = to;
	for (u64 at = bottom & ~7ull; at < sp; at += 8) {
		u64 found;
		if (!st_read_user(tid, &found, at, sizeof found))
			return;
		if (found == from)
			st_write_user(tid, at, &to, sizeof to);
	}
}

static s64 signed_bits(u32 insn, u32 low, u32 count) { return (s64)((u64)insn << (64 - low - count)) >> (64 - count); }

static u64 value_of(const struct st_regs *regs, u32 number) { return number == 31 ? 0 : regs->regs[number]; }

static void assign(struct st_regs *regs, u32 number, u64 value)
{
	if (number != 31)
		regs->regs[number] = value;
}

static bool holds(u32 condition, u64 pstate)
{
	bool n = pstate >> 31 & 1, z = pstate >> 30 & 1, c = pstate >> 29 & 1, v = pstate >> 28 & 1, result = true;
	switch (condition >> 1) {
	case 0: result = z; break;
	case 1: result = c; break;
	case 2: result = n; break;
	case 3: result = v; break;
	case 4: result = c && !z; break;
	case 5: result = n == v; break;
	case 6: result = n == v && !z; break;
	case 7: return true;
	}
	return result != (condition & 1);
}

/* What is relative to the program counter, or sets it. */
static bool emulate(u32 insn, struct st_regs *regs, s32 tid)
{
	u64 pc = regs->pc, next = pc + 4;
	u32 rt = insn & 31, rn = insn >> 5 & 31;
	bool taken;
	if (insn == 0xd503201f || (insn & 0xffffff3f) == 0xd503241f) { /* nop, bti */
		regs->pc = next;
	} else if ((insn & 0x7c000000) == 0x14000000) { /* b, bl */
		if (insn >> 31)
			regs->regs[30] = next;
		regs->pc = pc + (u64)(signed_bits(insn, 0, 26) * 4);
	} else if ((insn & 0xff000000) == 0x54000000) { /* b.cond, bc.cond */
		regs->pc = holds(insn & 15, regs->pstate) ? pc + (u64)(signed_bits(insn, 5, 19) * 4) : next;
	} else if ((insn & 0x7e000000) == 0x34000000) { /* cbz, cbnz */
		u64 value = value_of(regs, rt);
		taken = (insn >> 31 ? value == 0 : (u32)value == 0) != (insn >> 24 & 1);
		regs->pc = taken ? pc + (u64)(signed_bits(insn, 5, 19) * 4) : next;
	} else if ((insn & 0x7e000000) == 0x36000000) { /* tbz, tbnz */
		u32 bit = (insn >> 31) << 5 | (insn >> 19 & 31);
		taken = (value_of(regs, rt) >> bit & 1) == (insn >> 24 & 1);
		regs->pc = taken ? pc + (u64)(signed_bits(insn, 5, 14) * 4) : next;
	} else if ((insn & 0x1f000000) == 0x10000000) { /* adr, adrp */
		s64 offset = (s64)((u64)signed_bits(insn, 5, 19) << 2 | (insn >> 29 & 3));
		assign(regs, rt, insn >> 31 ? (pc & ~0xfffull) + ((u64)offset << 12) : pc + (u64)offset);
		regs->pc = next;
	} else if ((insn & 0x3f000000) == 0x18000000) { /* ldr literal, ldrsw, prfm */
		u64 from = pc + (u64)(signed_bits(insn, 5, 19) * 4), value = 0;
		u32 kind = insn >> 30;
		if (kind != 3) {
			if (!st_read_user(tid, &value, from, kind == 1 ? 8 : 4))
				return false;
			assign(regs, rt, kind == 2 ? (u64)(s64)(s32)value : value);
		}
		regs->pc = next;
	} else if ((insn & 0xff9ffc1f) == 0xd61f0000 && (insn >> 21 & 3) != 3) { /* br, blr, ret */
		u64 to = value_of(regs, rn);
		if ((insn >> 21 & 3) == 1)
			regs->regs[30] = next;
		regs->pc = to;
	} else {
		return false;
	}
	return true;
}

enum st_stepping st_step_start(struct st_step *step, const u8 *code, struct st_regs *regs, s32 tid, u8 *out)
{
	u32 insn;
	memcpy(&insn, code, sizeof insn);
	*step = (struct st_step){.address = step->address, .slot = step->slot};
	if (emulate(insn, regs, tid))
		return ST_STEPPED;
	if ((insn & 0x3b000000) == 0x18000000) /* a literal, to a vector register or unreadable */
		return ST_NOT_STEPPABLE;
	step->absolute = (insn & 0xfe000000) == 0xd6000000; /* branches with pointer authentication */
	step->pushes_next = step->absolute && (insn >> 21 & 3) == 1;
	memcpy(out, code, ST_CODE);
	return ST_IN_SLOT;
}

void st_step_finish(const struct st_step *step, struct st_regs *regs, s32 tid)
{
	(void)tid;
	bool executed = regs->pc != step->slot; /* or it faulted */
	if (!step->absolute || !executed)
		regs->pc += step->address - step->slot;
	if (step->pushes_next && executed)
		regs->regs[30] = step->address + 4;
}

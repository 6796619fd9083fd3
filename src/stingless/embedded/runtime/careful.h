/* Runs that are watched: every access checked, every instruction recorded.  Several times slower than the interpreter. */
#pragma once
#include "interp.h"

/* Before an instruction. */
struct st_step {
	const struct st_prog *prog; /* another than the first after a tail call */
	u32 insn, depth;            /* depth: how many functions are on the stack below this one */
	u64 registers[11];
};

struct st_careful {
	u64 budget;            /* instructions of a run */
	u32 checked;           /* else accesses are not checked, and the rest of this is for records */
	u32 helper_count;
	const st_helper *helpers; /* by number, instead of the table of all; 0: that table */
	void *memory;          /* of a raw program, given in R1; R2 has its size */
	u64 memory_size;
	struct st_step *records; /* 0: none are made */
	u64 room;
	u64 made;              /* out; those beyond the room are lost */
	/* out, of the last run that had a fault */
	const struct st_prog *fault_prog;
	u64 fault_address;
	u32 fault_insn;
};

u64 st_interpret_carefully(struct st_env *env, const struct st_insn *insn, u64 r1, u64 r2, u64 r3, u64 r4, u64 r5);
/* The run of env->prog.  What a fault was is told in *env->careful too. */
u64 st_run_carefully(struct st_env *env, void *ctx);

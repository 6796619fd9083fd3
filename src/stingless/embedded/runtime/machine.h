/* What machine code made of programs calls, besides helpers. */
#pragma once
#include "runtime.h"

/* A function of a program as helpers get it: the address of its first instruction, or of its machine code with this bit. */
#define ST_MACHINE 1ull
#define ST_MAY_GOTO (8u << 20) /* times that a frame goes round before its may_goto is taken */

ST_EXPORT void st_prog_set_machine(struct st_prog *prog, st_machine machine);
/* Has `hot` called once for each program that the interpreter has run ST_HOT times, on the thread that ran it. */
#define ST_HOT 200
ST_EXPORT void st_when_hot(void (*hot)(struct st_prog *prog));
void st_ran(struct st_prog *prog);
ST_EXPORT u32 st_map_descriptor_size(void);
/* The address of a helper, or 0. */
ST_EXPORT u64 st_helper_address(u32 number);
/* True when the call was made: *r0 is then what the called program returned. */
ST_EXPORT u32 st_tail_call(struct st_env *env, u64 ctx, u64 map, u64 index, u64 *r0);
ST_EXPORT u32 st_legacy_load(const struct st_env *env, s64 offset, u32 size, u64 *value);
ST_EXPORT u64 st_probe_load(const struct st_env *env, u64 address, u32 size);
/* From `insn` to the exit of its function. */
u64 st_interpret(struct st_env *env, const struct st_insn *insn, u64 r1, u64 r2, u64 r3, u64 r4, u64 r5);

/* What helpers need of the interpreter. */
#pragma once
#include "runtime.h"

/* Runs the callback that an LD_IMM64 gave as `function`, in a frame of its own.  Returns its R0. */
ST_EXPORT u64 st_callback(struct st_env *env, u64 function, u64 a, u64 b, u64 c, u64 d, u64 e);

/* Runs the function of a program by itself, as an execution of its own, unless `may_start(state)` says no once it holds
 * the slot of its CPU. */
u64 st_run_function(const struct st_prog *prog, struct st_env *env, u64 function, u64 a, u64 b, u64 c,
		    bool (*may_start)(void *), void *state);

typedef u64 (*st_helper)(struct st_env *env, u64 a, u64 b, u64 c, u64 d, u64 e);
#define ST_HELPERS 256
extern const st_helper st_helpers[ST_HELPERS];

/* Legacy packet loads: false when the bytes are not in the packet. */
bool st_packet_load(const struct st_env *env, s64 offset, u32 size, u64 *value);

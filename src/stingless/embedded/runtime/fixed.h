/* What is set and not the machine's, so that the same inputs give the same outputs.  Mirrored in _sys/runtime_fixed.py. */
#pragma once
#include "runtime.h"

struct st_fixed {
	u64 time, step; /* ns: what the clocks tell next, and how much later each reading is */
	u64 random;     /* the state of the generator */
	s32 cpu;        /* -1: where it runs */
	u8 has_time, has_random, has_task;
	struct st_task task; /* of runs that are for no traced task */
};

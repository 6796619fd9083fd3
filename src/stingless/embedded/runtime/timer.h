/* Timers in map values: what maps and the ends of programs need of them. */
#pragma once
#include "runtime.h"

/* The value that holds this struct bpf_timer goes away. */
void st_timer_release(void *field);
/* Ends the timers whose callback is of this program, and waits for one that runs. */
ST_EXPORT void st_timers_forget(const struct st_prog *prog);

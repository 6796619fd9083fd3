/* The ptrace event source: stepping over a probed instruction; see tracer_step_ARCH.h. */
#include "tracer.h"
#if defined(__x86_64__)
#include "tracer_step_x86_64.h"
#elif defined(__aarch64__)
#include "tracer_step_aarch64.h"
#endif

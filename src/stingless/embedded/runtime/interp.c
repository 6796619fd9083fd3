/* The interpreter: RFC 9669, with the number semantics of Linux.  One label an opcode; each jumps to the next itself. */
#include "fixed.h"
#include "interp_operations.h"

#pragma clang diagnostic ignored "-Winitializer-overrides"

#define HELPER_OF(number) (likely((number) < ST_HELPERS) ? st_helpers[number] : (st_helper)st_helper_address(number))
#define INTERPRET st_interpret
#include "interp_loop.h"

u64 st_callback(struct st_env *env, u64 function, u64 a, u64 b, u64 c, u64 d, u64 e)
{
	if (function & ST_MACHINE)
		return ((st_machine)(function - ST_MACHINE))(env, a, b, c, d, e);
	const struct st_insn *insn = (const struct st_insn *)function;
	return env->careful ? st_interpret_carefully(env, insn, a, b, c, d, e) : st_interpret(env, insn, a, b, c, d, e);
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
	if (env->fixed && env->fixed->has_task && !env->task)
		env->task = &env->fixed->task;
	env->cpu = (env->fixed && env->fixed->cpu >= 0 ? (u32)env->fixed->cpu : env->task ? env->task->cpu : (u32)sched_getcpu()) % st_cpus;
	st_acquire(&slots[env->cpu].lock);
	env->steps = 0;
	st_machine machine = env->careful ? 0 : __atomic_load_n(&prog->machine, __ATOMIC_ACQUIRE);
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
	else if (unlikely(env->careful))
		r0 = st_run_carefully(env, ctx);
	else
		r0 = st_interpret(env, prog->insns, (u64)ctx, 0, 0, 0, 0);
	finish(env);
	if (unlikely(!machine && !env->careful))
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

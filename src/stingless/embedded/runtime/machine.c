#include "machine.h"
#include "helpers.h"
#include "kfunc.h"

void st_prog_set_machine(struct st_prog *prog, st_machine machine)
{
	__atomic_store_n(&prog->machine, machine, __ATOMIC_RELEASE);
}

static void (*when_hot)(struct st_prog *prog);

void st_when_hot(void (*hot)(struct st_prog *prog))
{
	__atomic_store_n(&when_hot, hot, __ATOMIC_RELEASE);
}

/* Threads may run the program at once: exactly one of them sees the last count. */
void st_ran(struct st_prog *prog)
{
	if (__atomic_load_n(&prog->runs, __ATOMIC_RELAXED) >= ST_HOT || __atomic_add_fetch(&prog->runs, 1, __ATOMIC_RELAXED) != ST_HOT)
		return;
	void (*hot)(struct st_prog *prog) = __atomic_load_n(&when_hot, __ATOMIC_ACQUIRE);
	if (hot)
		hot(prog);
}

u32 st_map_descriptor_size(void)
{
	return sizeof(struct st_map);
}

u64 st_helper_address(u32 number)
{
	return number < ST_HELPERS ? (u64)st_helpers[number] : st_kfunc_address(number - ST_HELPERS);
}

u32 st_tail_call(struct st_env *env, u64 ctx, u64 map, u64 index, u64 *r0)
{
	const struct st_prog *prog = st_map_program((const struct st_map *)map, (u32)index);
	if (!prog || env->tail_calls >= ST_TAIL_CALLS)
		return false;
	env->tail_calls++;
	env->prog = prog;
	st_machine machine = __atomic_load_n(&prog->machine, __ATOMIC_ACQUIRE);
	*r0 = machine ? machine(env, ctx, 0, 0, 0, 0) : st_interpret(env, prog->insns, ctx, 0, 0, 0, 0);
	return true;
}

u32 st_legacy_load(const struct st_env *env, s64 offset, u32 size, u64 *value)
{
	return st_packet_load(env, offset, size, value);
}

u64 st_probe_load(const struct st_env *env, u64 address, u32 size)
{
	u64 value = 0;
	return st_copy_kernel(env, &value, address, size, false) == size ? value : 0;
}

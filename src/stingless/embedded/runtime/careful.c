#include "careful.h"
#include "helpers.h"
#include "interp_operations.h"
#include "kfunc.h"
#include "objects.h"

#pragma clang diagnostic ignored "-Winitializer-overrides"

enum { FLOW_DISSECTOR = 22, FLOW_KEYS = 144, FLOW_KEYS_SIZE = 56 };

static bool within(u64 address, u64 size, const void *base, u64 length)
{
	u64 offset = address - (u64)base;
	return offset <= length && size <= length - offset;
}

/* Does the program have this memory?  Its stack down from the running frame's top, what it was given, its packet, and what
 * maps and rings hold; nothing else may be written.  Kernel objects may be read. */
static bool has(struct st_env *env, u64 address, u64 size, bool writes)
{
	u64 scratch;
	if (within(address, size, env->stack, (u64)env->frames * ST_STACK))
		return true;
	if (within(address, size, env->careful->memory, env->careful->memory_size))
		return true;
	for (u32 i = 0; i < env->window_count; i++)
		if (within(address, size, env->windows[i].base, env->windows[i].size))
			return true;
	if (env->data && (within(address, size, env->data_meta, (u64)(env->data_end - env->data_meta)) ||
			  within(address, size, env->ctx, sizeof(struct st_packet))))
		return true;
	u64 keys; /* struct bpf_flow_keys, which the context points to */
	if (env->prog->type == FLOW_DISSECTOR && memcpy(&keys, (u8 *)env->ctx + FLOW_KEYS, sizeof(keys)) &&
	    within(address, size, (void *)keys, FLOW_KEYS_SIZE))
		return true;
	if (env->careful->helpers) /* a raw program: it has no more */
		return false;
	if (st_maps_read(&scratch, address, size, false) == size || st_object_has(address, size))
		return true;
	u8 *lowest = __builtin_frame_address(0);
	if (!writes && within(address, size, lowest, (u64)(env->stack - lowest)))
		return true; /* of a helper that calls back: a key, say */
	return !writes && st_objects_read(env->objects, &scratch, address, size, false) == size;
}

static bool may_access(struct st_env *env, u64 address, u64 size, bool writes)
{
	if (!env->careful->checked || has(env, address, size, writes))
		return true;
	env->fault = writes ? ST_FAULT_WRITE : ST_FAULT_ACCESS;
	env->fault_address = address;
	return false;
}

static bool is_function(const struct st_env *env, u64 address)
{
	const struct st_prog *prog = env->prog;
	return within(address, sizeof(struct st_insn), prog->insns, (u64)prog->count * sizeof(struct st_insn)) &&
	       (address - (u64)prog->insns) % sizeof(struct st_insn) == 0;
}

static st_helper helper_of(const struct st_careful *careful, u32 number)
{
	if (!careful->helpers)
		return (st_helper)st_helper_address(number);
	return number < careful->helper_count ? careful->helpers[number] : 0;
}

static void record(struct st_env *env, u32 insn, u32 depth, const u64 *registers)
{
	struct st_careful *careful = env->careful;
	u64 at = careful->made++;
	if (at >= careful->room)
		return;
	struct st_step *step = &careful->records[at];
	step->prog = env->prog;
	step->insn = insn;
	step->depth = depth;
	memcpy(step->registers, registers, sizeof(step->registers));
}

#define CAREFUL
#define HELPER_OF(number) helper_of(careful, number)
#define INTERPRET st_interpret_carefully
#include "interp_loop.h"

u64 st_run_carefully(struct st_env *env, void *ctx)
{
	struct st_careful *careful = env->careful;
	u64 r0 = st_interpret_carefully(env, env->prog->insns, (u64)ctx, careful->memory_size, 0, 0, 0);
	if (env->fault) {
		careful->fault_prog = env->prog;
		careful->fault_address = env->fault_address;
		careful->fault_insn = env->fault_insn;
	}
	return r0;
}

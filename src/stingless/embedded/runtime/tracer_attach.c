/* Programs at events: attached and detached from other threads than the one that traces. */
#include "tracer.h"

static bool calls_comm(const struct st_prog *program)
{
	for (u32 i = 0; i < program->count; i++)
		if (program->insns[i].opcode == 0x85 && !program->insns[i].src && program->insns[i].imm == 16) /* get_current_comm */
			return true;
	return false;
}

static u32 location_of(struct st_tracer *tracer, const struct st_attach *what)
{
	for (u32 i = 0; i < tracer->location_count; i++) {
		struct st_location *known = &tracer->locations[i];
		if (known->device == what->device && known->inode == what->inode && known->offset == what->offset) {
			if (!known->counter)
				known->counter = what->counter;
			return i;
		}
	}
	if (tracer->location_count == tracer->location_room) {
		u32 room = tracer->location_room ? tracer->location_room * 2 : 8;
		struct st_location *more = calloc(room, sizeof *more);
		if (!more)
			return ~0u;
		if (tracer->location_count)
			memcpy(more, tracer->locations, tracer->location_count * sizeof *more);
		free(tracer->locations);
		tracer->locations = more;
		tracer->location_room = room;
	}
	struct st_location *location = &tracer->locations[tracer->location_count];
	usize length = strlen(what->path) + 1;
	*location = (struct st_location){what->device, what->inode, what->offset, malloc(length), {0}, 0, what->counter};
	if (!location->path)
		return ~0u;
	memcpy(location->path, what->path, length);
	memcpy(location->code, what->code, sizeof location->code);
	return tracer->location_count++;
}

static void summarize(struct st_tracer *tracer)
{
	tracer->samples = tracer->follow_exit = tracer->uses_comm = false;
	tracer->period = 0;
	for (u32 i = 0; i < tracer->link_count; i++) {
		const struct st_link *link = &tracer->links[i];
		if (!link->used)
			continue;
		tracer->uses_comm |= link->uses_comm;
		tracer->follow_exit |= link->kind == ST_PROCESS_EXIT || link->kind == ST_RAW_PROCESS_EXIT || link->kind == ST_SIGNAL_GENERATE;
		if (link->kind == ST_SAMPLE) {
			tracer->samples = true;
			if (!tracer->period || link->period < tracer->period)
				tracer->period = link->period;
		}
	}
}

void st_wake(struct st_tracer *tracer)
{
	if (tracer->ticker > 0)
		sys6(NR_KILL, tracer->ticker, 10, 0, 0, 0, 0); /* SIGUSR1: it stops, and our wait ends */
}

s32 st_tracer_attach(struct st_tracer *tracer, const struct st_attach *what)
{
	st_acquire(&tracer->lock);
	u32 id = 0;
	while (id < tracer->link_count && tracer->links[id].used)
		id++;
	if (id == tracer->link_room) {
		u32 room = tracer->link_room ? tracer->link_room * 2 : 8;
		struct st_link *more = calloc(room, sizeof *more);
		if (!more) {
			st_release(&tracer->lock);
			return -ENOMEM;
		}
		if (tracer->link_count)
			memcpy(more, tracer->links, tracer->link_count * sizeof *more);
		free(tracer->links);
		tracer->links = more;
		tracer->link_room = room;
	}
	struct st_link link = {.used = true, .uses_comm = calls_comm(what->program), .kind = what->kind, .number = what->number,
			       .pid = what->pid, .cpu = what->cpu, .program = what->program, .period = what->period,
			       .cookie = what->cookie};
	if (what->kind == ST_UPROBE || what->kind == ST_URETPROBE) {
		link.location = location_of(tracer, what);
		if (link.location == ~0u) {
			st_release(&tracer->lock);
			return -ENOMEM;
		}
		tracer->locations[link.location].uses++;
	}
	tracer->links[id] = link;
	if (what->program->env_default->objects)
		tracer->objects = what->program->env_default->objects;
	if (id == tracer->link_count)
		tracer->link_count++;
	summarize(tracer);
	u32 ticket = ++tracer->asked;
	tracer->retune = true;
	bool running = tracer->running;
	if (running)
		st_wake(tracer);
	st_release(&tracer->lock);
	while (running) {
		u32 seen = __atomic_load_n(&tracer->tuned, __ATOMIC_ACQUIRE);
		if ((s32)(seen - ticket) >= 0 || __atomic_load_n(&tracer->ended, __ATOMIC_ACQUIRE))
			break;
		st_futex_wait(&tracer->tuned, seen);
	}
	return (s32)id;
}

void st_tracer_detach(struct st_tracer *tracer, u32 id)
{
	st_acquire(&tracer->lock);
	if (id < tracer->link_count && tracer->links[id].used) {
		struct st_link *link = &tracer->links[id];
		if (link->kind == ST_UPROBE || link->kind == ST_URETPROBE)
			tracer->locations[link->location].uses--;
		link->used = false;
		summarize(tracer);
		tracer->asked++;
		tracer->retune = true;
		if (tracer->running)
			st_wake(tracer);
	}
	st_release(&tracer->lock);
}

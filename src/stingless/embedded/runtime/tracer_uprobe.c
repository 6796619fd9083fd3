/* The ptrace event source: breakpoints in the functions of user programs, and in their returns.
 *
 * A breakpoint stays in place while its instruction is stepped over: that is emulated, or executed from a slot in the cave, so
 * that other threads miss nothing.  For a return probe the function's return address is replaced by that of a breakpoint
 * in the cave; the real one is kept on the thread's stack of pending returns. */
#include "tracer.h"

enum { PTRACE_POKETEXT = 4, PTRACE_GETSIGINFO = 0x4202, PTRACE_SETSIGINFO = 0x4203 };

struct st_space *st_space_create(s32 pid)
{
	struct st_space *space = calloc(1, sizeof *space);
	if (space)
		space->uses = 1, space->pid = pid;
	return space;
}

struct st_space *st_space_copy(const struct st_space *from, s32 pid)
{
	struct st_space *space = st_space_create(pid);
	if (!space)
		return 0;
	space->searched = from->searched;
	space->cave = from->cave;
	space->tuned = from->tuned;
	if (from->count) {
		space->breaks = calloc(from->count, sizeof *space->breaks);
		if (space->breaks) {
			memcpy(space->breaks, from->breaks, from->count * sizeof *space->breaks);
			space->count = space->room = from->count;
		}
	}
	return space;
}

void st_space_release(struct st_space *space)
{
	if (!space || --space->uses)
		return;
	free(space->breaks);
	free(space);
}

/* Text is not writable: /proc/PID/mem is, for a tracer, also while the task runs. */
bool st_write_text(s32 tid, u64 at, const void *from, usize size)
{
	int memory = st_open_memory(tid);
	if (memory < 0)
		return false;
	bool done = sys6(NR_PWRITE64, memory, (long)from, (long)size, (long)at, 0, 0) == (long)size;
	sys6(NR_CLOSE, memory, 0, 0, 0, 0, 0);
	return done;
}

/* The same for a stopped task, faster. */
static bool fill_slot(s32 tid, u64 at, const u8 *code)
{
	u64 words[ST_CODE / 8];
	memcpy(words, code, sizeof words);
	for (u32 i = 0; i < ST_CODE / 8; i++)
		if (st_ptrace(PTRACE_POKETEXT, tid, at + i * 8, words[i]) < 0)
			return false;
	return true;
}

static struct st_break *find_break(struct st_space *space, u64 address)
{
	for (u32 i = 0; i < space->count; i++)
		if (space->breaks[i].address == address)
			return &space->breaks[i];
	return 0;
}

static void insert(struct st_tracer *tracer, struct st_space *space, s32 tid, u64 address, u32 location)
{
	u8 found[ST_BREAK_SIZE];
	const u8 *code = tracer->locations[location].code;
	struct st_break *at = find_break(space, address);
	if (!st_read_user(tid, found, address, sizeof found))
		return;
	bool there = !memcmp(found, ST_BREAK, sizeof found);
	if (there ? !space->orphaned && (!at || !at->active) : memcmp(found, code, sizeof found) != 0)
		return; /* somebody else's breakpoint, or not the file's text any more */
	if (!at) {
		if (space->count == space->room) {
			u32 room = space->room ? space->room * 2 : 8;
			struct st_break *more = calloc(room, sizeof *more);
			if (!more)
				return;
			if (space->count)
				memcpy(more, space->breaks, space->count * sizeof *more);
			free(space->breaks);
			space->breaks = more;
			space->room = room;
		}
		at = &space->breaks[space->count++];
	}
	*at = (struct st_break){address, location, true, at->active ? at->counter : 0};
	if (!there && !st_write_text(tid, address, ST_BREAK, ST_BREAK_SIZE))
		at->active = false;
}

static u64 hexadecimal(const char **text)
{
	u64 value = 0;
	for (;; (*text)++) {
		char c = **text;
		if (c >= '0' && c <= '9')
			value = value * 16 + (u64)(c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value * 16 + (u64)(c - 'a' + 10);
		else
			return value;
	}
}

/* A line of /proc/PID/maps: start-end perms offset major:minor inode path */
struct mapping {
	u64 start, end, offset, device, inode;
	bool executable, private, writable;
	const char *name;
	usize name_size;
};

static const char *next_mapping(const char *text, struct mapping *m)
{
	m->start = hexadecimal(&text), text++;
	m->end = hexadecimal(&text), text++;
	m->writable = text[1] == 'w', m->executable = text[2] == 'x', m->private = text[3] == 'p', text += 5;
	m->offset = hexadecimal(&text), text++;
	u64 major = hexadecimal(&text);
	text++;
	u64 minor = hexadecimal(&text);
	text++;
	/* dev_t as user space has it */
	m->device = (major & 0xfff) << 8 | (major & ~0xfffull) << 32 | (minor & 0xff) | (minor & ~0xffull) << 12;
	m->inode = 0;
	while (*text >= '0' && *text <= '9')
		m->inode = m->inode * 10 + (u64)(*text++ - '0');
	while (*text == ' ')
		text++;
	m->name = text;
	while (*text && *text != '\n')
		text++;
	m->name_size = (usize)(text - m->name);
	return *text ? text + 1 : text;
}

/* The last bytes of an executable mapping, when they are zero and so belong to nothing; the vDSO's for choice. */
static void find_cave(struct st_space *space, s32 tid, const char *maps)
{
	space->searched = true;
	for (u32 any = 0; any < 2 && !space->cave; any++)
		for (const char *line = maps; *line && !space->cave;) {
			struct mapping m;
			u8 bytes[ST_CAVE];
			line = next_mapping(line, &m);
			if (!m.executable || !m.private || !(any || (m.name_size == 6 && !memcmp(m.name, "[vdso]", 6))))
				continue;
			if (!st_read_user(tid, bytes, m.end - ST_CAVE, ST_CAVE))
				continue;
			u32 used = 0;
			for (u32 i = 0; i < ST_CAVE; i++)
				used |= bytes[i];
			bool inherited = space->orphaned && !memcmp(bytes, ST_BREAK, ST_BREAK_SIZE);
			if (inherited || (!used && st_write_text(tid, m.end - ST_CAVE, ST_BREAK, ST_BREAK_SIZE)))
				space->cave = m.end - ST_CAVE;
		}
}

static bool same_file(const struct mapping *m, const struct st_location *location)
{
	if (m->inode != location->inode)
		return false;
	/* Some file systems show another device here than stat(2) does. */
	return m->device == location->device || (strlen(location->path) == m->name_size && !memcmp(location->path, m->name, m->name_size));
}

/* Breakpoints of static probes count in their semaphores.  A library's data is mapped after its text: what is not there
 * yet is counted at a later scan. */
static void count_in(s32 tid, struct st_break *at, const struct st_location *location, const char *maps)
{
	u64 counter = 0;
	u16 value;
	for (const char *line = maps; *line;) {
		struct mapping m;
		line = next_mapping(line, &m);
		if (!m.writable || !m.private || !same_file(&m, location) || location->counter < m.offset || location->counter - m.offset >= m.end - m.start)
			continue;
		counter = m.start + location->counter - m.offset;
		if (m.start > at->address)
			break; /* of a library that is loaded twice, the nearest after the text */
	}
	if (!counter || !st_read_user(tid, &value, counter, sizeof value))
		return;
	value++;
	if (st_write_text(tid, counter, &value, sizeof value))
		at->counter = counter;
}

static void count_out(s32 tid, struct st_break *at)
{
	u16 value;
	if (at->counter && st_read_user(tid, &value, at->counter, sizeof value) && value) {
		value--;
		st_write_text(tid, at->counter, &value, sizeof value);
	}
	at->counter = 0;
}

void st_space_scan(struct st_tracer *tracer, struct st_space *space, s32 tid)
{
	bool wanted = false;
	for (u32 i = 0; i < tracer->location_count; i++)
		wanted |= tracer->locations[i].uses != 0;
	for (u32 i = 0; i < space->count; i++) {
		struct st_break *at = &space->breaks[i];
		struct st_location *location = &tracer->locations[at->location];
		u8 found[ST_BREAK_SIZE];
		if (location->uses || !at->active)
			continue;
		at->active = false;
		count_out(tid, at);
		if (st_read_user(tid, found, at->address, sizeof found) && !memcmp(found, ST_BREAK, sizeof found))
			st_write_text(tid, at->address, location->code, ST_BREAK_SIZE);
	}
	if (!wanted)
		return;
	char *maps = st_read_maps(tid);
	if (!maps)
		return;
	if (!space->searched)
		find_cave(space, tid, maps);
	for (const char *line = maps; *line;) {
		struct mapping m;
		line = next_mapping(line, &m);
		for (u32 i = 0; m.executable && i < tracer->location_count; i++) {
			const struct st_location *location = &tracer->locations[i];
			if (location->uses && same_file(&m, location) && location->offset >= m.offset && location->offset - m.offset < m.end - m.start)
				insert(tracer, space, tid, m.start + location->offset - m.offset, i);
		}
	}
	for (u32 i = 0; i < space->count; i++) {
		struct st_break *at = &space->breaks[i];
		const struct st_location *location = &tracer->locations[at->location];
		if (at->active && !at->counter && location->counter)
			count_in(tid, at, location, maps);
	}
	free(maps);
}

bool st_space_has(const struct st_space *space, u32 location)
{
	for (u32 i = 0; i < space->count; i++)
		if (space->breaks[i].location == location && space->breaks[i].active)
			return true;
	return false;
}

void st_space_clean(struct st_tracer *tracer, struct st_space *space, s32 tid)
{
	for (u32 i = 0; i < space->count; i++) {
		struct st_break *at = &space->breaks[i];
		u8 found[ST_BREAK_SIZE];
		if (at->active)
			count_out(tid, at);
		at->active = false;
		if (st_read_user(tid, found, at->address, sizeof found) && !memcmp(found, ST_BREAK, sizeof found))
			st_write_text(tid, at->address, tracer->locations[at->location].code, ST_BREAK_SIZE);
	}
}

void st_returns_restore(struct st_thread *thread)
{
	struct st_regs regs;
	if (!thread->return_count || !thread->space || !st_get_regs(thread->tid, &regs))
		return;
	u64 bottom = st_regs_sp(&regs);
	for (u32 i = thread->return_count; i--;) {
		const struct st_return *left = &thread->returns[i];
		if (left->sp >= bottom && !left->chained)
			st_restore_return(&regs, thread->tid, left->sp, bottom, thread->space->cave, left->ip);
		bottom = left->sp;
	}
	st_set_regs(thread->tid, &regs);
	thread->return_count = 0;
}

static void fire(struct st_tracer *tracer, struct st_thread *thread, u32 kind, u32 location, struct st_regs *regs, u64 func_ip)
{
	for (u32 i = 0; i < tracer->link_count; i++) {
		struct st_link *link = &tracer->links[i];
		if (!link->used || link->kind != kind || link->location != location)
			continue;
		if (link->pid != ST_ANY && link->pid != thread->group->tgid)
			continue;
		struct st_regs copy = *regs;
		st_fire(tracer, thread, link, &copy, sizeof copy, regs, func_ip);
	}
}

/* Have the function that was just entered return to the cave. */
static void hijack(struct st_tracer *tracer, struct st_thread *thread, u32 location, struct st_regs *regs, u64 func_ip)
{
	bool wanted = false;
	u64 address, sp = st_regs_sp(regs);
	for (u32 i = 0; i < tracer->link_count; i++) {
		const struct st_link *link = &tracer->links[i];
		wanted |= link->used && link->kind == ST_URETPROBE && link->location == location &&
			  (link->pid == ST_ANY || link->pid == thread->group->tgid);
	}
	if (!wanted || !thread->space->cave || !st_get_return(regs, thread->tid, &address))
		return;
	if (!thread->returns)
		thread->returns = malloc(ST_RETURNS * sizeof *thread->returns);
	if (!thread->returns)
		return;
	/* Frames below this one were left without a return (longjmp). */
	while (thread->return_count && thread->returns[thread->return_count - 1].sp < sp)
		thread->return_count--;
	if (thread->return_count == ST_RETURNS)
		return;
	bool chained = address == thread->space->cave;
	if (chained && !thread->return_count)
		return;
	if (!chained && !st_set_return(regs, thread->tid, thread->space->cave))
		return;
	thread->returns[thread->return_count++] = (struct st_return){sp, address, func_ip, location, chained};
}

static void on_return(struct st_tracer *tracer, struct st_thread *thread, struct st_regs *regs)
{
	u64 sp = st_regs_sp(regs);
	u32 top = thread->return_count;
	/* The innermost frame that ends here; those above it were left without a return. */
	while (top && st_returned_sp(thread->returns[top - 1].sp) != sp)
		top--;
	if (!top)
		top = thread->return_count;
	u32 bottom = top ? top - 1 : 0;
	while (bottom && thread->returns[bottom].chained)
		bottom--;
	u64 *ip = st_regs_ip(regs);
	*ip = thread->returns[bottom].ip;
	thread->return_count = bottom;
	struct st_return ended[ST_RETURNS];
	memcpy(ended, thread->returns + bottom, (top - bottom) * sizeof *ended);
	for (u32 i = top - bottom; i--;)
		fire(tracer, thread, ST_URETPROBE, ended[i].location, regs, ended[i].function);
}

static void give_slot(struct st_tracer *tracer, struct st_thread *thread);

/* Step over the instruction under the breakpoint that the thread hit, and resume it. */
static void step_over(struct st_tracer *tracer, struct st_thread *thread, const u8 *code, struct st_regs *regs)
{
	struct st_space *space = thread->space;
	u8 out[ST_CODE];
	u32 slot = 0;
	while (slot < ST_SLOTS && space->busy >> slot & 1)
		slot++;
	thread->step.address = *st_regs_ip(regs);
	thread->step.slot = space->cave + (slot + 1) * ST_SLOT;
	switch (st_step_start(&thread->step, code, regs, thread->tid, out)) {
	case ST_STEPPED:
		st_set_regs(thread->tid, regs);
		break;
	case ST_IN_SLOT:
		if (slot == ST_SLOTS) {
			thread->wants_slot = true; /* it waits, stopped before the instruction */
			*st_regs_ip(regs) = thread->step.address;
			st_set_regs(thread->tid, regs);
			return;
		}
		*st_regs_ip(regs) = thread->step.slot;
		if (space->cave && fill_slot(thread->tid, thread->step.slot, out)) {
			space->busy |= 1u << slot;
			thread->stepping = true;
			st_set_regs(thread->tid, regs);
			break;
		}
		*st_regs_ip(regs) = thread->step.address;
		[[fallthrough]];
	case ST_NOT_STEPPABLE: {
		/* Nowhere to step: give the probe up rather than the program. */
		struct st_break *at = find_break(space, thread->step.address);
		if (at) {
			at->active = false;
			st_write_text(thread->tid, at->address, code, ST_BREAK_SIZE);
		}
		st_set_regs(thread->tid, regs);
	}
	}
	st_resume(tracer, thread, 0);
}

static void end_step(struct st_tracer *tracer, struct st_thread *thread)
{
	struct st_space *space = thread->space;
	space->busy &= ~(1u << ((thread->step.slot - space->cave) / ST_SLOT - 1));
	thread->stepping = false;
	give_slot(tracer, thread);
}

/* A slot is free: for a thread that waits for one. */
static void give_slot(struct st_tracer *tracer, struct st_thread *from)
{
	for (u32 i = 0; i < ST_THREADS; i++)
		for (struct st_thread *thread = tracer->threads[i]; thread; thread = thread->next) {
			struct st_regs regs;
			if (!thread->wants_slot || thread->space != from->space || thread == from)
				continue;
			struct st_break *at = find_break(thread->space, thread->step.address);
			if (!st_get_regs(thread->tid, &regs) || !at)
				continue; /* it was killed */
			thread->wants_slot = false;
			step_over(tracer, thread, tracer->locations[at->location].code, &regs);
			return;
		}
}

void st_step_forget(struct st_tracer *tracer, struct st_thread *thread)
{
	thread->wants_slot = false;
	thread->held_count = 0;
	if (thread->stepping)
		end_step(tracer, thread);
}

void st_step_abandon(struct st_tracer *tracer, struct st_thread *thread)
{
	struct st_regs regs;
	if (!thread->stepping)
		return;
	if (st_get_regs(thread->tid, &regs)) {
		st_step_finish(&thread->step, &regs, thread->tid);
		st_set_regs(thread->tid, &regs);
	}
	end_step(tracer, thread);
}

/* After a step: the signals that came meanwhile. */
static void resume_with_held(struct st_tracer *tracer, struct st_thread *thread)
{
	u32 signal = 0;
	for (u32 i = 1; i < thread->held_count; i++)
		sys6(NR_TGKILL, thread->group->tgid, thread->tid, *(s32 *)thread->held[i], 0, 0, 0);
	if (thread->held_count) {
		signal = *(u32 *)thread->held[0];
		st_ptrace(PTRACE_SETSIGINFO, thread->tid, 0, (u64)thread->held[0]);
		st_signal_deliver(tracer, thread, signal, thread->held[0]);
	}
	thread->held_count = 0;
	st_resume(tracer, thread, signal);
}

bool st_trap(struct st_tracer *tracer, struct st_thread *thread)
{
	struct st_space *space = thread->space;
	struct st_regs regs;
	if (!space->count)
		return false;
	s32 info[32] = {0}; /* siginfo_t: signal, errno, code */
	st_ptrace(PTRACE_GETSIGINFO, thread->tid, 0, (u64)info);
	if (info[2] <= 0 || !st_get_regs(thread->tid, &regs)) /* sent by a task */
		return false;
	u64 *ip = st_regs_ip(&regs), address = st_break_address(*ip);
	if (thread->stepping) {
		if (thread->step.repeats && *ip == thread->step.slot) {
			st_resume(tracer, thread, 0);
			return true;
		}
		st_step_finish(&thread->step, &regs, thread->tid);
		st_set_regs(thread->tid, &regs);
		end_step(tracer, thread);
		resume_with_held(tracer, thread);
		return true;
	}
	if (space->cave && address == space->cave && thread->return_count) {
		on_return(tracer, thread, &regs);
		st_set_regs(thread->tid, &regs);
		st_resume(tracer, thread, 0);
		return true;
	}
	struct st_break *at = find_break(space, address);
	if (!at)
		return false;
	*ip = address;
	if (!at->active) { /* removed between the trap and now */
		st_set_regs(thread->tid, &regs);
		st_resume(tracer, thread, 0);
		return true;
	}
	u32 location = at->location;
	fire(tracer, thread, ST_UPROBE, location, &regs, address);
	hijack(tracer, thread, location, &regs, address);
	step_over(tracer, thread, tracer->locations[location].code, &regs);
	return true;
}

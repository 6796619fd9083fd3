/* The ptrace event source: system calls. */
#include "tracer.h"

static bool is_entry(u32 kind)
{
	return kind == ST_KPROBE || kind == ST_KPROBE_DIRECT || kind == ST_SYS_ENTER || kind == ST_SYSCALLS_ENTER || kind == ST_RAW_ENTER;
}

static bool is_exit_event(u32 kind) { return kind == ST_SYS_EXIT || kind == ST_SYSCALLS_EXIT || kind == ST_RAW_EXIT; }

static bool is_call(u32 kind) { return is_entry(kind) || kind == ST_KRETPROBE || is_exit_event(kind); }

static bool concerns(const struct st_link *link, u32 nr)
{
	return link->used && (link->number == ST_ANY || (u32)link->number == nr);
}

/* The seccomp filter */

struct filter {
	u16 code;
	u8 jt, jf;
	u32 k;
};

enum {
	LD_ABS = 0x20, JEQ = 0x15, JGE = 0x35, JSET = 0x45, RET = 0x06,
	RET_ALLOW = 0x7fff0000, RET_TRACE = 0x7ff00000,
	DATA_NR = 0, DATA_ARCH = 4, DATA_ARGS = 16,
	PROT_WRITE = 2, PROT_EXEC = 4, MAP_ANONYMOUS = 32, PR_SET_NAME = 15,
};

u32 st_filter(struct st_tracer *tracer, void *instructions)
{
	struct filter *f = instructions;
	u32 n = 0;
	bool uprobes = false, counters = false;
	memset(tracer->filter, 0, sizeof tracer->filter);
	for (u32 i = 0; i < tracer->link_count; i++) {
		const struct st_link *link = &tracer->links[i];
		if (!link->used)
			continue;
		if (link->kind == ST_UPROBE || link->kind == ST_URETPROBE) {
			uprobes = true;
			counters |= tracer->locations[link->location].counter != 0;
		}
		if (!is_call(link->kind))
			continue;
		if (link->number == ST_ANY)
			tracer->filter_all = true;
		else if (link->number < 1024)
			tracer->filter[link->number / 64] |= 1ull << link->number % 64;
	}
	if (st_signals_wanted(tracer)) {
		static const u32 senders[] = {NR_KILL, NR_TKILL, NR_TGKILL, NR_RT_SIGQUEUEINFO, NR_RT_TGSIGQUEUEINFO};
		for (u32 i = 0; i < sizeof senders / sizeof *senders; i++)
			tracer->filter[senders[i] / 64] |= 1ull << senders[i] % 64;
	}
	tracer->filter_maps = uprobes;
	tracer->filter_data = counters;
	f[n++] = (struct filter){LD_ABS, 0, 0, DATA_ARCH};
	f[n++] = (struct filter){JEQ, 1, 0, ST_AUDIT_ARCH};
	f[n++] = (struct filter){RET, 0, 0, RET_ALLOW};
	f[n++] = (struct filter){LD_ABS, 0, 0, DATA_NR};
	f[n++] = (struct filter){JGE, 0, 1, ST_FOREIGN_ABI};
	f[n++] = (struct filter){RET, 0, 0, RET_ALLOW};
	u32 head = n;
	if (tracer->filter_all) {
		f[n++] = (struct filter){RET, 0, 0, RET_TRACE};
		return n;
	}
	for (u32 nr = 0; nr < 1024; nr++)
		if (tracer->filter[nr / 64] >> nr % 64 & 1) {
			f[n++] = (struct filter){JEQ, 0, 1, nr};
			f[n++] = (struct filter){RET, 0, 0, RET_TRACE};
		}
	if (uprobes) { /* a file may be mapped for execution */
		f[n++] = (struct filter){JEQ, 0, counters ? 7 : 3, NR_MMAP};
		f[n++] = (struct filter){LD_ABS, 0, 0, DATA_ARGS + 8 * 2};
		f[n++] = (struct filter){JSET, 0, 1, PROT_EXEC};
		f[n++] = (struct filter){RET, 0, 0, RET_TRACE};
		if (counters) { /* or a file with a semaphore in its data */
			f[n++] = (struct filter){JSET, 0, 3, PROT_WRITE};
			f[n++] = (struct filter){LD_ABS, 0, 0, DATA_ARGS + 8 * 3};
			f[n++] = (struct filter){JSET, 1, 0, MAP_ANONYMOUS};
			f[n++] = (struct filter){RET, 0, 0, RET_TRACE};
		}
		f[n++] = (struct filter){LD_ABS, 0, 0, DATA_NR};
	}
	if (tracer->uses_comm) { /* the task renames itself */
		f[n++] = (struct filter){JEQ, 0, 3, NR_PRCTL};
		f[n++] = (struct filter){LD_ABS, 0, 0, DATA_ARGS};
		f[n++] = (struct filter){JEQ, 0, 1, PR_SET_NAME};
		f[n++] = (struct filter){RET, 0, 0, RET_TRACE};
	}
	if (n == head)
		return 0;
	f[n++] = (struct filter){RET, 0, 0, RET_ALLOW};
	return n;
}

static bool in_filter(const struct st_tracer *tracer, u32 nr)
{
	return tracer->filter_all || (nr < 1024 && tracer->filter[nr / 64] >> nr % 64 & 1);
}

/* Whether all processes that it is for have it: then none needs to be watched for the files that it maps. */
static bool is_everywhere(const struct st_tracer *tracer, const struct st_link *link)
{
	for (u32 i = 0; i < ST_THREADS; i++)
		for (const struct st_thread *thread = tracer->threads[i]; thread; thread = thread->next)
			if (thread->space && thread->group && (link->pid == ST_ANY || link->pid == thread->group->tgid) &&
			    !st_space_has(thread->space, link->location))
				return false;
	return tracer->running;
}

/* Whether something is attached that the filter does not see. */
bool st_calls_wanted(struct st_tracer *tracer)
{
	if (st_signals_wanted(tracer) && !in_filter(tracer, NR_KILL))
		return true;
	for (u32 i = 0; i < tracer->link_count; i++) {
		const struct st_link *link = &tracer->links[i];
		if (!link->used)
			continue;
		if (is_call(link->kind) && (link->number == ST_ANY ? !tracer->filter_all : !in_filter(tracer, (u32)link->number)))
			return true;
		if ((link->kind == ST_UPROBE || link->kind == ST_URETPROBE) && !tracer->filter_all &&
		    (!tracer->filter_maps || (tracer->locations[link->location].counter && !tracer->filter_data)) && !is_everywhere(tracer, link))
			return true;
	}
	return false;
}

/* The records */

struct common {
	u16 type;
	u8 flags, preempt_count;
	s32 pid;
};

struct enter_record {
	struct common common;
	s64 number; /* 32 bits with padding in syscalls:*, 64 in raw_syscalls:* */
	u64 arguments[6];
};

struct exit_record {
	struct common common;
	s64 number;
	s64 result;
};

static void fire_entry(struct st_tracer *tracer, struct st_thread *thread, const struct st_link *link, struct st_regs *regs)
{
	u32 nr = (u32)thread->number;
	if (link->kind == ST_KPROBE || link->kind == ST_KPROBE_DIRECT) {
		struct st_regs call;
		u64 inner = (u64)regs;
		memset(&call, 0, sizeof call);
		if (link->kind == ST_KPROBE)
			st_regs_call(&call, &inner, 1);
		else
			st_regs_call(&call, thread->arguments, 6);
		st_fire(tracer, thread, link, &call, sizeof call, regs, 0);
	} else if (link->kind == ST_RAW_ENTER) {
		u64 record[2] = {(u64)regs, nr};
		st_fire(tracer, thread, link, record, sizeof record, regs, 0);
	} else {
		struct enter_record record = {{.pid = thread->tid}, nr, {0}};
		memcpy(record.arguments, thread->arguments, sizeof record.arguments);
		st_fire(tracer, thread, link, &record, sizeof record, regs, 0);
	}
}

static void fire_exit(struct st_tracer *tracer, struct st_thread *thread, const struct st_link *link, struct st_regs *regs)
{
	s64 result = (s64)st_regs_return(regs);
	if (link->kind == ST_KRETPROBE) {
		struct st_regs copy = *regs;
		st_fire(tracer, thread, link, &copy, sizeof copy, regs, 0);
	} else if (link->kind == ST_RAW_EXIT) {
		u64 record[2] = {(u64)regs, (u64)result};
		st_fire(tracer, thread, link, record, sizeof record, regs, 0);
	} else {
		struct exit_record record = {{.pid = thread->tid}, (u32)thread->number, result};
		st_fire(tracer, thread, link, &record, sizeof record, regs, 0);
	}
}

static bool has_counters(const struct st_tracer *tracer)
{
	for (u32 i = 0; i < tracer->location_count; i++)
		if (tracer->locations[i].uses && tracer->locations[i].counter)
			return true;
	return false;
}

void st_call_entry(struct st_tracer *tracer, struct st_thread *thread, bool by_filter)
{
	struct st_regs regs;
	thread->exit_wanted = thread->scan_wanted = false;
	if (!st_get_regs(thread->tid, &regs) || !st_regs_native(&regs))
		return;
	u32 nr = st_regs_nr(&regs);
	if (nr >= ST_FOREIGN_ABI)
		return;
	/* Between fork and execve(2) the child is still us: only its execve is the command's. */
	if (!tracer->main_started && nr != NR_EXECVE)
		return;
	st_regs_at_entry(&regs, nr);
	thread->number = (s32)nr;
	st_regs_arguments(&regs, thread->arguments);
	if (nr == NR_PRCTL && thread->arguments[0] == PR_SET_NAME)
		thread->task_at = 0;
	bool data = (thread->arguments[2] & PROT_WRITE) && !(thread->arguments[3] & MAP_ANONYMOUS) && has_counters(tracer);
	if (nr == NR_MMAP && ((thread->arguments[2] & PROT_EXEC) || data) && tracer->location_count)
		thread->scan_wanted = thread->exit_wanted = true;
	/* A call that the filter traps too stops twice when all calls stop; the filter's stop is the second. */
	bool ours = by_filter || !in_filter(tracer, nr);
	if (ours && st_signals_wanted(tracer))
		st_signal_call(tracer, thread);
	for (u32 i = 0; i < tracer->link_count; i++) {
		struct st_link *link = &tracer->links[i];
		if (!is_call(link->kind) || !concerns(link, nr))
			continue;
		if (!is_entry(link->kind))
			thread->exit_wanted = true;
		else if (ours)
			fire_entry(tracer, thread, link, &regs);
	}
}

void st_call_exit(struct st_tracer *tracer, struct st_thread *thread)
{
	struct st_regs regs;
	if (!thread->exit_wanted)
		return;
	thread->exit_wanted = false;
	if (thread->scan_wanted && thread->space) {
		st_space_scan(tracer, thread->space, thread->tid);
		if (tracer->follows)
			tracer->all_calls = st_calls_wanted(tracer);
	}
	thread->scan_wanted = false;
	if (!st_get_regs(thread->tid, &regs) || !tracer->main_started)
		return;
	st_regs_at_exit(&regs, (u32)thread->number, thread->arguments);
	for (u32 i = 0; i < tracer->link_count; i++) {
		struct st_link *link = &tracer->links[i];
		if ((link->kind == ST_KRETPROBE || is_exit_event(link->kind)) && concerns(link, (u32)thread->number))
			fire_exit(tracer, thread, link, &regs);
	}
}

/* A new task returns from the call that made it: the tracepoints see that, kretprobes do not. */
void st_call_child(struct st_tracer *tracer, struct st_thread *thread)
{
	struct st_regs regs;
	bool got = false;
	for (u32 i = 0; i < tracer->link_count; i++) {
		struct st_link *link = &tracer->links[i];
		if (!is_exit_event(link->kind) || !link->used)
			continue;
		if (!got && !st_get_regs(thread->tid, &regs))
			return;
		if (!got) {
			thread->number = (s32)st_regs_nr(&regs);
			st_regs_arguments(&regs, thread->arguments);
			st_regs_at_exit(&regs, (u32)thread->number, thread->arguments);
			got = true;
		}
		if (concerns(link, (u32)thread->number))
			fire_exit(tracer, thread, link, &regs);
	}
}

/* Scheduler tracepoints */

static u32 place(u8 *record, u32 *end, const char *text, usize length)
{
	u32 at = *end;
	memcpy(record + at, text, length);
	record[at + length] = 0;
	*end = at + (u32)length + 1;
	return at | (u32)(length + 1) << 16;
}

/* The arguments as the kernel passes them; a task is the address of its struct. */
static void raw_event(struct st_tracer *tracer, struct st_thread *thread, u32 kind, s32 other)
{
	struct st_objects *objects = tracer->objects;
	if (!thread->task_at)
		st_read_task(thread);
	u64 record[3] = {objects ? st_objects_current(objects, &thread->task) : 0};
	if (kind == ST_RAW_FORK)
		record[1] = objects ? st_objects_task(objects, other) : 0;
	else
		record[1] = kind == ST_RAW_EXEC ? (u32)other : thread->group->live == 1;
	for (u32 i = 0; i < tracer->link_count; i++)
		if (tracer->links[i].used && tracer->links[i].kind == kind)
			st_fire(tracer, thread, &tracer->links[i], record, sizeof record, 0, 0);
}

void st_scheduler_event(struct st_tracer *tracer, struct st_thread *thread, u32 kind, s32 other)
{
	bool wanted = false, raw = false;
	u32 raw_kind = kind == ST_EXEC ? ST_RAW_EXEC : kind == ST_FORK ? ST_RAW_FORK : ST_RAW_PROCESS_EXIT;
	for (u32 i = 0; i < tracer->link_count; i++) {
		wanted |= tracer->links[i].used && tracer->links[i].kind == kind;
		raw |= tracer->links[i].used && tracer->links[i].kind == raw_kind;
	}
	if (raw)
		raw_event(tracer, thread, raw_kind, other);
	if (!wanted)
		return;
	u8 record[4200];
	u32 end = 0;
	memset(record, 0, 64);
	*(s32 *)(record + 4) = thread->tid;
	if (kind == ST_EXEC) {
		char name[4096] = "";
		s64 got = 0;
		u64 at = st_auxv(thread->tid, 31); /* AT_EXECFN */
		/* The name is near the top of the stack: read no further than its page at a time. */
		while (got < (s64)sizeof name - 1) {
			s64 part = 4096 - (s64)((at + (u64)got) & 4095);
			part = part < (s64)sizeof name - 1 - got ? part : (s64)sizeof name - 1 - got;
			if (!at || !st_read_user(thread->tid, name + got, at + (u64)got, (usize)part))
				break;
			got += part;
			name[got] = 0;
			if (strlen(name) < (usize)got)
				break;
		}
		end = 20;
		*(u32 *)(record + 8) = place(record, &end, name, strlen(name));
		*(s32 *)(record + 12) = thread->tid;
		*(s32 *)(record + 16) = other;
	} else if (kind == ST_FORK) {
		st_read_task(thread);
		end = 24;
		*(u32 *)(record + 8) = place(record, &end, thread->task.comm, strlen(thread->task.comm));
		*(s32 *)(record + 12) = thread->tid;
		*(u32 *)(record + 16) = place(record, &end, thread->task.comm, strlen(thread->task.comm));
		*(s32 *)(record + 20) = other;
	} else {
		s32 priority = 20;
		st_read_task(thread);
		st_state(thread->tid, 0, &priority);
		memcpy(record + 8, thread->task.comm, 16);
		*(s32 *)(record + 24) = thread->tid;
		*(s32 *)(record + 28) = priority + 100; /* the kernel's own scale */
		record[32] = thread->group->live == 1;
		end = 36;
	}
	for (u32 i = 0; i < tracer->link_count; i++)
		if (tracer->links[i].used && tracer->links[i].kind == kind)
			st_fire(tracer, thread, &tracer->links[i], record, end, 0, 0);
}

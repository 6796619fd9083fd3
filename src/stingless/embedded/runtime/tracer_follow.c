/* The ptrace event source: a process that was there before us, attached to and left again. */
#include "tracer.h"

enum {
	PTRACE_DETACH = 17, PTRACE_SEIZE = 0x4206, PTRACE_INTERRUPT = 0x4207,
	PTRACE_O_TRACESYSGOOD = 1, PTRACE_O_TRACEFORK = 2, PTRACE_O_TRACEVFORK = 4, PTRACE_O_TRACECLONE = 8, PTRACE_O_TRACEEXEC = 16,
	PTRACE_O_TRACEEXIT = 64,
	SIG_BLOCK = 0, SIGCHLD = 17, ESRCH = 3, O_DIRECTORY = 0200000, O_CLOEXEC = 02000000,
};

/* Seizes the threads of /proc/PID/task that are not ours yet: how many, or -errno when there was none. */
static s32 seize_threads(struct st_tracer *tracer, s32 pid, struct st_group **group)
{
	char path[32] = "/proc/", list[2048];
	memcpy(st_append_number(path + 6, (u64)pid), "/task", 6);
	int directory = (int)sys6(NR_OPENAT, -100, (long)path, O_DIRECTORY | O_CLOEXEC, 0, 0, 0);
	if (directory < 0)
		return -ESRCH;
	s32 seized = 0, error = 0;
	s64 got;
	while ((got = sys6(NR_GETDENTS64, directory, (long)list, sizeof list, 0, 0, 0)) > 0)
		for (s64 at = 0; at < got; at += *(u16 *)(list + at + 16)) {
			s32 tid = (s32)st_proc_number(list + at + 19); /* d_name; of "." there is no number */
			if (!tid || st_find(tracer, tid))
				continue;
			long result = st_ptrace(PTRACE_SEIZE, tid, 0, tracer->options);
			if (result < 0) {
				error = (s32)result;
				continue; /* it ended, or is of a thread that we have and is ours already */
			}
			struct st_thread *thread = st_add_thread(tracer, tid);
			if (!thread || !st_join_group(thread, *group, pid)) {
				error = -ENOMEM;
				continue;
			}
			*group = thread->group;
			thread->known = thread->started = true;
			seized++;
		}
	sys6(NR_CLOSE, directory, 0, 0, 0, 0, 0);
	return seized || !error ? seized : error;
}

s32 st_tracer_follow(struct st_tracer *tracer, s32 pid)
{
	u64 all = ~(1ull << (SIGCHLD - 1));
	struct st_group *group = 0;
	tracer->own_pid = getpid();
	tracer->follows = true;
	sys6(NR_RT_SIGPROCMASK, SIG_BLOCK, (long)&all, (long)&tracer->signal_mask, 8, 0, 0);
	s32 error = st_ticker_start(tracer);
	if (error < 0)
		return error;
	/* No EXITKILL: it was there before us. */
	tracer->options = PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD |
			  PTRACE_O_TRACEEXIT;
	st_acquire(&tracer->lock);
	/* A thread that starts another while we look may have been missed in the list: again until there are no more. */
	s32 seized = seize_threads(tracer, pid, &group), more = seized;
	while (more > 0)
		more = seize_threads(tracer, pid, &group);
	if (seized <= 0) {
		st_ticker_stop(tracer);
		st_release(&tracer->lock);
		return seized ? seized : -ESRCH;
	}
	struct st_space *space = st_space_create(pid);
	for (u32 i = 0; space && i < ST_THREADS; i++)
		for (struct st_thread *thread = tracer->threads[i]; thread; thread = thread->next) {
			thread->space = space;
			space->uses++;
		}
	if (space) {
		space->uses--;
		space->tuned = tracer->asked;
	}
	tracer->main = pid;
	tracer->main_started = tracer->running = tracer->retuned = true;
	tracer->retune = false;
	tracer->reports |= 1u << ST_STARTED;
	if (space)
		st_space_scan(tracer, space, pid);
	tracer->all_calls = st_calls_wanted(tracer);
	for (u32 i = 0; tracer->all_calls && i < ST_THREADS; i++)
		for (struct st_thread *thread = tracer->threads[i]; thread; thread = thread->next)
			st_ptrace(PTRACE_INTERRUPT, thread->tid, 0, 0);
	st_release(&tracer->lock);
	return 0;
}

void st_leave(struct st_tracer *tracer)
{
	if (tracer->leaving)
		return;
	tracer->leaving = true;
	for (u32 i = 0; i < ST_THREADS; i++)
		for (struct st_thread *thread = tracer->threads[i]; thread; thread = thread->next)
			if (thread->space)
				st_space_clean(tracer, thread->space, thread->tid);
	for (u32 i = 0; i < ST_THREADS; i++)
		for (struct st_thread *thread = tracer->threads[i]; thread; thread = thread->next) {
			if (thread->wants_slot) {
				thread->wants_slot = false;
				st_let_go(tracer, thread, 0);
			} else if (st_state(thread->tid, 0, 0) == 'Z') {
				thread->gone = true; /* its group ends when the others do; it does not stop any more */
			} else if (thread->started && !thread->gone) {
				st_ptrace(PTRACE_INTERRUPT, thread->tid, 0, 0);
			}
		}
}

void st_let_go(struct st_tracer *tracer, struct st_thread *thread, u32 signal)
{
	static const u8 nothing[ST_CAVE];
	if (thread->space) {
		/* A child that was born before we cleaned its parent has a copy of what was there. */
		st_space_clean(tracer, thread->space, thread->tid);
		st_returns_restore(thread);
		if (thread->space->uses == 1 && thread->space->cave)
			st_write_text(thread->tid, thread->space->cave, nothing, ST_CAVE);
	}
	st_ptrace(PTRACE_DETACH, thread->tid, 0, signal);
	st_space_release(thread->space);
	thread->space = 0;
	thread->gone = true;
}

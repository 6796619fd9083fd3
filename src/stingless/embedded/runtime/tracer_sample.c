/* The ptrace event source: the ticker, and samples of running threads.
 *
 * The ticker is a child of the tracing thread that it traces too.  It signals itself once a period, and others may signal it:
 * either way it stops, which ends the tracer's wait without a signal handler in this process and without a race. */
#include "tracer.h"

enum {
	PTRACE_SEIZE = 0x4206, PTRACE_INTERRUPT = 0x4207, PTRACE_O_EXITKILL = 1 << 20,
	SIGUSR1 = 10, SIGKILL = 9, SIGCHLD = 17, SIG_SETMASK = 2,
	WALL = 0x40000000, WNOTHREAD = 0x20000000, CLONE_VM = 0x100, PR_SET_PDEATHSIG = 1,
	TICKER_STACK = 4096,
};

/* In our memory on its own stack: raw system calls only. */
static void ticker(void *argument)
{
	struct st_tracer *tracer = argument;
	u64 period = tracer->ticker_period, mask = ~(1ull << (SIGUSR1 - 1));
	struct {
		void *handler;
		u64 flags;
		void *restorer;
		u64 mask;
	} fresh = {0};
	sys6(NR_PRCTL, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0, 0);
	if (sys6(NR_GETPPID, 0, 0, 0, 0, 0, 0) != tracer->own_pid)
		sys6(NR_EXIT, 0, 0, 0, 0, 0, 0);
	sys6(NR_SETSID, 0, 0, 0, 0, 0, 0); /* the terminal's signals are not for it */
	/* Signals are blocked until it is traced; untraced, an early SIGUSR1 may not run a handler of this process. */
	sys6(NR_RT_SIGACTION, SIGUSR1, (long)&fresh, 0, 8, 0, 0);
	while (!__atomic_load_n(&tracer->ticker_go, __ATOMIC_ACQUIRE))
		st_futex_wait(&tracer->ticker_go, 0);
	sys6(NR_RT_SIGPROCMASK, SIG_SETMASK, (long)&mask, 0, 8, 0, 0);
	s32 self = (s32)sys6(NR_GETPID, 0, 0, 0, 0, 0, 0);
	struct timespec next;
	sys6(NR_CLOCK_GETTIME, 1, (long)&next, 0, 0, 0, 0);
	for (;;) {
		if (!period) {
			sys6(NR_PPOLL, 0, 0, 0, 0, 0, 0);
			continue;
		}
		next.tv_nsec += (s64)period;
		while (next.tv_nsec >= 1000000000)
			next.tv_nsec -= 1000000000, next.tv_sec++;
		while (sys6(NR_CLOCK_NANOSLEEP, 1, 1, (long)&next, 0, 0, 0) == -4) /* TIMER_ABSTIME, EINTR */
			;
		struct timespec now;
		sys6(NR_CLOCK_GETTIME, 1, (long)&now, 0, 0, 0, 0);
		if ((now.tv_sec - next.tv_sec) * 1000000000 + now.tv_nsec - next.tv_nsec > (s64)period)
			next = now; /* late: ticks are lost, not made up for */
		__atomic_store_n(&tracer->ticked, true, __ATOMIC_RELEASE);
		sys6(NR_KILL, self, SIGUSR1, 0, 0, 0, 0);
	}
}

static void end(s32 pid)
{
	s32 status;
	sys6(NR_KILL, pid, SIGKILL, 0, 0, 0, 0);
	while (sys6(NR_WAIT4, pid, (long)&status, WALL | WNOTHREAD, 0, 0, 0) == pid && (status & 0xff) == 0x7f)
		;
}

void st_ticker_stop(struct st_tracer *tracer)
{
	if (tracer->ticker > 0)
		end(tracer->ticker);
	tracer->ticker = 0;
	free(tracer->ticker_stack);
	tracer->ticker_stack = 0;
}

/* Also restarts it with another period; the old one stays when that fails. */
s32 st_ticker_start(struct st_tracer *tracer)
{
	if (tracer->ticker > 0 && tracer->ticker_period == tracer->period)
		return 0;
	u8 *stack = malloc(TICKER_STACK);
	if (!stack)
		return -ENOMEM;
	u64 before = tracer->ticker_period;
	tracer->ticker_period = tracer->period;
	tracer->ticker_go = 0;
	s32 pid = (s32)st_clone(CLONE_VM | SIGCHLD, stack + TICKER_STACK, ticker, tracer);
	long error = pid < 0 ? pid : st_ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_EXITKILL);
	if (error < 0) {
		if (pid > 0)
			end(pid);
		free(stack);
		tracer->ticker_period = before;
		return (s32)error;
	}
	st_ticker_stop(tracer);
	tracer->ticker = pid;
	tracer->ticker_stack = stack;
	__atomic_store_n(&tracer->ticker_go, 1, __ATOMIC_RELEASE);
	st_futex_wake(&tracer->ticker_go);
	return 0;
}

/* CPU time of a process in ns, up to now. */
static u64 cpu_time(s32 tgid)
{
	struct timespec used = {0, 0};
	sys6(NR_CLOCK_GETTIME, (long)(s32)((~(u32)tgid) << 3 | 2), (long)&used, 0, 0, 0, 0); /* its CPUCLOCK_SCHED */
	return (u64)used.tv_sec * 1000000000 + (u64)used.tv_nsec;
}

/* Stop the threads to sample: those that run, of processes that used a period of CPU time since their last samples. */
void st_tick(struct st_tracer *tracer)
{
	if (!tracer->samples || !__atomic_exchange_n(&tracer->ticked, false, __ATOMIC_ACQUIRE))
		return;
	u64 now = st_now();
	bool due = false;
	for (u32 i = 0; i < tracer->link_count; i++) {
		struct st_link *link = &tracer->links[i];
		if (!link->used || link->kind != ST_SAMPLE)
			continue;
		link->now = now + tracer->period / 2 >= link->due;
		if (link->now)
			link->due = (link->due + link->period > now ? link->due : now) + link->period;
		due |= link->now;
	}
	if (!due)
		return;
	tracer->ticks++;
	for (u32 i = 0; i < ST_THREADS; i++)
		for (struct st_thread *thread = tracer->threads[i]; thread; thread = thread->next) {
			struct st_group *group = thread->group;
			if (!group || !thread->started || !thread->known || thread->stepping || thread->wants_slot || !thread->space)
				continue;
			if (group->ticked != tracer->ticks) {
				u64 used = cpu_time(group->tgid);
				s64 most = (s64)tracer->period * (group->live ? group->live : 1);
				group->credit += (s64)(used - group->cpu_time);
				group->credit = group->credit < most ? group->credit : most;
				group->cpu_time = used;
				group->ticked = tracer->ticks;
			}
			/* Half a period: clocks and ticks do not agree to the nanosecond. */
			if (group->credit < (s64)tracer->period / 2 || st_state(thread->tid, &thread->sample_cpu, 0) != 'R')
				continue;
			group->credit -= (s64)tracer->period;
			thread->sampled = true;
			st_ptrace(PTRACE_INTERRUPT, thread->tid, 0, 0);
		}
}

void st_sample(struct st_tracer *tracer, struct st_thread *thread)
{
	/* struct bpf_perf_event_data */
	struct {
		u8 regs[ST_REGSET_SIZE];
		u64 period, address;
	} record;
	struct st_regs regs;
	thread->sampled = false;
	if (!st_get_regs(thread->tid, &regs))
		return;
	for (u32 i = 0; i < tracer->link_count; i++) {
		struct st_link *link = &tracer->links[i];
		if (!link->used || link->kind != ST_SAMPLE || !link->now)
			continue;
		if ((link->pid != ST_ANY && link->pid != thread->group->tgid) || (link->cpu != ST_ANY && (u32)link->cpu != thread->sample_cpu))
			continue;
		memcpy(record.regs, &regs, sizeof record.regs);
		record.period = link->period;
		record.address = 0;
		st_fire(tracer, thread, link, &record, sizeof record, &regs, 0);
	}
}

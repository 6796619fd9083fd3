/* The ptrace event source: starting a command, and the loop of its stops. */
#include "map.h"
#include "tracer.h"

enum {
	PTRACE_CONT = 7, PTRACE_SINGLESTEP = 9, PTRACE_SYSCALL = 24, PTRACE_SETOPTIONS = 0x4200, PTRACE_GETEVENTMSG, PTRACE_GETSIGINFO,
	PTRACE_SETSIGINFO, PTRACE_GETREGSET, PTRACE_SETREGSET, PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_LISTEN,
	PTRACE_GET_SYSCALL_INFO = 0x420e,

	PTRACE_O_TRACESYSGOOD = 1, PTRACE_O_TRACEFORK = 2, PTRACE_O_TRACEVFORK = 4, PTRACE_O_TRACECLONE = 8, PTRACE_O_TRACEEXEC = 16,
	PTRACE_O_TRACEEXIT = 64, PTRACE_O_TRACESECCOMP = 128, PTRACE_O_EXITKILL = 1 << 20,

	PTRACE_EVENT_FORK = 1, PTRACE_EVENT_VFORK, PTRACE_EVENT_CLONE, PTRACE_EVENT_EXEC, PTRACE_EVENT_EXIT = 6,
	PTRACE_EVENT_SECCOMP = 7, PTRACE_EVENT_STOP = 128,

	SIGTRAP = 5, SIGKILL = 9, SIGPIPE = 13, SIGSTOP = 19, SIGTSTP = 20, SIGTTIN = 21, SIGTTOU = 22, SIGXFSZ = 25,
	SIG_BLOCK = 0, SIG_SETMASK = 2,
	WALL = 0x40000000, WNOTHREAD = 0x20000000,
	CLONE_VM = 0x100, CLONE_VFORK = 0x4000, CLONE_THREAD = 0x10000, SIGCHLD = 17,
	PR_SET_PDEATHSIG = 1, PR_SET_NO_NEW_PRIVS = 38,
	EINTR = 4, ECHILD = 10, ESRCH = 3,
	CHILD_STACK = 16 << 10,
};

#define COMM_AGE 10000000ull /* ns: a task's name, user and group may be this old */

/* Small things */

long st_ptrace(long request, s32 tid, u64 address, u64 data) { return sys6(NR_PTRACE, request, tid, (long)address, (long)data, 0, 0); }

u64 st_now(void)
{
	struct timespec now = {0, 0};
	clock_gettime(1, &now);
	return (u64)now.tv_sec * 1000000000 + (u64)now.tv_nsec;
}

bool st_get_regs(s32 tid, struct st_regs *regs)
{
	struct iovec place = {regs, ST_REGSET_SIZE};
	return st_ptrace(PTRACE_GETREGSET, tid, 1, (u64)&place) == 0; /* NT_PRSTATUS */
}

void st_set_regs(s32 tid, struct st_regs *regs)
{
	struct iovec place = {regs, ST_REGSET_SIZE};
	st_ptrace(PTRACE_SETREGSET, tid, 1, (u64)&place);
}

bool st_read_user(s32 pid, void *to, u64 from, usize size)
{
	struct iovec local = {to, size}, remote = {(void *)from, size};
	return sys6(NR_PROCESS_VM_READV, pid, (long)&local, 1, (long)&remote, 1, 0) == (long)size;
}

bool st_write_user(s32 pid, u64 to, const void *from, usize size)
{
	struct iovec local = {(void *)from, size}, remote = {(void *)to, size};
	return sys6(NR_PROCESS_VM_WRITEV, pid, (long)&local, 1, (long)&remote, 1, 0) == (long)size;
}

/* Running programs */

void st_fire(struct st_tracer *tracer, struct st_thread *thread, const struct st_link *link, void *context, usize size,
	     const struct st_regs *regs, u64 func_ip)
{
	if (tracer->leaving)
		return;
	struct st_env env = *link->program->env_default;
	/* The verifier lets a program read to the end of the longest record: what is missing reads as zero. */
	void *room = memcpy(tracer->context, context, size);
	if (!thread->task_at || st_now() - thread->task_at > COMM_AGE)
		st_read_task(thread);
	/* Where the tracer runs: the task was stopped there or near.  Asking for its own costs more than all the rest. */
	thread->task.cpu = link->kind == ST_SAMPLE ? thread->sample_cpu : (u32)sched_getcpu();
	env.task = &thread->task;
	env.windows[0] = (struct st_window){room, ST_CONTEXT}; /* a program may read on behind a short record, as in a kernel */
	env.window_count = 1;
	if (regs)
		env.windows[env.window_count++] = (struct st_window){regs, sizeof *regs};
	env.func_ip = func_ip;
	if (link->kind == ST_UPROBE || link->kind == ST_URETPROBE || link->kind == ST_SAMPLE)
		env.user_regs = regs; /* those of system calls are a kernel's */
	env.cookie = link->cookie;
	tracer->events++;
	st_run(link->program, room, &env);
	memset(room, 0, size);
}

/* Starting */

_Static_assert(sizeof(struct st_attach) == 96, "mirrored in _sys/tracer.py");

struct filter_program {
	u16 count;
	const void *instructions;
};

/* Runs in our memory on its own stack, like a vfork child, and so makes raw system calls only: even errno is ours. */
static void command_child(void *argument)
{
	struct st_tracer *tracer = argument;
	struct action {
		void *handler;
		u64 flags;
		void *restorer;
		u64 mask;
	} action = {0};
	sys6(NR_PRCTL, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0, 0);
	if (sys6(NR_GETPPID, 0, 0, 0, 0, 0, 0) != tracer->own_pid)
		sys6(NR_EXIT, 127, 0, 0, 0, 0, 0);
	while (!__atomic_load_n(&tracer->go, __ATOMIC_ACQUIRE))
		st_futex_wait(&tracer->go, 0);
	/* No handler of ours may run here.  What Python ignores for itself (SIGPIPE, SIGXFSZ) is restored too. */
	for (long signal = 1; signal <= 64; signal++) {
		sys6(NR_RT_SIGACTION, signal, 0, (long)&action, 8, 0, 0);
		if ((u64)action.handler > 1 || signal == SIGPIPE || signal == SIGXFSZ) {
			memset(&action, 0, sizeof action);
			sys6(NR_RT_SIGACTION, signal, (long)&action, 0, 8, 0, 0);
		}
	}
	sys6(NR_PRCTL, PR_SET_PDEATHSIG, 0, 0, 0, 0, 0);
	sys6(NR_RT_SIGPROCMASK, SIG_SETMASK, (long)&tracer->signal_mask, 0, 8, 0, 0);
	struct filter_program filter = {(u16)tracer->instruction_count, tracer->instructions};
	long error = 0;
	if (filter.count) {
		error = sys6(NR_SECCOMP, 1, 0, (long)&filter, 0, 0, 0); /* SECCOMP_SET_MODE_FILTER */
		if (error == -EACCES) { /* not privileged: only without the right to gain privileges */
			sys6(NR_PRCTL, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0);
			error = sys6(NR_SECCOMP, 1, 0, (long)&filter, 0, 0, 0);
		}
	}
	if (!error)
		error = sys6(NR_EXECVE, (long)tracer->path, (long)tracer->argv, (long)tracer->environment, 0, 0, 0);
	tracer->error = (s32)-error;
	sys6(NR_EXIT, 127, 0, 0, 0, 0, 0);
}

s32 st_tracer_start(struct st_tracer *tracer, const char *path, char *const *argv, char *const *environment)
{
	/* But SIGCHLD: were it blocked here, each stop would wake another thread of this process to ignore it. */
	u64 all = ~(1ull << (SIGCHLD - 1));
	tracer->path = path;
	tracer->argv = argv;
	tracer->environment = environment;
	tracer->own_pid = getpid();
	tracer->command_stack = malloc(CHILD_STACK);
	tracer->instructions = malloc(ST_FILTER_ROOM * sizeof *tracer->instructions);
	if (!tracer->command_stack || !tracer->instructions)
		return -ENOMEM;
	/* Signals are for the other threads of this process. */
	sys6(NR_RT_SIGPROCMASK, SIG_BLOCK, (long)&all, (long)&tracer->signal_mask, 8, 0, 0);
	s32 error = st_ticker_start(tracer);
	if (error < 0)
		return error;
	s32 pid = (s32)st_clone(CLONE_VM | SIGCHLD, tracer->command_stack + CHILD_STACK, command_child, tracer);
	if (pid < 0) {
		st_ticker_stop(tracer);
		return pid;
	}
	tracer->options = PTRACE_O_EXITKILL | PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |
			  PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD;
	st_acquire(&tracer->lock);
	if (tracer->follow_exit)
		tracer->options |= PTRACE_O_TRACEEXIT;
	long seized = st_ptrace(PTRACE_SEIZE, pid, 0, tracer->options);
	struct st_thread *thread = seized < 0 ? 0 : st_add_thread(tracer, pid);
	if (!thread || !st_join_group(thread, 0, pid)) {
		st_release(&tracer->lock);
		sys6(NR_KILL, pid, SIGKILL, 0, 0, 0, 0);
		sys6(NR_WAIT4, pid, 0, WALL | WNOTHREAD, 0, 0, 0);
		st_remove_thread(tracer, pid);
		st_ticker_stop(tracer);
		return seized < 0 ? (s32)seized : -ENOMEM;
	}
	thread->known = thread->started = true;
	tracer->main = pid;
	thread->task.start_time = st_now();
	tracer->running = true;
	tracer->instruction_count = st_filter(tracer, tracer->instructions);
	tracer->retune = false;
	__atomic_store_n(&tracer->go, 1, __ATOMIC_RELEASE);
	st_futex_wake(&tracer->go);
	st_release(&tracer->lock);
	return pid;
}

/* Events */

void st_resume(struct st_tracer *tracer, struct st_thread *thread, u32 signal)
{
	if (tracer->leaving && !thread->stepping) {
		st_let_go(tracer, thread, signal);
		return;
	}
	long request = thread->stepping				    ? PTRACE_SINGLESTEP
		       : thread->exit_wanted || tracer->all_calls ? PTRACE_SYSCALL
								    : PTRACE_CONT;
	st_ptrace(request, thread->tid, 0, signal);
}

static u64 event_message(s32 tid)
{
	u64 message = 0;
	st_ptrace(PTRACE_GETEVENTMSG, tid, 0, (u64)&message);
	return message;
}

static void begin_child(struct st_tracer *tracer, struct st_thread *child)
{
	/* What was inserted into the parent after the child was copied is missing in the child. */
	if (child->space && child->space->pid == child->tid && tracer->retuned)
		st_space_scan(tracer, child->space, child->tid);
	st_call_child(tracer, child);
	st_resume(tracer, child, 0);
}

static void on_fork(struct st_tracer *tracer, struct st_thread *parent)
{
	s32 tid = (s32)event_message(parent->tid);
	struct st_regs regs;
	u64 flags = 0, arguments[6];
	if (st_get_regs(parent->tid, &regs)) {
		st_regs_arguments(&regs, arguments);
		if (st_regs_nr(&regs) == NR_CLONE)
			flags = arguments[0];
		else if (st_regs_nr(&regs) == NR_CLONE3)
			st_read_user(parent->tid, &flags, arguments[0], sizeof flags);
		else if (st_regs_nr(&regs) == (u32)NR_VFORK)
			flags = CLONE_VM | CLONE_VFORK;
	}
	struct st_thread *child = st_find(tracer, tid);
	if (!child)
		child = st_add_thread(tracer, tid);
	if (!child || child->known)
		return;
	child->known = st_join_group(child, flags & CLONE_THREAD ? parent->group : 0, tid);
	child->task.start_time = st_now();
	if (parent->space && flags & CLONE_VM) {
		child->space = parent->space;
		child->space->uses++;
	} else if (parent->space) {
		child->space = st_space_copy(parent->space, tid);
	}
	/* Functions that the parent was in return in the child too, unless that has a stack of its own. */
	if (parent->return_count && (!(flags & CLONE_VM) || flags & CLONE_VFORK)) {
		child->returns = malloc(ST_RETURNS * sizeof *child->returns);
		if (child->returns) {
			memcpy(child->returns, parent->returns, parent->return_count * sizeof *child->returns);
			child->return_count = parent->return_count;
		}
	}
	st_scheduler_event(tracer, parent, ST_FORK, tid);
	if (child->started)
		begin_child(tracer, child);
}

/* The command is out of our memory: by execve(2), or dead. */
static void forget_command(struct st_tracer *tracer)
{
	free(tracer->command_stack);
	free(tracer->instructions);
	tracer->command_stack = 0;
	tracer->instructions = 0;
}

static void on_exec(struct st_tracer *tracer, s32 pid)
{
	/* The thread that executed is now the leader; all others of its group are gone. */
	s32 former = (s32)event_message(pid);
	struct st_thread *thread = st_find(tracer, former);
	if (thread && former != pid) {
		struct st_thread *leader = st_find(tracer, pid);
		if (leader)
			thread->task.start_time = leader->task.start_time;
		st_remove_thread(tracer, pid);
		struct st_thread **at = st_slot_of(tracer, former);
		*at = thread->next;
		thread->next = 0;
		thread->tid = pid;
		*st_slot_of(tracer, pid) = thread;
	}
	if (!thread)
		thread = st_find(tracer, pid);
	if (!thread) {
		st_resume(tracer, &(struct st_thread){.tid = pid}, 0);
		return;
	}
	if (pid == tracer->main && !tracer->main_started) {
		tracer->main_started = true;
		tracer->reports |= 1u << ST_STARTED;
		forget_command(tracer);
	}
	st_step_forget(tracer, thread);
	thread->return_count = 0;
	thread->task_at = 0;
	st_space_release(thread->space);
	thread->space = st_space_create(pid);
	if (thread->space)
		st_space_scan(tracer, thread->space, pid);
	st_scheduler_event(tracer, thread, ST_EXEC, former);
	if (tracer->follows) /* its libraries come now */
		tracer->all_calls = st_calls_wanted(tracer);
	st_resume(tracer, thread, 0);
}

static void on_system_call(struct st_tracer *tracer, struct st_thread *thread)
{
	if (thread->exit_wanted && !tracer->all_calls) {
		st_call_exit(tracer, thread);
		return;
	}
	u8 info[88] = {0}; /* struct ptrace_syscall_info; its first byte is what it is */
	if (st_ptrace(PTRACE_GET_SYSCALL_INFO, thread->tid, sizeof info, (u64)info) <= 0)
		return;
	if (info[0] == 1)
		st_call_entry(tracer, thread, false);
	else if (info[0] == 2)
		st_call_exit(tracer, thread);
}

static void on_signal(struct st_tracer *tracer, struct st_thread *thread, u32 signal)
{
	if (signal == SIGTRAP && thread->space && st_trap(tracer, thread))
		return;
	if (thread->stepping && signal != 11 && signal != 7 && signal != 8 && signal != 4) {
		/* Not now: the program counter is in a slot.  Faults of the instruction itself are delivered. */
		if (thread->held_count < 4) {
			st_ptrace(PTRACE_GETSIGINFO, thread->tid, 0, (u64)thread->held[thread->held_count]);
			*(u32 *)thread->held[thread->held_count++] = signal;
		}
		st_resume(tracer, thread, 0);
		return;
	}
	st_step_abandon(tracer, thread);
	st_signal_deliver(tracer, thread, signal, 0);
	st_resume(tracer, thread, signal);
}

static void on_group_exit(struct st_tracer *tracer, s32 tid, s32 status)
{
	st_remove_thread(tracer, tid);
	if (tid != tracer->main)
		return;
	tracer->main_status = status;
	tracer->reports |= 1u << (tracer->main_started ? ST_EXITED : ST_EXEC_FAILED);
	if (!tracer->main_started)
		forget_command(tracer);
}

/* A child whose parent died before we heard of the birth will never be introduced. */
static void adopt_orphans(struct st_tracer *tracer)
{
	for (u32 i = 0; i < ST_THREADS; i++)
		for (struct st_thread *thread = tracer->threads[i]; thread; thread = thread->next) {
			if (thread->known || !thread->started)
				continue;
			st_read_task(thread);
			struct st_thread *parent = st_find(tracer, thread->task.ppid);
			struct st_thread *leader = st_find(tracer, thread->task.tgid);
			if (parent && thread->task.tgid == thread->tid)
				continue; /* another thread of it may still tell */
			bool process = !leader || leader == thread;
			thread->known = st_join_group(thread, process ? 0 : leader->group, thread->task.tgid);
			thread->space = process ? st_space_create(thread->tid) : leader->space;
			if (thread->space && process) {
				thread->space->orphaned = true;
				st_space_scan(tracer, thread->space, thread->tid);
			} else if (thread->space) {
				thread->space->uses++;
			}
			begin_child(tracer, thread);
		}
}

static void on_stop(struct st_tracer *tracer, s32 tid, s32 status)
{
	u32 event = (u32)status >> 16, signal = (u32)status >> 8 & 0xff;
	struct st_thread *thread = st_find(tracer, tid);
	tracer->stops++;
	if (event == PTRACE_EVENT_EXEC) {
		on_exec(tracer, tid);
		return;
	}
	if (!thread)
		thread = st_add_thread(tracer, tid);
	if (!thread)
		return;
	if (!thread->started) {
		thread->started = true;
		if (thread->known)
			begin_child(tracer, thread);
		return;
	}
	if (!thread->known)
		return;
	switch (event) {
	case 0:
		if (signal == (SIGTRAP | 0x80)) {
			on_system_call(tracer, thread);
			break;
		}
		on_signal(tracer, thread, signal);
		return;
	case PTRACE_EVENT_SECCOMP:
		st_call_entry(tracer, thread, true);
		break;
	case PTRACE_EVENT_FORK:
	case PTRACE_EVENT_VFORK:
	case PTRACE_EVENT_CLONE:
		on_fork(tracer, thread);
		break;
	case PTRACE_EVENT_EXIT:
		thread->task.exit_code = (s32)event_message(tid);
		st_scheduler_event(tracer, thread, ST_PROCESS_EXIT, 0);
		if (thread->group && thread->group->live == 1 && !thread->exiting)
			st_signal_exit(tracer, thread);
		if (thread->group && !thread->exiting)
			thread->group->live--;
		thread->exiting = true;
		break;
	case PTRACE_EVENT_STOP:
		if (signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU) {
			if (tracer->leaving)
				st_resume(tracer, thread, 0); /* which leaves it stopped */
			else
				st_ptrace(PTRACE_LISTEN, tid, 0, 0);
			return;
		}
		if (tracer->options & PTRACE_O_TRACEEXIT)
			st_ptrace(PTRACE_SETOPTIONS, tid, 0, tracer->options);
		if (thread->sampled)
			st_sample(tracer, thread);
		if (tracer->leaving && st_trap_pends(tid)) { /* it has hit a breakpoint: that is to be put right first */
			st_ptrace(PTRACE_CONT, tid, 0, 0);
			return;
		}
		break;
	}
	st_resume(tracer, thread, 0);
}

/* Kill all that is traced, or let it go. */
static void end_all(struct st_tracer *tracer)
{
	if (tracer->follows) {
		st_leave(tracer);
		return;
	}
	for (u32 i = 0; i < ST_THREADS; i++)
		for (struct st_thread *thread = tracer->threads[i]; thread; thread = thread->next)
			sys6(NR_KILL, thread->group ? thread->group->tgid : thread->tid, SIGKILL, 0, 0, 0, 0);
}

static void remove_gone(struct st_tracer *tracer)
{
	for (u32 i = 0; i < ST_THREADS; i++)
		for (struct st_thread *next, *thread = tracer->threads[i]; thread; thread = next) {
			next = thread->next;
			if (thread->gone)
				st_remove_thread(tracer, thread->tid);
		}
}

/* What is attached changed. */
static void retune(struct st_tracer *tracer)
{
	bool interrupt = false;
	if (tracer->leaving)
		return;
	tracer->retune = false;
	tracer->retuned = true;
	bool all_calls = st_calls_wanted(tracer);
	interrupt |= all_calls && !tracer->all_calls;
	tracer->all_calls = all_calls;
	if (tracer->follow_exit && !(tracer->options & PTRACE_O_TRACEEXIT)) {
		tracer->options |= PTRACE_O_TRACEEXIT;
		interrupt = true;
	}
	st_ticker_start(tracer);
	for (u32 i = 0; i < ST_THREADS; i++)
		for (struct st_thread *thread = tracer->threads[i]; thread; thread = thread->next) {
			if (thread->space && thread->space->tuned != tracer->asked) {
				thread->space->tuned = tracer->asked;
				st_space_scan(tracer, thread->space, thread->tid);
			}
			if (interrupt && thread->started)
				st_ptrace(PTRACE_INTERRUPT, thread->tid, 0, 0);
		}
	__atomic_store_n(&tracer->tuned, tracer->asked, __ATOMIC_RELEASE);
	st_futex_wake(&tracer->tuned);
}

static s32 take_report(struct st_tracer *tracer)
{
	for (u32 report = ST_STARTED; report <= ST_UNREAD; report++)
		if (tracer->reports >> report & 1) {
			tracer->reports &= ~(1u << report);
			return (s32)report;
		}
	return ST_DONE;
}

s32 st_tracer_run(struct st_tracer *tracer)
{
	st_acquire(&tracer->lock);
	for (;;) {
		s32 report = take_report(tracer);
		if (report != ST_DONE || !tracer->thread_count) {
			if (report == ST_DONE) {
				st_ticker_stop(tracer);
				tracer->running = false;
				__atomic_store_n(&tracer->ended, true, __ATOMIC_RELEASE);
				__atomic_fetch_add(&tracer->tuned, 1, __ATOMIC_RELEASE);
				st_futex_wake(&tracer->tuned);
			}
			st_release(&tracer->lock);
			return report;
		}
		s32 status = 0;
		st_release(&tracer->lock);
		/* Not a child of another thread of this process: those are not ours to reap. */
		s32 tid = (s32)sys6(NR_WAIT4, -1, (long)&status, WALL | WNOTHREAD, 0, 0, 0);
		st_acquire(&tracer->lock);
		if (tid == -EINTR)
			continue;
		if (tid < 0) { /* ECHILD: the process ignores SIGCHLD, and all are gone */
			for (u32 i = 0; i < ST_THREADS; i++)
				while (tracer->threads[i])
					on_group_exit(tracer, tracer->threads[i]->tid, 0);
			tracer->ticker = 0;
			continue;
		}
		bool stopped = (status & 0xff) == 0x7f;
		if (tid == tracer->ticker) {
			if (!stopped) {
				tracer->ticker = 0;
				st_ticker_start(tracer);
				continue;
			}
			if (tracer->closing) {
				end_all(tracer);
				remove_gone(tracer);
			} else if (tracer->retune && tracer->main_started)
				retune(tracer);
			if (tracer->ticker == tid) {
				st_tick(tracer);
				st_ptrace(PTRACE_CONT, tid, 0, 0);
			}
			continue;
		}
		if (!stopped) {
			on_group_exit(tracer, tid, status);
			adopt_orphans(tracer);
			continue;
		}
		on_stop(tracer, tid, status);
		if (st_objects_has_unread(tracer->objects))
			tracer->reports |= 1u << ST_UNREAD;
		if (tracer->closing) {
			end_all(tracer);
			remove_gone(tracer);
		} else if (tracer->retune && tracer->main_started)
			retune(tracer);
	}
}

struct st_tracer *st_tracer_create(void) { return calloc(1, sizeof(struct st_tracer)); }

void st_tracer_destroy(struct st_tracer *tracer)
{
	for (u32 i = 0; i < tracer->location_count; i++)
		free(tracer->locations[i].path);
	free(tracer->locations);
	free(tracer->links);
	forget_command(tracer);
	free(tracer);
}

void st_tracer_close(struct st_tracer *tracer)
{
	st_acquire(&tracer->lock);
	tracer->closing = true;
	if (tracer->running)
		st_wake(tracer);
	st_release(&tracer->lock);
}

s32 st_tracer_status(const struct st_tracer *tracer) { return tracer->main_status; }

s32 st_tracer_error(const struct st_tracer *tracer) { return tracer->error; }

void st_tracer_counts(const struct st_tracer *tracer, u64 *stops, u64 *events)
{
	*stops = tracer->stops;
	*events = tracer->events;
}

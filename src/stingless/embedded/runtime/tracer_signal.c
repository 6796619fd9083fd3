/* The ptrace event source: the tracepoints of signals.
 *
 * A signal's delivery is seen by its stop.  Its generation is derived: from the calls that send one, from the end of a child,
 * and, for faults and broken pipes, from the delivery that follows at once. */
#include "tracer.h"

enum {
	SIGILL = 4, SIGTRAP = 5, SIGBUS = 7, SIGFPE = 8, SIGSEGV = 11, SIGPIPE = 13, SIGCHLD = 17, SIGCONT = 18, SIGURG = 23,
	SIGWINCH = 28, SIGSYS = 31, SI_TKILL = -6, CLD_EXITED = 1, CLD_KILLED, CLD_DUMPED, PTRACE_GETSIGINFO = 0x4202,
	RESULT_DELIVERED = 0, RESULT_IGNORED = 1,
};

struct common {
	u16 type;
	u8 flags, preempt_count;
	s32 pid;
};

struct generate_record {
	struct common common;
	s32 sig, error, code;
	char comm[16];
	s32 pid, group, result;
};

struct deliver_record {
	struct common common;
	s32 sig, error, code, padding;
	u64 handler, flags; /* not told by ptrace(2): zero */
};

static bool wanted(const struct st_tracer *tracer, u32 kind)
{
	for (u32 i = 0; i < tracer->link_count; i++)
		if (tracer->links[i].used && tracer->links[i].kind == kind)
			return true;
	return false;
}

bool st_signals_wanted(const struct st_tracer *tracer) { return wanted(tracer, ST_SIGNAL_GENERATE); }

static void fire(struct st_tracer *tracer, struct st_thread *thread, u32 kind, void *record, usize size)
{
	for (u32 i = 0; i < tracer->link_count; i++)
		if (tracer->links[i].used && tracer->links[i].kind == kind)
			st_fire(tracer, thread, &tracer->links[i], record, size, 0, 0);
}

/* Whether the task neither catches the signal nor dies or stops of it. */
static bool ignores(s32 tid, u32 signal)
{
	char text[4096];
	if (st_read_proc(tid, "status", text, sizeof text) <= 0)
		return false;
	u64 bit = 1ull << (signal - 1);
	if (st_proc_hexadecimal(st_proc_field(text, "SigIgn:\t")) & bit)
		return true;
	bool harmless = signal == SIGCHLD || signal == SIGCONT || signal == SIGURG || signal == SIGWINCH;
	return harmless && !(st_proc_hexadecimal(st_proc_field(text, "SigCgt:\t")) & bit);
}

static void generate(struct st_tracer *tracer, struct st_thread *thread, s32 target, u32 signal, s32 code, bool group)
{
	struct generate_record record = {{.pid = thread->tid}, (s32)signal, 0, code, {0}, target, group, RESULT_DELIVERED};
	s64 got = st_read_proc(target, "comm", record.comm, sizeof record.comm);
	if (got < 0)
		return;
	for (u32 i = 0; i < sizeof record.comm; i++)
		if (record.comm[i] == '\n')
			record.comm[i] = 0;
	if (ignores(target, signal))
		record.result = RESULT_IGNORED;
	fire(tracer, thread, ST_SIGNAL_GENERATE, &record, sizeof record);
}

void st_signal_call(struct st_tracer *tracer, struct st_thread *thread)
{
	const u64 *a = thread->arguments;
	s32 target, signal, code = 0;
	u64 info = 0;
	bool group = false;
	switch (thread->number) {
	case NR_KILL: target = (s32)a[0], signal = (s32)a[1], group = true; break;
	case NR_TKILL: target = (s32)a[0], signal = (s32)a[1], code = SI_TKILL; break;
	case NR_TGKILL: target = (s32)a[1], signal = (s32)a[2], code = SI_TKILL; break;
	case NR_RT_SIGQUEUEINFO: target = (s32)a[0], signal = (s32)a[1], info = a[2], group = true; break;
	case NR_RT_TGSIGQUEUEINFO: target = (s32)a[1], signal = (s32)a[2], info = a[3]; break;
	default: return;
	}
	if (info)
		st_read_user(thread->tid, &code, info + 8, sizeof code);
	/* One's own death is no return from the call: it is told before, when the signal will be sent. */
	if (target > 0 && signal > 0 && signal <= 64 && sys6(NR_KILL, target, 0, 0, 0, 0, 0) == 0)
		generate(tracer, thread, target, (u32)signal, code, group);
}

void st_signal_exit(struct st_tracer *tracer, struct st_thread *thread)
{
	u32 status = (u32)thread->task.exit_code;
	if (!wanted(tracer, ST_SIGNAL_GENERATE))
		return;
	st_read_task(thread);
	if (thread->task.ppid)
		generate(tracer, thread, thread->task.ppid, SIGCHLD, status & 0x80 ? CLD_DUMPED : status & 0x7f ? CLD_KILLED : CLD_EXITED, true);
}

void st_signal_deliver(struct st_tracer *tracer, struct st_thread *thread, u32 signal, const void *known)
{
	s32 info[32] = {0}; /* siginfo_t: signal, errno, code */
	bool fault = signal == SIGILL || signal == SIGTRAP || signal == SIGBUS || signal == SIGFPE || signal == SIGSEGV || signal == SIGSYS;
	if (!wanted(tracer, ST_SIGNAL_DELIVER) && !wanted(tracer, ST_SIGNAL_GENERATE))
		return;
	if (known)
		memcpy(info, known, sizeof info);
	else if (st_ptrace(PTRACE_GETSIGINFO, thread->tid, 0, (u64)info) < 0)
		return;
	if ((fault && info[2] > 0) || (signal == SIGPIPE && thread->number != NR_KILL && thread->number != NR_TGKILL))
		generate(tracer, thread, thread->tid, signal, info[2], false);
	/* A tracer sees also what is ignored; that is never delivered to others. */
	if (!wanted(tracer, ST_SIGNAL_DELIVER) || ignores(thread->tid, signal))
		return;
	struct deliver_record record = {{.pid = thread->tid}, (s32)signal, info[1], info[2], 0, 0, 0};
	fire(tracer, thread, ST_SIGNAL_DELIVER, &record, sizeof record);
}

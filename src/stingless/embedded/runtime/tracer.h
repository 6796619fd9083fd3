/* The ptrace event source: a command and all its children and threads, stopped only where a program wants to know.
 *
 * One thread of the process calls st_tracer_start() and then st_tracer_run() until that returns ST_DONE: ptrace(2) belongs
 * to a thread.  All other functions may be called from any thread.  What is attached changes under `lock`, which is held
 * while programs run, so that a detached program never runs again once st_tracer_detach() has returned.
 *
 * System calls are trapped by a seccomp filter made from what is attached at the start: the others run at full speed.  A
 * program that comes later for a call that the filter lets pass makes every call stop (PTRACE_SYSCALL) until it is gone. */
#pragma once
#include "runtime.h"
#include "libc.h"
#include "objects.h"
#if defined(__x86_64__)
#include "tracer_x86_64.h"
#elif defined(__aarch64__)
#include "tracer_aarch64.h"
#else
#error "the ptrace event source has no table for this architecture"
#endif

enum st_link_kind {
	ST_KPROBE,         /* struct pt_regs of a call __ARCH_sys_X(const struct pt_regs *) */
	ST_KPROBE_DIRECT,  /* struct pt_regs of a call __do_sys_X(arguments...) */
	ST_KRETPROBE,      /* struct pt_regs with the result */
	ST_SYS_ENTER,      /* record of syscalls:sys_enter_X */
	ST_SYS_EXIT,       /* record of syscalls:sys_exit_X */
	ST_SYSCALLS_ENTER, /* record of raw_syscalls:sys_enter */
	ST_SYSCALLS_EXIT,  /* record of raw_syscalls:sys_exit */
	ST_RAW_ENTER,      /* {struct pt_regs *, long id} */
	ST_RAW_EXIT,       /* {struct pt_regs *, long ret} */
	ST_UPROBE,
	ST_URETPROBE,
	ST_SAMPLE,         /* struct bpf_perf_event_data */
	ST_EXEC,           /* record of sched:sched_process_exec */
	ST_FORK,           /* record of sched:sched_process_fork */
	ST_PROCESS_EXIT,   /* record of sched:sched_process_exit */
	ST_RAW_EXEC,       /* {struct task_struct *, pid_t former, 0} */
	ST_RAW_FORK,       /* {struct task_struct *parent, struct task_struct *child} */
	ST_RAW_PROCESS_EXIT, /* {struct task_struct *, bool group_dead} */
	ST_SIGNAL_GENERATE, /* record of signal:signal_generate */
	ST_SIGNAL_DELIVER, /* record of signal:signal_deliver */
};

#define ST_ANY -1
#define ST_CODE 16 /* as long as an instruction can be, and more */

/* What to attach.  The layout is mirrored in _sys/tracer.py. */
struct st_attach {
	const struct st_prog *program;
	u32 kind;
	s32 number;       /* of the system call, or ST_ANY */
	s32 pid;          /* uprobes and samples: of this process only; ST_ANY */
	s32 cpu;          /* samples: on this CPU only; ST_ANY */
	u64 period;       /* samples: nanoseconds */
	u64 device, inode, offset; /* uprobes: the file and the place in it; device as in st_dev */
	const char *path; /* uprobes: its real path */
	u8 code[ST_CODE]; /* uprobes: the instruction there, and what follows it */
	u64 cookie;
	u64 counter;      /* uprobes: a semaphore's place in the file, 16 bits that are more than 0 while the probe is there; 0: none */
};

/* What st_tracer_run() returns for. */
enum st_report { ST_DONE, ST_STARTED, ST_EXEC_FAILED, ST_EXITED, ST_UNREAD /* there is something for st_objects_take_unread() */ };

struct st_link {
	bool used;
	bool uses_comm;
	u32 kind, location;
	s32 number, pid, cpu;
	const struct st_prog *program;
	u64 period, due;
	u64 cookie;
	bool now;         /* a sample: due at this tick */
};

/* A place in a file where uprobes are. */
struct st_location {
	u64 device, inode, offset;
	char *path;
	u8 code[ST_CODE];
	u32 uses;
	u64 counter;
};

struct st_break {
	u64 address;
	u32 location;
	bool active;
	u64 counter; /* the address of the semaphore that counts it; 0: none, or not mapped yet */
};

/* An address space.  Spare room in executable memory that nothing uses (behind the vDSO) is its cave: a breakpoint that
 * probed functions return to, and slots where probed instructions are stepped over. */
struct st_space {
	u32 uses;
	s32 pid;
	bool searched;
	bool orphaned; /* nothing is known of its parent, whose breakpoints it has */
	struct st_break *breaks;
	u32 count, room;
	u64 cave;
	u32 busy; /* a bit a slot */
	u32 tuned;
};
#define ST_CAVE 256
#define ST_SLOT 32
#define ST_SLOTS 7

/* A thread group. */
struct st_group {
	u32 uses, live;
	s32 tgid;
	u64 ticked;        /* the tick that `cpu_time` was read at */
	u64 cpu_time;      /* ns */
	s64 credit;        /* ns of it that no sample stands for yet */
};

/* A probed function that has not returned yet. */
struct st_return {
	u64 sp, ip, function;
	u32 location;
	bool chained; /* entered by a jump from another probed function: the same stack slot */
};
#define ST_RETURNS 64

/* How to put things right after an instruction was stepped over in a slot. */
struct st_step {
	u64 address, slot;
	bool absolute;    /* the instruction set the program counter itself */
	bool pushes_next; /* it was a call */
	bool pushes_flags;
	bool repeats;
	u8 scratch;       /* 1 + the register lent in place of the program counter; 0: none */
	u64 scratch_value;
};

struct st_thread {
	struct st_thread *next;
	struct st_group *group;
	struct st_space *space;
	s32 tid;
	bool known;      /* its creation was seen; until then it is held */
	bool started;    /* its first stop was seen */
	bool exit_wanted;
	bool scan_wanted;
	bool sampled;
	bool gone;       /* let go */
	bool exiting;
	u32 sample_cpu;
	bool stepping, wants_slot;
	s32 number;      /* the call whose exit is wanted */
	u64 arguments[6];
	struct st_task task;
	u64 task_at;     /* when `task` was read; 0: must be read */
	struct st_step step;
	struct st_return *returns;
	u32 return_count;
	u32 held_count;  /* signals that came while stepping */
	u8 held[4][128]; /* siginfo_t */
};

#define ST_THREADS 256
#define ST_CONTEXT 8192 /* PERF_MAX_TRACE_SIZE */

struct st_tracer {
	st_lock lock;
	struct st_link *links;
	u32 link_count, link_room;
	struct st_location *locations;
	u32 location_count, location_room;

	struct st_thread *threads[ST_THREADS];
	u32 thread_count;
	s32 main, main_status;
	bool running, main_started, ended;
	s32 error;
	u32 reports;

	bool closing;      /* asked for by st_tracer_close() */
	bool follows;      /* a process that was there already: not killed at the end, but left */
	bool leaving;      /* programs run no more; threads are let go as they stop */
	bool retune;       /* what is attached changed */
	bool retuned;      /* ... while the command was running */
	u32 tuned, asked;  /* how often; `tuned` is a futex */
	bool all_calls;    /* every system call stops */
	bool filter_all, filter_maps, filter_data;
	u64 filter[16];    /* calls that the seccomp filter traps */
	bool samples, follow_exit, uses_comm;
	u64 options;

	s32 ticker;        /* a child that stops itself, to end our wait: every `period` or when signalled */
	u64 ticker_period;
	u64 period;        /* the shortest of the samples; 0: none */
	u32 go, ticker_go; /* futexes: the children may start */
	bool ticked;       /* the ticker's period passed */
	u64 ticks;
	u8 *ticker_stack, *command_stack;
	u64 *instructions; /* of the seccomp filter */
	u32 instruction_count;
	u64 signal_mask;
	struct st_objects *objects; /* of the kernel object that the programs are of, or 0 */
	s32 own_pid;
	const char *path;
	char *const *argv, *const *environment;

	u64 stops, events;
	u8 context[ST_CONTEXT] __attribute__((aligned(8))); /* what the program that runs sees; else zero */
};

ST_EXPORT struct st_tracer *st_tracer_create(void);
/* Only when not running. */
ST_EXPORT void st_tracer_destroy(struct st_tracer *tracer);
/* A link's number or -errno.  While running, returns when it is in effect. */
ST_EXPORT s32 st_tracer_attach(struct st_tracer *tracer, const struct st_attach *what);
ST_EXPORT void st_tracer_detach(struct st_tracer *tracer, u32 link);
/* Starts the command, held before its execve(2).  Its pid or -errno. */
ST_EXPORT s32 st_tracer_start(struct st_tracer *tracer, const char *path, char *const *argv, char *const *environment);
/* Attaches to a process that is there, with all its threads, instead of starting one.  0 or -errno. */
ST_EXPORT s32 st_tracer_follow(struct st_tracer *tracer, s32 pid);
ST_EXPORT s32 st_tracer_run(struct st_tracer *tracer);
/* Kill all that is traced, or leave the process that was followed; st_tracer_run() then returns ST_DONE. */
ST_EXPORT void st_tracer_close(struct st_tracer *tracer);
/* As of wait(2), once ST_EXITED was reported; and the errno of ST_EXEC_FAILED. */
ST_EXPORT s32 st_tracer_status(const struct st_tracer *tracer);
ST_EXPORT s32 st_tracer_error(const struct st_tracer *tracer);
ST_EXPORT void st_tracer_counts(const struct st_tracer *tracer, u64 *stops, u64 *events);

static inline void st_futex_wait(u32 *word, u32 seen) { sys6(NR_FUTEX, (long)word, 0 /* FUTEX_WAIT */, seen, 0, 0, 0); }

static inline void st_futex_wake(u32 *word) { sys6(NR_FUTEX, (long)word, 1 /* FUTEX_WAKE */, 0x7fffffff, 0, 0, 0); }

/* tracer.c */
long st_ptrace(long request, s32 tid, u64 address, u64 data);
bool st_get_regs(s32 tid, struct st_regs *regs);
void st_set_regs(s32 tid, struct st_regs *regs);
u64 st_now(void);
void st_resume(struct st_tracer *tracer, struct st_thread *thread, u32 signal);
/* Run one link's program on `context`; `regs` is kernel memory that it may read. */
void st_fire(struct st_tracer *tracer, struct st_thread *thread, const struct st_link *link, void *context, usize size,
	     const struct st_regs *regs, u64 func_ip);
bool st_read_user(s32 pid, void *to, u64 from, usize size);
bool st_write_text(s32 tid, u64 at, const void *from, usize size); /* tracer_uprobe.c: also where it is not writable */
bool st_write_user(s32 pid, u64 to, const void *from, usize size);

/* tracer_follow.c */
/* Let everything go: what stops is left, and this sees to it that all stops. */
void st_leave(struct st_tracer *tracer);
/* A stopped thread is let go, with `signal` if it is not 0. */
void st_let_go(struct st_tracer *tracer, struct st_thread *thread, u32 signal);

/* tracer_attach.c */
void st_wake(struct st_tracer *tracer); /* ends a wait of the loop */

/* tracer_threads.c */
struct st_thread *st_find(struct st_tracer *tracer, s32 tid);
struct st_thread **st_slot_of(struct st_tracer *tracer, s32 tid); /* the link to it in the table */
struct st_thread *st_add_thread(struct st_tracer *tracer, s32 tid);
void st_remove_thread(struct st_tracer *tracer, s32 tid);
bool st_join_group(struct st_thread *thread, struct st_group *group, s32 tgid);

/* tracer_proc.c */
char *st_append_number(char *to, u64 value); /* its end */
/* What follows NAME at the start of a line, or "". */
const char *st_proc_field(const char *text, const char *name);
u64 st_proc_number(const char *text); /* after spaces */
u64 st_proc_hexadecimal(const char *text);
s64 st_read_proc(s32 pid, const char *name, char *to, usize room); /* bytes or -errno; ends with 0 */
int st_open_memory(s32 tid);
char *st_read_maps(s32 pid);                                       /* malloc-ed */
void st_read_task(struct st_thread *thread);
u64 st_auxv(s32 pid, u64 type);
bool st_trap_pends(s32 tid); /* SIGTRAP waits to be delivered */
char st_state(s32 tid, u32 *cpu, s32 *priority);
/* Of a file in /proc/TID, as a number as in st_dev. */
bool st_namespace(s32 tid, const char *name, u64 *device, u64 *inode);
u32 st_last_number(const char *text); /* of those on its line */

/* tracer_call.c */
u32 st_filter(struct st_tracer *tracer, void *instructions); /* classic BPF; how many, 0: none is needed */
#define ST_FILTER_ROOM 4096
bool st_calls_wanted(struct st_tracer *tracer);
void st_call_entry(struct st_tracer *tracer, struct st_thread *thread, bool by_filter);
void st_call_exit(struct st_tracer *tracer, struct st_thread *thread);
void st_call_child(struct st_tracer *tracer, struct st_thread *thread);
/* `other`: the child of a fork, or the thread that executed. */
void st_scheduler_event(struct st_tracer *tracer, struct st_thread *thread, u32 kind, s32 other);

/* tracer_signal.c */
bool st_signals_wanted(const struct st_tracer *tracer);                  /* the calls that send signals are */
void st_signal_call(struct st_tracer *tracer, struct st_thread *thread); /* at the entry of a call */
void st_signal_exit(struct st_tracer *tracer, struct st_thread *thread); /* the last thread of a process ends */
/* Before it is delivered; `known`: its siginfo_t, else it is asked for. */
void st_signal_deliver(struct st_tracer *tracer, struct st_thread *thread, u32 signal, const void *known);

/* tracer_sample.c */
s32 st_ticker_start(struct st_tracer *tracer);
void st_ticker_stop(struct st_tracer *tracer);
void st_tick(struct st_tracer *tracer);
void st_sample(struct st_tracer *tracer, struct st_thread *thread);

/* tracer_uprobe.c */
struct st_space *st_space_create(s32 pid);
struct st_space *st_space_copy(const struct st_space *space, s32 pid);
void st_space_release(struct st_space *space);
void st_space_scan(struct st_tracer *tracer, struct st_space *space, s32 tid); /* insert what is missing, remove what is detached */
/* Remove everything, also from a copy whose removals were not seen. */
void st_space_clean(struct st_tracer *tracer, struct st_space *space, s32 tid);
/* The functions that the thread is in return to where they were called from. */
void st_returns_restore(struct st_thread *thread);
/* Whether every process that the probe is for has it. */
bool st_space_has(const struct st_space *space, u32 location);
/* The task stopped by SIGTRAP: whether that was ours.  It is resumed then. */
bool st_trap(struct st_tracer *tracer, struct st_thread *thread);
/* The stepped instruction faulted: as if in its own place. */
void st_step_abandon(struct st_tracer *tracer, struct st_thread *thread);

/* The thread is gone, or executes another program. */
void st_step_forget(struct st_tracer *tracer, struct st_thread *thread);

/* tracer_step_ARCH.h: step over the instruction `code` at `address`, which a breakpoint replaced. */
enum st_stepping { ST_STEPPED, ST_IN_SLOT, ST_NOT_STEPPABLE };
/* Emulates it, or prepares it for its slot (`out`, ST_CODE bytes) for a single step. */
enum st_stepping st_step_start(struct st_step *step, const u8 *code, struct st_regs *regs, s32 tid, u8 *out);
void st_step_finish(const struct st_step *step, struct st_regs *regs, s32 tid);
/* The return address at the entry of a function. */
bool st_get_return(const struct st_regs *regs, s32 tid, u64 *address);
bool st_set_return(struct st_regs *regs, s32 tid, u64 address);
/* The return address of a function that was entered with the stack pointer `sp` is `from` no more but `to`; `bottom` is
 * where what it called, or it itself, has its stack now. */
void st_restore_return(struct st_regs *regs, s32 tid, u64 sp, u64 bottom, u64 from, u64 to);
/* The stack pointer that a function entered with this one has once it returned. */
u64 st_returned_sp(u64 sp);

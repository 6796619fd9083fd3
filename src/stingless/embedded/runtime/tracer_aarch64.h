/* What the ptrace event source must know of arm64: numbers, registers, starting a child, breakpoints. */
#pragma once
#include "runtime.h"

enum {
	NR_OPENAT = 56, NR_CLOSE = 57, NR_READ = 63, NR_WRITE = 64, NR_PREAD64 = 67, NR_PWRITE64 = 68, NR_PPOLL = 73, NR_EXIT = 93,
	NR_FUTEX = 98, NR_CLOCK_GETTIME = 113, NR_CLOCK_NANOSLEEP = 115, NR_PTRACE = 117, NR_KILL = 129, NR_TGKILL = 131,
	NR_RT_SIGACTION = 134, NR_RT_SIGPROCMASK = 135, NR_SETSID = 157, NR_PRCTL = 167, NR_GETPID = 172, NR_GETPPID = 173,
	NR_CLONE = 220, NR_EXECVE = 221, NR_MMAP = 222, NR_RT_TGSIGQUEUEINFO = 240, NR_WAIT4 = 260, NR_PROCESS_VM_READV = 270,
	NR_PROCESS_VM_WRITEV = 271, NR_SECCOMP = 277, NR_EXECVEAT = 281, NR_CLONE3 = 435,
	NR_UNAME = 160, NR_TKILL = 130, NR_RT_SIGQUEUEINFO = 138, NR_GETDENTS64 = 61, NR_READLINKAT = 78, NR_STATX = 291,
	NR_FORK = -1, NR_VFORK = -1, /* no such calls */
};

#define ST_AUDIT_ARCH 0xc00000b7u
#define ST_FOREIGN_ABI 0x80000000u

/* struct user_pt_regs, which PTRACE_GETREGSET gives, and what struct pt_regs of the kernel has after it. */
struct st_regs {
	u64 regs[31], sp, pc, pstate;
	u64 orig_x0;
	s32 syscallno;
	u32 unused;
};
#define ST_REGSET_SIZE (34 * sizeof(u64))

static inline long sys6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;
	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
	return x0;
}

/* clone(2) of a child that runs entry(argument) on its own stack and never returns. */
static inline long st_clone(long flags, void *stack_top, void (*entry)(void *), void *argument)
{
	u64 *stack = stack_top;
	*--stack = (u64)argument;
	*--stack = (u64)entry;
	register long x8 __asm__("x8") = NR_CLONE;
	register long x0 __asm__("x0") = flags;
	register long x1 __asm__("x1") = (long)stack;
	register long x2 __asm__("x2") = 0;
	register long x3 __asm__("x3") = 0;
	register long x4 __asm__("x4") = 0;
	__asm__ volatile("svc #0\n\t"
			 "cbnz x0, 1f\n\t"
			 "mov x29, #0\n\t"
			 "ldp x1, x0, [sp], #16\n\t"
			 "blr x1\n\t"
			 "brk #0\n"
			 "1:"
			 : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
	return x0;
}

static inline bool st_regs_native(const struct st_regs *regs) { return !(regs->pstate & 0x10); }
static inline u32 st_regs_nr(const struct st_regs *regs) { return (u32)regs->regs[8]; }
static inline u64 st_regs_return(const struct st_regs *regs) { return regs->regs[0]; }
static inline u64 st_regs_frame(const struct st_regs *regs) { return regs->regs[29]; }
static inline u64 *st_regs_ip(struct st_regs *regs) { return &regs->pc; }
static inline u64 st_regs_sp(const struct st_regs *regs) { return regs->sp; }

static inline void st_regs_arguments(const struct st_regs *regs, u64 *to)
{
	for (u32 i = 0; i < 6; i++)
		to[i] = regs->regs[i];
}

/* The registers at the entry of a kernel function that is called with these arguments. */
static inline void st_regs_call(struct st_regs *regs, const u64 *arguments, u32 count)
{
	for (u32 i = 0; i < count; i++)
		regs->regs[i] = arguments[i];
}

static inline void st_regs_at_entry(struct st_regs *regs, u32 nr)
{
	regs->orig_x0 = regs->regs[0];
	regs->syscallno = (s32)nr;
}

static inline void st_regs_at_exit(struct st_regs *regs, u32 nr, const u64 *arguments)
{
	regs->orig_x0 = arguments[0];
	regs->syscallno = (s32)nr;
}

#define ST_BREAK "\x00\x00\x20\xd4" /* brk #0 */
#define ST_BREAK_SIZE 4
static inline u64 st_break_address(u64 ip) { return ip; }

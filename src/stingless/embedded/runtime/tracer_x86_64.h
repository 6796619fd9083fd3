/* What the ptrace event source must know of x86-64: numbers, registers, starting a child, breakpoints. */
#pragma once
#include "runtime.h"

enum {
	NR_READ = 0, NR_WRITE = 1, NR_CLOSE = 3, NR_MMAP = 9, NR_RT_SIGACTION = 13, NR_RT_SIGPROCMASK = 14, NR_PREAD64 = 17,
	NR_PWRITE64 = 18, NR_GETPID = 39, NR_CLONE = 56, NR_FORK = 57, NR_VFORK = 58, NR_EXECVE = 59, NR_EXIT = 60, NR_WAIT4 = 61,
	NR_KILL = 62, NR_PTRACE = 101, NR_GETPPID = 110, NR_SETSID = 112, NR_RT_TGSIGQUEUEINFO = 297, NR_PRCTL = 157, NR_FUTEX = 202,
	NR_CLOCK_GETTIME = 228, NR_CLOCK_NANOSLEEP = 230, NR_TGKILL = 234, NR_OPENAT = 257, NR_PPOLL = 271,
	NR_PROCESS_VM_READV = 310,
	NR_UNAME = 63, NR_RT_SIGQUEUEINFO = 129, NR_TKILL = 200, NR_GETDENTS64 = 217, NR_READLINKAT = 267, NR_STATX = 332, NR_PROCESS_VM_WRITEV = 311, NR_SECCOMP = 317, NR_EXECVEAT = 322, NR_CLONE3 = 435,
};

#define ST_AUDIT_ARCH 0xc000003eu
#define ST_FOREIGN_ABI 0x40000000u /* the bit of the x32 calls */

/* struct pt_regs of the kernel, and the head of what PTRACE_GETREGSET gives. */
struct st_regs {
	u64 r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};
#define ST_REGSET_SIZE sizeof(struct st_regs)

static inline long sys6(long nr, long a, long b, long c, long d, long e, long f)
{
	long result;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	__asm__ volatile("syscall" : "=a"(result) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

/* clone(2) of a child that runs entry(argument) on its own stack and never returns. */
static inline long st_clone(long flags, void *stack_top, void (*entry)(void *), void *argument)
{
	u64 *stack = stack_top;
	long result;
	*--stack = (u64)argument;
	*--stack = (u64)entry;
	register long r10 __asm__("r10") = 0;
	register long r8 __asm__("r8") = 0;
	__asm__ volatile("syscall\n\t"
			 "test %%eax, %%eax\n\t"
			 "jnz 1f\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "pop %%rax\n\t"
			 "pop %%rdi\n\t"
			 "call *%%rax\n\t"
			 "hlt\n"
			 "1:"
			 : "=a"(result) : "a"((long)NR_CLONE), "D"(flags), "S"(stack), "d"(0L), "r"(r10), "r"(r8)
			 : "rcx", "r11", "memory");
	return result;
}

static inline bool st_regs_native(const struct st_regs *regs) { return regs->cs == 0x33; }
static inline u32 st_regs_nr(const struct st_regs *regs) { return (u32)regs->orig_ax; }
static inline u64 st_regs_return(const struct st_regs *regs) { return regs->ax; }
static inline u64 st_regs_frame(const struct st_regs *regs) { return regs->bp; }
static inline u64 *st_regs_ip(struct st_regs *regs) { return &regs->ip; }
static inline u64 st_regs_sp(const struct st_regs *regs) { return regs->sp; }

static inline void st_regs_arguments(const struct st_regs *regs, u64 *to)
{
	to[0] = regs->di, to[1] = regs->si, to[2] = regs->dx, to[3] = regs->r10, to[4] = regs->r8, to[5] = regs->r9;
}

/* The registers at the entry of a kernel function that is called with these arguments. */
static inline void st_regs_call(struct st_regs *regs, const u64 *arguments, u32 count)
{
	u64 *places[] = {&regs->di, &regs->si, &regs->dx, &regs->cx, &regs->r8, &regs->r9};
	for (u32 i = 0; i < count; i++)
		*places[i] = arguments[i];
}

static inline void st_regs_at_entry(struct st_regs *regs, u32 nr) { (void)regs, (void)nr; }
static inline void st_regs_at_exit(struct st_regs *regs, u32 nr, const u64 *arguments) { (void)regs, (void)nr, (void)arguments; }

#define ST_BREAK "\xcc"
#define ST_BREAK_SIZE 1
/* Where the breakpoint is that left the task at this address. */
static inline u64 st_break_address(u64 ip) { return ip - 1; }

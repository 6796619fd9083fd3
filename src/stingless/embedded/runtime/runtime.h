/* The embedded kernel's runtime: interpreter, maps, helpers, event rings, and the ptrace event source.
 *
 * Freestanding C (clang only): nothing is included; what is needed from the process's libc (malloc, free, memcpy, fork,
 * wait4, ptrace, ...) is declared where it is used and resolved when the library is loaded, so one library serves glibc
 * and musl.  The library trusts its callers: programs were verified and maps are sized by embedded/ before they come here.
 */
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed char s8;
typedef short s16;
typedef int s32;
typedef long long s64;
typedef unsigned long usize;

#define ST_EXPORT __attribute__((visibility("default")))

struct st_insn {
	u8 opcode;
	u8 dst : 4, src : 4;
	s16 off;
	s32 imm;
};

struct st_map;  /* map.h */
struct st_ring; /* ring.h: bounded, lossy-with-count, many writers, one reader; perf event arrays, ring buffers, trace */

/* The task that an event speaks of.  For a traced task `memory` is its pid and user memory is read with
 * process_vm_readv(2); 0 means the caller's own task (BPF_PROG_TEST_RUN), where user memory is this process's own. */
struct st_task {
	s32 pid, tgid, ppid;
	u32 uid, gid;
	u32 cpu;
	s32 memory;
	char comm[16];
	u64 cgroup;
	u64 start_time; /* ns, CLOCK_MONOTONIC, when its start was seen; else 0 */
	s32 exit_code;  /* as of wait(2), once it exits */
};

/* Kernel memory that a program may read with bpf_probe_read_kernel(): the event's own records, nothing else. */
struct st_window {
	const void *base;
	usize size;
};

/* A program or one of its functions as machine code: R1 to R5 in, R0 out. */
struct st_env;
typedef u64 (*st_machine)(struct st_env *env, u64 r1, u64 r2, u64 r3, u64 r4, u64 r5);

struct st_prog {
	const struct st_insn *insns; /* pointers already resolved: LD_IMM64 holds struct st_map * or a value's address */
	u32 count;
	u32 type; /* enum bpf_prog_type */
	struct st_env *env_default;
	st_machine machine; /* its machine code, set by st_prog_set_machine() at any time; 0: interpret */
	u32 runs;           /* by the interpreter, up to ST_HOT */
	u32 zero_stack;     /* it may read stack that it has not written: each frame begins as zeros */
	const u32 *type_sizes; /* bytes of the types that it allocates, by their number in its BTF */
	u32 type_count;
};

/* One execution. */
struct st_env {
	const struct st_task *task;
	struct st_window windows[4];
	u32 window_count;
	struct st_ring *trace;  /* where bpf_trace_printk() writes; shared by the kernel object */
	struct st_fixed *fixed; /* fixed.h: what is set and not the machine's; 0: nothing */
	u32 tail_calls;
	/* packet programs */
	u8 *data, *data_end, *data_meta, *data_limit; /* data_limit: end of the writable buffer (adjust_tail) */
	void *ctx;
	u64 func_ip;            /* bpf_get_func_ip() */
	u64 cookie;             /* bpf_get_attach_cookie() */
	/* filled by st_run() */
	u32 cpu;                /* the CPU whose slot this execution holds */
	u32 frames;             /* depth of the call stack */
	u8 *stack;              /* ST_FRAMES frames of ST_STACK bytes */
	u32 fault;              /* enum st_fault: why the run was cut short; 0 after a proper exit */
	/* packet programs, continued */
	u8 *mac, *network;      /* link and network header */
	u8 *data_hard_start;    /* start of the writable buffer; data_hard_start <= data_meta <= data */
	struct st_objects *objects; /* objects.h: what bpf_get_current_task() gives; 0: there is no layout of them */
	/* runs that are watched: careful.h */
	struct st_careful *careful; /* 0: this is not one */
	u64 steps;              /* instructions so far */
	u64 fault_address;
	u32 fault_insn;         /* of `prog` */
	u8 *machine_frames;     /* of machine code: its frames lie below, on the thread's own stack; 0: interpreted */
	/* helpers */
	const struct st_prog *prog; /* set by st_run() */
	const void *user_regs;      /* struct st_regs of the task where it was interrupted; 0: to be asked for */
	u32 func_args;              /* bpf_get_func_arg(): so many arguments are in the context; */
	u32 func_returned;          /* ... and then a result */
	s32 retval;                 /* bpf_get_retval(), bpf_set_retval() */
};

enum st_fault { ST_FAULT_NONE, ST_FAULT_OPCODE, ST_FAULT_HELPER, ST_FAULT_BUDGET, ST_FAULT_DEPTH,
		ST_FAULT_ACCESS, ST_FAULT_WRITE };

#define ST_FRAMES 8
#define ST_STACK 512
#define ST_TAIL_CALLS 33
#define ST_CPUS 1024

#include "packet.h"

/* Run a program.  Returns R0. */
ST_EXPORT u64 st_run(const struct st_prog *prog, void *ctx, struct st_env *env);
/* Returns when every execution that runs now has ended. */
ST_EXPORT void st_synchronize(void);
/* Where the cgroup v2 hierarchy is mounted; "" by default: nowhere. */
ST_EXPORT void st_configure_cgroups(const char *mounted);
/* Called once, before any map is made: how many CPUs there can be, and the cgroup v2 id of this process. */
ST_EXPORT void st_configure(u32 possible_cpus, u64 own_cgroup);
extern u32 st_cpus;
extern u64 st_own_cgroup;

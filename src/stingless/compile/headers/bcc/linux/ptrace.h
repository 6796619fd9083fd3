/* struct pt_regs as the kernel has it (the UAPI header has the field names of ptrace(2) instead), and its registers. */
#pragma once
#include <linux/types.h>

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx;
	unsigned long r11, r10, r9, r8, ax, cx, dx, si, di;
	unsigned long orig_ax, ip, cs, flags, sp, ss;
};
#elif defined(__TARGET_ARCH_arm64)
struct user_pt_regs {
	__u64 regs[31], sp, pc, pstate;
};
struct pt_regs {
	__u64 regs[31], sp, pc, pstate;
	__u64 orig_x0;
	__s32 syscallno;
	__u32 unused;
};
#else
#error "struct pt_regs of this architecture is not described yet"
#endif
#include <bpf/bpf_tracing.h>

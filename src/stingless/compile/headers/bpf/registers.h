/* Where each architecture keeps a function's arguments and result in its struct pt_regs: one table each.
 *
 * __PT_REGS_CAST(x)       the struct that has the registers, when it is not struct pt_regs itself
 * __st_parm1..8           the registers of a function's arguments (System V, AAPCS64 and their like)
 * __st_syscall1..7        those of a system call's, as the kernel keeps them at its entry
 * __st_syscall1_struct    the struct of a first argument that only the kernel's own struct has (a CO-RE flavour)
 * __st_link_register      set where __st_ret is the return address itself, not the address of it
 * __st_no_syscall_regs    set where a system call's function gets its arguments as any function does */
#ifndef __ST_BPF_REGISTERS_H
#define __ST_BPF_REGISTERS_H

#include "variadic.h"

#if !defined(__TARGET_ARCH_x86) && !defined(__TARGET_ARCH_arm64) && !defined(__TARGET_ARCH_arm) &&       \
	!defined(__TARGET_ARCH_s390) && !defined(__TARGET_ARCH_powerpc) && !defined(__TARGET_ARCH_riscv) && \
	!defined(__TARGET_ARCH_loongarch) && !defined(__TARGET_ARCH_mips)
#if defined(__x86_64__)
#define __TARGET_ARCH_x86
#elif defined(__aarch64__)
#define __TARGET_ARCH_arm64
#endif
#endif

/* A register that an architecture does not have is this member, which no struct has either. */
#define __st_none __unsupported__

#if defined(__TARGET_ARCH_x86)

/* <linux/ptrace.h> of user space says rdi where the kernel says di; asked when a register is named, since the header may
 * come later than this one. */
#if defined(__KERNEL__) || defined(__VMLINUX_H__)
#define __st_x86(name) name
#else
#define __st_x86(name) ___bpf_apply(__st_x86_names, __st_is_missing(_ASM_X86_PTRACE_H))(name)
#define __st_is_missing(guard) ___bpf_narg(guard) /* a guard that is defined expands to nothing */
#define __st_x86_names0(name) r##name
#define __st_x86_names1(name) name
#endif
#define __st_parm1 __st_x86(di)
#define __st_parm2 __st_x86(si)
#define __st_parm3 __st_x86(dx)
#define __st_parm4 __st_x86(cx)
#define __st_parm5 r8
#define __st_parm6 r9
#define __st_syscall1 __st_parm1
#define __st_syscall4 r10
#define __st_syscall6 __st_parm6
#define __st_ret __st_x86(sp)
#define __st_fp __st_x86(bp)
#define __st_rc __st_x86(ax)
#define __st_sp __st_x86(sp)
#define __st_ip __st_x86(ip)

#elif defined(__TARGET_ARCH_arm64)

#define __PT_REGS_CAST(x) ((const struct user_pt_regs *)(x))
struct pt_regs___arm64 {
	unsigned long orig_x0;
} __attribute__((preserve_access_index));
#define __st_parm1 regs[0]
#define __st_parm2 regs[1]
#define __st_parm3 regs[2]
#define __st_parm4 regs[3]
#define __st_parm5 regs[4]
#define __st_parm6 regs[5]
#define __st_parm7 regs[6]
#define __st_parm8 regs[7]
#define __st_syscall1 orig_x0
#define __st_syscall1_struct struct pt_regs___arm64
#define __st_syscall6 __st_parm6
#define __st_ret regs[30]
#define __st_fp regs[29]
#define __st_rc regs[0]
#define __st_sp sp
#define __st_ip pc
#define __st_link_register

#elif defined(__TARGET_ARCH_arm)

#define __st_parm1 uregs[0]
#define __st_parm2 uregs[1]
#define __st_parm3 uregs[2]
#define __st_parm4 uregs[3]
#define __st_syscall1 __st_parm1
#define __st_syscall5 uregs[4]
#define __st_syscall6 uregs[5]
#define __st_syscall7 uregs[6]
#define __st_ret uregs[14]
#define __st_fp uregs[11]
#define __st_rc uregs[0]
#define __st_sp uregs[13]
#define __st_ip uregs[15]
#define __st_link_register

#elif defined(__TARGET_ARCH_s390)

#define __PT_REGS_CAST(x) ((const user_pt_regs *)(x))
struct pt_regs___s390 {
	unsigned long orig_gpr2;
} __attribute__((preserve_access_index));
#define __st_parm1 gprs[2]
#define __st_parm2 gprs[3]
#define __st_parm3 gprs[4]
#define __st_parm4 gprs[5]
#define __st_parm5 gprs[6]
#define __st_syscall1 orig_gpr2
#define __st_syscall1_struct struct pt_regs___s390
#define __st_syscall6 gprs[7]
#define __st_ret gprs[14]
#define __st_fp gprs[11]
#define __st_rc gprs[2]
#define __st_sp gprs[15]
#define __st_ip psw.addr
#define __st_link_register

#elif defined(__TARGET_ARCH_powerpc)

#define __st_parm1 gpr[3]
#define __st_parm2 gpr[4]
#define __st_parm3 gpr[5]
#define __st_parm4 gpr[6]
#define __st_parm5 gpr[7]
#define __st_parm6 gpr[8]
#define __st_parm7 gpr[9]
#define __st_parm8 gpr[10]
#define __st_syscall1 orig_gpr3
#define __st_syscall6 __st_parm6
#define __st_no_syscall_regs
#define __st_ret link
#define __st_fp __st_none
#define __st_rc gpr[3]
#define __st_sp gpr[1]
#define __st_ip nip
#define __st_link_register

#elif defined(__TARGET_ARCH_riscv)

#define __PT_REGS_CAST(x) ((const struct user_regs_struct *)(x))
struct pt_regs___riscv {
	unsigned long orig_a0;
} __attribute__((preserve_access_index));
#define __st_parm1 a0
#define __st_parm2 a1
#define __st_parm3 a2
#define __st_parm4 a3
#define __st_parm5 a4
#define __st_parm6 a5
#define __st_parm7 a6
#define __st_parm8 a7
#define __st_syscall1 orig_a0
#define __st_syscall1_struct struct pt_regs___riscv
#define __st_syscall6 __st_parm6
#define __st_ret ra
#define __st_fp s0
#define __st_rc a0
#define __st_sp sp
#define __st_ip pc
#define __st_link_register

#elif defined(__TARGET_ARCH_loongarch)

#define __PT_REGS_CAST(x) ((const struct user_pt_regs *)(x))
#define __st_parm1 regs[4]
#define __st_parm2 regs[5]
#define __st_parm3 regs[6]
#define __st_parm4 regs[7]
#define __st_parm5 regs[8]
#define __st_parm6 regs[9]
#define __st_parm7 regs[10]
#define __st_parm8 regs[11]
#define __st_syscall1 __st_parm1
#define __st_syscall6 __st_parm6
#define __st_no_syscall_regs
#define __st_ret regs[1]
#define __st_fp regs[22]
#define __st_rc regs[4]
#define __st_sp regs[3]
#define __st_ip csr_era
#define __st_link_register

#elif defined(__TARGET_ARCH_mips)

#define __st_parm1 regs[4]
#define __st_parm2 regs[5]
#define __st_parm3 regs[6]
#define __st_parm4 regs[7]
#define __st_parm5 regs[8]
#define __st_parm6 regs[9]
#define __st_parm7 regs[10]
#define __st_parm8 regs[11]
#define __st_syscall1 __st_parm1
#define __st_syscall6 __st_parm6
#define __st_ret regs[31]
#define __st_fp regs[30]
#define __st_rc regs[2]
#define __st_sp regs[29]
#define __st_ip cp0_epc
#define __st_link_register

#else
#define __st_no_registers
#endif

/* What most architectures have in common. */
#ifndef __PT_REGS_CAST
#define __PT_REGS_CAST(x) (x)
#endif
#ifndef __st_parm5
#define __st_parm5 __st_none
#endif
#ifndef __st_parm6
#define __st_parm6 __st_none
#endif
#ifndef __st_parm7
#define __st_parm7 __st_none
#endif
#ifndef __st_parm8
#define __st_parm8 __st_none
#endif
#define __st_syscall2 __st_parm2
#define __st_syscall3 __st_parm3
#ifndef __st_syscall4
#define __st_syscall4 __st_parm4
#endif
#ifndef __st_syscall5
#define __st_syscall5 __st_parm5
#endif
#ifndef __st_syscall7
#define __st_syscall7 __st_none
#endif

#endif

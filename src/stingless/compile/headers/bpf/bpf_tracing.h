/* Programs on functions: registers by their role, and arguments and results as C parameters. */
#ifndef __BPF_TRACING_H__
#define __BPF_TRACING_H__

#include "bpf_helpers.h"
#include "registers.h"

struct pt_regs;

/* Registers.  PT_REGS_X reads a struct that the program may read directly (its context); PT_REGS_X_CORE one at any
 * kernel address, and needs <bpf/bpf_core_read.h>. */
#ifdef __st_no_registers
#define __st_register(x, name)                                                                        \
	({                                                                                            \
		_Static_assert(0, "compile with -D__TARGET_ARCH_x86 (or arm64, ...) to name registers"); \
		0UL;                                                                                  \
	})
#define __st_register_core(x, name) __st_register(x, name)
#else
#define __st_register(x, name) (__PT_REGS_CAST(x)->name)
#define __st_register_core(x, name) BPF_CORE_READ(__PT_REGS_CAST(x), name)
#endif

#define PT_REGS_PARM1(x) __st_register(x, __st_parm1)
#define PT_REGS_PARM2(x) __st_register(x, __st_parm2)
#define PT_REGS_PARM3(x) __st_register(x, __st_parm3)
#define PT_REGS_PARM4(x) __st_register(x, __st_parm4)
#define PT_REGS_PARM5(x) __st_register(x, __st_parm5)
#define PT_REGS_PARM6(x) __st_register(x, __st_parm6)
#define PT_REGS_PARM7(x) __st_register(x, __st_parm7)
#define PT_REGS_PARM8(x) __st_register(x, __st_parm8)
#define PT_REGS_RET(x) __st_register(x, __st_ret)
#define PT_REGS_FP(x) __st_register(x, __st_fp)
#define PT_REGS_RC(x) __st_register(x, __st_rc)
#define PT_REGS_SP(x) __st_register(x, __st_sp)
#define PT_REGS_IP(x) __st_register(x, __st_ip)

#define PT_REGS_PARM1_CORE(x) __st_register_core(x, __st_parm1)
#define PT_REGS_PARM2_CORE(x) __st_register_core(x, __st_parm2)
#define PT_REGS_PARM3_CORE(x) __st_register_core(x, __st_parm3)
#define PT_REGS_PARM4_CORE(x) __st_register_core(x, __st_parm4)
#define PT_REGS_PARM5_CORE(x) __st_register_core(x, __st_parm5)
#define PT_REGS_PARM6_CORE(x) __st_register_core(x, __st_parm6)
#define PT_REGS_PARM7_CORE(x) __st_register_core(x, __st_parm7)
#define PT_REGS_PARM8_CORE(x) __st_register_core(x, __st_parm8)
#define PT_REGS_RET_CORE(x) __st_register_core(x, __st_ret)
#define PT_REGS_FP_CORE(x) __st_register_core(x, __st_fp)
#define PT_REGS_RC_CORE(x) __st_register_core(x, __st_rc)
#define PT_REGS_SP_CORE(x) __st_register_core(x, __st_sp)
#define PT_REGS_IP_CORE(x) __st_register_core(x, __st_ip)

/* A system call's arguments in the registers of its caller. */
#ifdef __st_syscall1_struct
#define PT_REGS_PARM1_SYSCALL(x) (((const __st_syscall1_struct *)(x))->__st_syscall1)
#define PT_REGS_PARM1_CORE_SYSCALL(x) BPF_CORE_READ((const __st_syscall1_struct *)(x), __st_syscall1)
#else
#define PT_REGS_PARM1_SYSCALL(x) __st_register(x, __st_syscall1)
#define PT_REGS_PARM1_CORE_SYSCALL(x) __st_register_core(x, __st_syscall1)
#endif
#define PT_REGS_PARM2_SYSCALL(x) __st_register(x, __st_syscall2)
#define PT_REGS_PARM3_SYSCALL(x) __st_register(x, __st_syscall3)
#define PT_REGS_PARM4_SYSCALL(x) __st_register(x, __st_syscall4)
#define PT_REGS_PARM5_SYSCALL(x) __st_register(x, __st_syscall5)
#define PT_REGS_PARM6_SYSCALL(x) __st_register(x, __st_syscall6)
#define PT_REGS_PARM7_SYSCALL(x) __st_register(x, __st_syscall7)
#define PT_REGS_PARM2_CORE_SYSCALL(x) __st_register_core(x, __st_syscall2)
#define PT_REGS_PARM3_CORE_SYSCALL(x) __st_register_core(x, __st_syscall3)
#define PT_REGS_PARM4_CORE_SYSCALL(x) __st_register_core(x, __st_syscall4)
#define PT_REGS_PARM5_CORE_SYSCALL(x) __st_register_core(x, __st_syscall5)
#define PT_REGS_PARM6_CORE_SYSCALL(x) __st_register_core(x, __st_syscall6)
#define PT_REGS_PARM7_CORE_SYSCALL(x) __st_register_core(x, __st_syscall7)

/* The caller's registers, of which a system call's kernel function (__x64_sys_X) has the address as its argument. */
#ifdef __st_no_syscall_regs
#define PT_REGS_SYSCALL_REGS(ctx) (ctx)
#else
#define PT_REGS_SYSCALL_REGS(ctx) ((struct pt_regs *)PT_REGS_PARM1(ctx))
#endif

/* The probed function's return address, from a kprobe and from a kretprobe. */
#ifdef __st_link_register
#define BPF_KPROBE_READ_RET_IP(ip, ctx) ({ (ip) = PT_REGS_RET(ctx); })
#define BPF_KRETPROBE_READ_RET_IP BPF_KPROBE_READ_RET_IP
#else
#define BPF_KPROBE_READ_RET_IP(ip, ctx) \
	({ bpf_probe_read_kernel(&(ip), sizeof(ip), (void *)PT_REGS_RET(ctx)); })
#define BPF_KRETPROBE_READ_RET_IP(ip, ctx) \
	({ bpf_probe_read_kernel(&(ip), sizeof(ip), (void *)(PT_REGS_FP(ctx) + sizeof(ip))); })
#endif

/* A program `name` of one context, and the body that the user writes after the macro as an inlined function of it:
 * `parameters` declares, `values` are what the program calls it with. */
#define __st_body(name, context, parameters, ...)                               \
	name(context *ctx);                                                     \
	static __always_inline __typeof__(name(0)) ____##name parameters;       \
	__typeof__(name(0)) name(context *ctx)                                  \
	{                                                                       \
		_Pragma("GCC diagnostic push")                                  \
		_Pragma("GCC diagnostic ignored \"-Wint-conversion\"")          \
		__VA_ARGS__                                                     \
		_Pragma("GCC diagnostic pop")                                   \
	}                                                                       \
	static __always_inline __typeof__(name(0)) ____##name parameters

#define __st_parameters(context, ...) (context * ctx, ##__VA_ARGS__)

/* Lists `, (void *)get(0), (void *)get(1), ...` as long as the user's parameters are many. */
#define ___bpf_ctx_cast0()
#define ___bpf_ctx_cast1(_1) , (void *)ctx[0]
#define ___bpf_ctx_cast2(_1, ...) ___bpf_ctx_cast1(_1), (void *)ctx[1]
#define ___bpf_ctx_cast3(_1, ...) ___bpf_ctx_cast2(_1), (void *)ctx[2]
#define ___bpf_ctx_cast4(_1, ...) ___bpf_ctx_cast3(_1), (void *)ctx[3]
#define ___bpf_ctx_cast5(_1, ...) ___bpf_ctx_cast4(_1), (void *)ctx[4]
#define ___bpf_ctx_cast6(_1, ...) ___bpf_ctx_cast5(_1), (void *)ctx[5]
#define ___bpf_ctx_cast7(_1, ...) ___bpf_ctx_cast6(_1), (void *)ctx[6]
#define ___bpf_ctx_cast8(_1, ...) ___bpf_ctx_cast7(_1), (void *)ctx[7]
#define ___bpf_ctx_cast9(_1, ...) ___bpf_ctx_cast8(_1), (void *)ctx[8]
#define ___bpf_ctx_cast10(_1, ...) ___bpf_ctx_cast9(_1), (void *)ctx[9]
#define ___bpf_ctx_cast11(_1, ...) ___bpf_ctx_cast10(_1), (void *)ctx[10]
#define ___bpf_ctx_cast12(_1, ...) ___bpf_ctx_cast11(_1), (void *)ctx[11]
#define ___bpf_ctx_cast(...) ___bpf_apply(___bpf_ctx_cast, ___bpf_narg(__VA_ARGS__))(__VA_ARGS__)

#define ___bpf_kprobe_args0()
#define ___bpf_kprobe_args1(_1) , (void *)PT_REGS_PARM1(ctx)
#define ___bpf_kprobe_args2(_1, ...) ___bpf_kprobe_args1(_1), (void *)PT_REGS_PARM2(ctx)
#define ___bpf_kprobe_args3(_1, ...) ___bpf_kprobe_args2(_1), (void *)PT_REGS_PARM3(ctx)
#define ___bpf_kprobe_args4(_1, ...) ___bpf_kprobe_args3(_1), (void *)PT_REGS_PARM4(ctx)
#define ___bpf_kprobe_args5(_1, ...) ___bpf_kprobe_args4(_1), (void *)PT_REGS_PARM5(ctx)
#define ___bpf_kprobe_args6(_1, ...) ___bpf_kprobe_args5(_1), (void *)PT_REGS_PARM6(ctx)
#define ___bpf_kprobe_args7(_1, ...) ___bpf_kprobe_args6(_1), (void *)PT_REGS_PARM7(ctx)
#define ___bpf_kprobe_args8(_1, ...) ___bpf_kprobe_args7(_1), (void *)PT_REGS_PARM8(ctx)
#define ___bpf_kprobe_args(...) ___bpf_apply(___bpf_kprobe_args, ___bpf_narg(__VA_ARGS__))(__VA_ARGS__)

#define ___bpf_kretprobe_args0()
#define ___bpf_kretprobe_args1(_1) , (void *)PT_REGS_RC(ctx)
#define ___bpf_kretprobe_args(...) ___bpf_apply(___bpf_kretprobe_args, ___bpf_narg(__VA_ARGS__))(__VA_ARGS__)

#define __st_syscall_args0(way)
#define __st_syscall_args1(way, _1) , (void *)PT_REGS_PARM1##way(regs)
#define __st_syscall_args2(way, _1, ...) __st_syscall_args1(way, _1), (void *)PT_REGS_PARM2##way(regs)
#define __st_syscall_args3(way, _1, ...) __st_syscall_args2(way, _1), (void *)PT_REGS_PARM3##way(regs)
#define __st_syscall_args4(way, _1, ...) __st_syscall_args3(way, _1), (void *)PT_REGS_PARM4##way(regs)
#define __st_syscall_args5(way, _1, ...) __st_syscall_args4(way, _1), (void *)PT_REGS_PARM5##way(regs)
#define __st_syscall_args6(way, _1, ...) __st_syscall_args5(way, _1), (void *)PT_REGS_PARM6##way(regs)
#define __st_syscall_args7(way, _1, ...) __st_syscall_args6(way, _1), (void *)PT_REGS_PARM7##way(regs)
#define __st_syscall_args(way, ...) \
	___bpf_apply(__st_syscall_args, ___bpf_narg(__VA_ARGS__))(way, ##__VA_ARGS__)

/* Typed by BTF: fentry, fexit, fmod_ret, raw tracepoints, LSM hooks, struct_ops.  Each argument is a slot of 8 bytes. */
#define BPF_PROG(name, ...)                                                                   \
	__st_body(name, unsigned long long, __st_parameters(unsigned long long, ##__VA_ARGS__), \
		  return ____##name(ctx ___bpf_ctx_cast(__VA_ARGS__));)

/* Kernel and user functions, and what they return.  URETPROBE and KRETPROBE take no parameter or one. */
#define BPF_KPROBE(name, ...)                                                             \
	__st_body(name, struct pt_regs, __st_parameters(struct pt_regs, ##__VA_ARGS__),   \
		  return ____##name(ctx ___bpf_kprobe_args(__VA_ARGS__));)
#define BPF_KRETPROBE(name, ...)                                                          \
	__st_body(name, struct pt_regs, __st_parameters(struct pt_regs, ##__VA_ARGS__),   \
		  return ____##name(ctx ___bpf_kretprobe_args(__VA_ARGS__));)
#define BPF_UPROBE(name, ...) BPF_KPROBE(name, ##__VA_ARGS__)
#define BPF_URETPROBE(name, ...) BPF_KRETPROBE(name, ##__VA_ARGS__)

/* System calls (SEC("ksyscall/...")): the kernel tells when it is loaded whether they have a wrapper. */
#define BPF_KSYSCALL(name, ...)                                                                            \
	name(struct pt_regs *ctx);                                                                         \
	extern _Bool LINUX_HAS_SYSCALL_WRAPPER __kconfig;                                                  \
	__typeof__(name(0)) __st_body(name, struct pt_regs, __st_parameters(struct pt_regs, ##__VA_ARGS__),                    \
		  struct pt_regs *regs __attribute__((unused)) =                                            \
			  LINUX_HAS_SYSCALL_WRAPPER ? PT_REGS_SYSCALL_REGS(ctx) : ctx;                       \
		  if (LINUX_HAS_SYSCALL_WRAPPER)                                                           \
			  return ____##name(ctx __st_syscall_args(_CORE_SYSCALL, ##__VA_ARGS__));          \
		  else                                                                                     \
			  return ____##name(ctx __st_syscall_args(_SYSCALL, ##__VA_ARGS__));)
#define BPF_KPROBE_SYSCALL BPF_KSYSCALL

#include "struct_arguments.h"

#endif

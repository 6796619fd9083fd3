/* What declares programs and maps in plain eBPF C, under the names that libbpf made common.
 *
 * Stands alone: it may come before or after "vmlinux.h" or <linux/bpf.h>. */
#ifndef __BPF_HELPERS__
#define __BPF_HELPERS__

#include "bpf_helper_defs.h"
#include "variadic.h"

/* Where things go. */
#define SEC(name) __attribute__((section(name), used))
#define __kconfig __attribute__((section(".kconfig")))
#define __ksym __attribute__((section(".ksyms")))
#ifndef __weak
#define __weak __attribute__((weak))
#endif
/* Global for the compiler, static for the verifier: a sub-program that is checked at each call. */
#define __hidden __attribute__((visibility("hidden")))
#undef __always_inline /* <linux/stddef.h> has a weaker one */
#define __always_inline inline __attribute__((always_inline))
#ifndef __noinline
#define __noinline __attribute__((noinline))
#endif

/* Members of a map's declaration: a number is an array's length, a type is what a pointer points to. */
#define __uint(name, val) int (*name)[val]
#define __ulong(name, val) enum { ___bpf_concat(__unique_value, __COUNTER__) = val } name
#define __type(name, val) __typeof__(val) *name
#define __array(name, val) __typeof__(val) *name[]

/* Kinds of pointers kept in maps. */
#define __kptr __attribute__((btf_type_tag("kptr")))
#define __kptr_untrusted __attribute__((btf_type_tag("kptr_untrusted")))
#define __kptr_ref __attribute__((btf_type_tag("kptr_ref"))) /* Linux 5.19 to 6.3; later ones call it __kptr */
#define __percpu_kptr __attribute__((btf_type_tag("percpu_kptr")))
#define __uptr __attribute__((btf_type_tag("uptr")))

/* What the verifier may assume of a global sub-program's arguments. */
#define __arg_ctx __attribute__((btf_decl_tag("arg:ctx")))
#define __arg_nonnull __attribute__((btf_decl_tag("arg:nonnull")))
#define __arg_nullable __attribute__((btf_decl_tag("arg:nullable")))
#define __arg_trusted __attribute__((btf_decl_tag("arg:trusted")))
#define __arg_untrusted __attribute__((btf_decl_tag("arg:untrusted")))
#define __arg_arena __attribute__((btf_decl_tag("arg:arena")))

enum libbpf_pin_type {
	LIBBPF_PIN_NONE,
	LIBBPF_PIN_BY_NAME,
};

/* The value of a kernel configuration option. */
enum libbpf_tristate {
	TRI_NO,
	TRI_YES,
	TRI_MODULE,
};

/* Common C. */
#ifndef NULL
#define NULL ((void *)0)
#endif
#ifndef KERNEL_VERSION
#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + ((c) > 255 ? 255 : (c)))
#endif
#ifndef likely
#define likely(x) __builtin_expect(!!(x), 1)
#endif
#ifndef unlikely
#define unlikely(x) __builtin_expect(!!(x), 0)
#endif
/* Not __builtin_offsetof, which is a constant: this one is relocated when the type is the kernel's. */
#undef offsetof
#define offsetof(type, member) ((unsigned long)&((type *)0)->member)
#undef container_of
#define container_of(ptr, type, member)                                    \
	({                                                                 \
		void *__st_member = (void *)(ptr);                         \
		(type *)(__st_member - offsetof(type, member));            \
	})

/* For the compiler alone: it forgets what it knows of memory, or of one variable. */
#ifndef barrier
#define barrier() asm volatile("" ::: "memory")
#endif
#ifndef barrier_var
#define barrier_var(var) asm volatile("" : "+r"(var))
#endif
#ifndef __bpf_unreachable
#define __bpf_unreachable() __builtin_trap()
#endif

/* Is this weak kernel symbol there?  A symbol that is not weak always is, else nothing loads. */
#define bpf_ksym_exists(sym)                                                                              \
	({                                                                                                \
		_Static_assert(!__builtin_constant_p(!!sym), "declare " #sym " __weak to ask for it"); \
		!!sym;                                                                                    \
	})

#ifdef __bpf__
/* A tail call to a constant index, which JITs turn into a jump: the three arguments must reach the call untouched. */
static __always_inline void bpf_tail_call_static(void *ctx, const void *map, const unsigned int slot)
{
	if (!__builtin_constant_p(slot))
		__bpf_unreachable();
	asm volatile("r1 = %[ctx]\n\t"
		     "r2 = %[map]\n\t"
		     "r3 = %[slot]\n\t"
		     "call 12"
		     :
		     : [ctx] "r"(ctx), [map] "r"(map), [slot] "i"(slot)
		     : "r0", "r1", "r2", "r3", "r4", "r5");
}
#endif

#include "printing.h"
#include "loops.h"

#endif

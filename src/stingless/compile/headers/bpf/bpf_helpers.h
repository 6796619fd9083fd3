/* Plain eBPF C: the kernel's short type names, the helpers, and what declares programs and maps. */
#pragma once
#include <linux/types.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s8 s8;
typedef __s16 s16;
typedef __s32 s32;
typedef __s64 s64;
typedef unsigned long size_t;
#ifndef NULL
#define NULL ((void *)0)
#endif

#include <bpf/bpf_helper_defs.h>

#define SEC(name) __attribute__((section(name), used))
#define __always_inline inline __attribute__((always_inline))
#define __noinline __attribute__((noinline))
#define __uint(name, val) int (*name)[val]
#define __type(name, val) __typeof__(val) *name
#define __array(name, val) __typeof__(val) *name[]
#define offsetof(type, member) __builtin_offsetof(type, member)

/* The format lives on the program's stack, as kernels without read-only data (before 5.2) demand. */
#define bpf_printk(fmt, ...)                                           \
	({                                                             \
		char __st_fmt[] = fmt;                                 \
		bpf_trace_printk(__st_fmt, sizeof(__st_fmt), ##__VA_ARGS__); \
	})

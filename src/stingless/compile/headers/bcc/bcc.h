/* The prelude of bcc's C dialect: the kernel's short type names, the helpers, tables. */
#pragma once
#include <short_types.h>

typedef int pid_t;
typedef unsigned int uid_t;
typedef unsigned int gid_t;
typedef _Bool bool;
#define true 1
#define false 0
#define __user
#define __kernel

#define BPF_NO_GLOBAL_DATA /* formats on the stack, as kernels before 5.2 demand */
#include <bpf/bpf_helpers.h>
#undef bpf_printk
#define bpf_printk(fmt, ...) __bpf_printk(fmt, ##__VA_ARGS__) /* bpf_trace_printk() in the dialect: three arguments */
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>

#define memcpy(d, s, n) __builtin_memcpy((d), (s), (n))
#define memset(d, c, n) __builtin_memset((d), (c), (n))
#define memmove(d, s, n) __builtin_memmove((d), (s), (n))

#define htons(x) bpf_htons(x)
#define ntohs(x) bpf_ntohs(x)
#define htonl(x) bpf_htonl(x)
#define ntohl(x) bpf_ntohl(x)

#include <probes.h>
#include <tables.h>
#include <packets.h>

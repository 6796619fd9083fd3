/* What engines are compared by: the same source as eBPF programs and, by a C compiler, as native functions. */
#ifdef __bpf__
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#define PROGRAM(name) SEC("xdp") int name(struct xdp_md *ctx)
#define START ((u8 *)(long)ctx->data)
#define END ((u8 *)(long)ctx->data_end)

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 256);
	__type(key, u32);
	__type(value, u64);
} array SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, u32);
	__type(value, u64);
} hash SEC(".maps");

#define ARRAY &array
#define HASH &hash
char LICENSE[] SEC("license") = "GPL";
#else
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
struct context {
	u8 *data, *data_end;
};
#define PROGRAM(name) int name(struct context *ctx)
#define START ctx->data
#define END ctx->data_end
/* set by the benchmark: a map's look-up, called as any function is */
void *(*lookup)(void *env, void *map, void *key), *env, *array_map, *hash_map;
#define bpf_map_lookup_elem(map, key) lookup(env, map, key)
#define ARRAY array_map
#define HASH hash_map
#endif

u8 memory[8192];
u64 numbers[512];

/* FNV-1a of 4 KiB */
PROGRAM(hash_4k)
{
	u32 hash = 2166136261u;
	for (u32 i = 0; i < 4096; i++)
		hash = (hash ^ memory[i]) * 16777619u;
	return (int)(hash & 0x7fffffff);
}

/* primes below 4096 */
PROGRAM(sieve)
{
	u32 count = 0;
	for (u32 i = 0; i < 4096; i++) {
		memory[4096 + i] = 0;
		__asm__ volatile("" ::: "memory"); /* no memset(): eBPF has none */
	}
	for (u32 i = 2; i < 64; i++)
		for (u32 j = i * i; j < 4096; j += i)
			memory[4096 + j] = 1;
	for (u32 i = 2; i < 4096; i++)
		count += !memory[4096 + i];
	return (int)count;
}

/* where two blocks of 2 KiB differ first */
PROGRAM(compare)
{
	u32 i;
	for (i = 0; i < 2048; i++)
		if (memory[i] != memory[i + 2048])
			break;
	return (int)i;
}

/* xorshift and division, in registers alone */
PROGRAM(arithmetic)
{
	u64 x = numbers[0] | 1, sum = 0;
	for (u32 i = 0; i < 1000; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		sum += x / (i + 3) + (x % 1000) * i;
	}
	return (int)(sum & 0x7fffffff);
}

static inline u16 big16(const u8 *at)
{
	return (u16)(at[0] << 8 | at[1]);
}

/* Ethernet, VLAN tags, IPv4 with options, TCP or UDP: the destination port */
PROGRAM(parse)
{
	u8 *at = START, *end = END;
	if (at + 14 > end)
		return 0;
	u16 type = big16(at + 12);
	at += 14;
	for (u32 i = 0; i < 2 && (type == 0x8100 || type == 0x88a8); i++) {
		if (at + 4 > end)
			return 0;
		type = big16(at + 2);
		at += 4;
	}
	if (type != 0x0800 || at + 20 > end)
		return 0;
	u8 protocol = at[9];
	u32 length = (at[0] & 15) * 4, sum = 0;
	if (length < 20)
		return 0;
	for (u32 i = 0; i < 10; i++)
		sum += big16(at + 2 * i);
	at += length;
	if ((protocol != 6 && protocol != 17) || at + 4 > end)
		return 0;
	return big16(at + 2) + (int)(sum & 1);
}

PROGRAM(array_64)
{
	for (u32 i = 0; i < 64; i++) {
		u32 key = i * 3;
		u64 *value = bpf_map_lookup_elem(ARRAY, &key);
		if (value)
			*value += 1;
	}
	return 1;
}

PROGRAM(hash_64)
{
	for (u32 i = 0; i < 64; i++) {
		u32 key = i * 3;
		u64 *value = bpf_map_lookup_elem(HASH, &key);
		if (value)
			*value += 1;
	}
	return 1;
}

#ifndef __bpf__
/* ns a call */
struct timespec { long sec, nsec; };
int clock_gettime(int clock, struct timespec *now);
typedef u64 (*function)(void *context, u64 size);

double time_calls(function f, void *context, u64 times)
{
	struct timespec a, b;
	clock_gettime(1, &a);
	for (u64 i = 0; i < times; i++)
		f(context, 0);
	clock_gettime(1, &b);
	return ((double)(b.sec - a.sec) * 1e9 + (double)(b.nsec - a.nsec)) / (double)times;
}

typedef int (*executor)(void *vm, void *context, u64 size, u64 *result);

double time_interpreter(executor f, void *vm, void *context, u64 times)
{
	struct timespec a, b;
	u64 result;
	clock_gettime(1, &a);
	for (u64 i = 0; i < times; i++)
		f(vm, context, 256, &result);
	clock_gettime(1, &b);
	return ((double)(b.sec - a.sec) * 1e9 + (double)(b.nsec - a.nsec)) / (double)times;
}

/* a helper of ubpf: R1 is the map, R2 the key */
u64 lookup_for_ubpf(u64 map, u64 key)
{
	return (u64)lookup(env, (void *)map, (void *)key);
}
#endif

/* What the runtime takes from the process's libc, declared here since no libc header is included. */
#pragma once
#include "runtime.h"

void *malloc(usize size);
void *calloc(usize count, usize size);
void free(void *memory);
void *memcpy(void *to, const void *from, usize size);
void *memmove(void *to, const void *from, usize size);
void *memset(void *to, int byte, usize size);
int memcmp(const void *a, const void *b, usize size);
usize strlen(const char *text);

int sched_yield(void);
int sched_getcpu(void);
s32 getpid(void);
s32 gettid(void);
u32 getuid(void);
u32 getgid(void);
s64 getrandom(void *to, usize size, u32 flags);
s64 write(int fd, const void *from, usize size);
int *__errno_location(void); /* the same in glibc and musl */

struct timespec {
	s64 tv_sec, tv_nsec;
};
int clock_gettime(int clock, struct timespec *now);

struct iovec {
	void *base;
	usize size;
};
s64 process_vm_readv(s32 pid, const struct iovec *to, usize to_count, const struct iovec *from, usize from_count, usize flags);

s64 process_vm_writev(s32 pid, const struct iovec *from, usize from_count, const struct iovec *to, usize to_count, usize flags);

#define PR_GET_NAME 16
int prctl(int option, ...);

enum {
	EPERM = 1, ENOENT = 2, E2BIG = 7, EAGAIN = 11, ENOMEM = 12, EACCES = 13, EFAULT = 14, EBUSY = 16, EEXIST = 17,
	EINVAL = 22, ENOSPC = 28, ERANGE = 34, ENODATA = 61, EOPNOTSUPP = 95,
};

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* A lock for short sections.  A waiter yields, since the holder may have been preempted. */
typedef u32 st_lock;

static inline void st_acquire(st_lock *lock)
{
	while (unlikely(__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE)))
		for (u32 spins = 0; __atomic_load_n(lock, __ATOMIC_RELAXED); spins++)
			if (spins > 64)
				sched_yield();
}

static inline void st_release(st_lock *lock)
{
	__atomic_store_n(lock, 0, __ATOMIC_RELEASE);
}

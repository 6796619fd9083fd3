/* Dynptrs: 16 bytes of a program's stack that hold a piece of memory with its length, checked when it is used. */
#pragma once
#include "runtime.h"

enum st_dynptr_type { ST_DYNPTR_LOCAL = 1, ST_DYNPTR_RINGBUF = 2, ST_DYNPTR_SKB = 3, ST_DYNPTR_XDP = 4, ST_DYNPTR_SKB_META = 5 };

#define ST_DYNPTR_MAX ((1u << 24) - 1)
#define ST_DYNPTR_READ_ONLY (1u << 31)

struct st_dynptr {
	u8 *data;   /* 0: a dynptr of nothing; of packets it is not used */
	u32 size;   /* with the type in bits 28 to 30, and whether it is read only */
	u32 offset;
};

static inline u32 st_dynptr_size(const struct st_dynptr *ptr) { return ptr->size & ST_DYNPTR_MAX; }
static inline u32 st_dynptr_type(const struct st_dynptr *ptr) { return ptr->size >> 28 & 7; }
static inline bool st_dynptr_is_packet(const struct st_dynptr *ptr) { return st_dynptr_type(ptr) >= ST_DYNPTR_SKB; }

void st_dynptr_make(struct st_dynptr *ptr, void *data, enum st_dynptr_type type, u32 size, bool read_only);
/* 0 or -E2BIG: `length` bytes at `offset` are in it. */
s64 st_dynptr_check(const struct st_dynptr *ptr, u64 offset, u64 length);
/* Where its byte `offset` is; of packets too, which are linear here.  0: it moved away. */
u8 *st_dynptr_at(const struct st_env *env, const struct st_dynptr *ptr, u64 offset, u64 length);
s64 st_dynptr_read(const struct st_env *env, void *to, u64 length, const struct st_dynptr *ptr, u64 offset);
s64 st_dynptr_write(struct st_env *env, const struct st_dynptr *ptr, u64 offset, const void *from, u64 length, u64 flags);

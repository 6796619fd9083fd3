/* What the interpreter's instructions do that takes more than an expression, and its frames. */
#pragma once
#include "careful.h"
#include "interp.h"
#include "libc.h"
#include "machine.h"
#include "map.h"

#define ST_BUDGET (1ull << 24)

struct frame {
	const struct st_insn *back;
	u64 saved[4];
	u32 may_goto; /* taken in the frame that called */
};

/* Memory operands may be unaligned (packets) and of any type. */
#define UNALIGNED(type) typedef type type##_any __attribute__((aligned(1), may_alias))
UNALIGNED(u8);
UNALIGNED(u16);
UNALIGNED(u32);
UNALIGNED(u64);
UNALIGNED(s8);
UNALIGNED(s16);
UNALIGNED(s32);

static u64 swap(u64 value, s32 bits)
{
	return bits == 16 ? __builtin_bswap16((u16)value)
	     : bits == 32 ? __builtin_bswap32((u32)value)
	                  : __builtin_bswap64(value);
}

static u64 divide64(u64 a, u64 b, s16 is_signed)
{
	if (!b)
		return 0;
	if (!is_signed)
		return a / b;
	return b == ~0ull ? -a : (u64)((s64)a / (s64)b);
}

static u64 modulo64(u64 a, u64 b, s16 is_signed)
{
	if (!b)
		return a;
	if (!is_signed)
		return a % b;
	return b == ~0ull ? 0 : (u64)((s64)a % (s64)b);
}

static u32 divide32(u32 a, u32 b, s16 is_signed)
{
	if (!b)
		return 0;
	if (!is_signed)
		return a / b;
	return b == ~0u ? -a : (u32)((s32)a / (s32)b);
}

static u32 modulo32(u32 a, u32 b, s16 is_signed)
{
	if (!b)
		return a;
	if (!is_signed)
		return a % b;
	return b == ~0u ? 0 : (u32)((s32)a % (s32)b);
}

static u64 sign_extend(u64 value, s16 bits)
{
	return bits == 8 ? (u64)(s8)value : bits == 16 ? (u64)(s16)value : bits == 32 ? (u64)(s32)value : value;
}

#define ATOMIC_OPERATIONS(name, type)                                                                             \
	static bool name(type *at, u64 *operand, u64 *r0, s32 operation)                                          \
	{                                                                                                         \
		type value = (type)*operand, expected = (type)*r0;                                                \
		switch (operation) {                                                                              \
		case 0x00: __atomic_fetch_add(at, value, __ATOMIC_RELAXED); return true;                          \
		case 0x40: __atomic_fetch_or(at, value, __ATOMIC_RELAXED); return true;                           \
		case 0x50: __atomic_fetch_and(at, value, __ATOMIC_RELAXED); return true;                          \
		case 0xa0: __atomic_fetch_xor(at, value, __ATOMIC_RELAXED); return true;                          \
		case 0x01: *operand = __atomic_fetch_add(at, value, __ATOMIC_SEQ_CST); return true;               \
		case 0x41: *operand = __atomic_fetch_or(at, value, __ATOMIC_SEQ_CST); return true;                \
		case 0x51: *operand = __atomic_fetch_and(at, value, __ATOMIC_SEQ_CST); return true;               \
		case 0xa1: *operand = __atomic_fetch_xor(at, value, __ATOMIC_SEQ_CST); return true;               \
		case 0xe1: *operand = __atomic_exchange_n(at, value, __ATOMIC_SEQ_CST); return true;              \
		case 0xf1:                                                                                        \
			__atomic_compare_exchange_n(at, &expected, value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
			*r0 = expected;                                                                           \
			return true;                                                                              \
		}                                                                                                 \
		return false;                                                                                     \
	}
ATOMIC_OPERATIONS(atomic32, u32)
ATOMIC_OPERATIONS(atomic64, u64)

#define LOAD_ACQUIRE 0x100
#define STORE_RELEASE 0x110

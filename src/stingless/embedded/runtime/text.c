/* bpf_strtol(), bpf_strtoul(), bpf_strncmp(). */
#include "helpers.h"

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r') || c == '\xa0';
}

static u32 digit(char c)
{
	if (c >= '0' && c <= '9')
		return (u32)(c - '0');
	c |= 32;
	return c >= 'a' && c <= 'f' ? (u32)(c - 'a') + 10 : 99;
}

/* Bytes consumed, or -EINVAL or -ERANGE. */
static s64 parse(const char *text, u64 length, u64 flags, u64 *value, bool *negative)
{
	u32 base = flags & 0x1f;
	u64 at = 0, first, limit;
	*negative = false;
	*value = 0;
	if (!text || !length || flags & ~0x1full || (base != 0 && base != 8 && base != 10 && base != 16))
		return -EINVAL;
	while (at < length && is_space(text[at]))
		at++;
	if (at < length && text[at] == '-') {
		*negative = true;
		at++;
	}
	limit = length - at > 63 ? at + 63 : length;
	bool hex = at + 2 < limit && text[at] == '0' && (text[at + 1] | 32) == 'x' && digit(text[at + 2]) < 16;
	if (!base)
		base = hex ? 16 : at < limit && text[at] == '0' ? 8 : 10;
	if (base == 16 && at + 1 < limit && text[at] == '0' && (text[at + 1] | 32) == 'x')
		at += 2;
	for (first = at; at < limit && digit(text[at]) < base; at++)
		if (__builtin_mul_overflow(*value, (u64)base, value) || __builtin_add_overflow(*value, (u64)digit(text[at]), value))
			return -ERANGE;
	return at == first ? -EINVAL : (s64)at;
}

HELPER_DEFINE(st_strtol)
{
	u64 value;
	bool negative;
	s64 used = parse((const char *)a, b, c, &value, &negative);
	s64 *result = (s64 *)d;
	*result = 0;
	if (used < 0)
		return (u64)used;
	if (negative ? value > 1ull << 63 : value >> 63)
		return (u64)-ERANGE;
	*result = negative ? (s64)-value : (s64)value;
	return (u64)used;
}

HELPER_DEFINE(st_strtoul)
{
	u64 value;
	bool negative;
	s64 used = parse((const char *)a, b, c, &value, &negative);
	u64 *result = (u64 *)d;
	*result = 0;
	if (used < 0)
		return (u64)used;
	if (negative)
		return (u64)-EINVAL;
	*result = value;
	return (u64)used;
}

/* bpf_strncmp(s1, s1_size, s2) */
HELPER_DEFINE(st_strncmp)
{
	const u8 *x = (const u8 *)a, *y = (const u8 *)c;
	for (u32 i = 0; i < (u32)b; i++)
		if (x[i] != y[i] || !x[i])
			return x[i] == y[i] ? 0 : x[i] < y[i] ? (u64)-1 : 1;
	return 0;
}

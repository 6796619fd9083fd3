/* bpf_str*(): on strings at addresses that may be bad: -EFAULT where a kernel's memory cannot be read, -ERANGE outside of
 * it, -E2BIG for strings without an end. */
#include "kfunc.h"

#define LONGEST 65536 /* XATTR_SIZE_MAX */

/* A string read piece by piece. */
struct text {
	const struct st_env *env;
	u64 address, first, have; /* the piece in `bytes` starts at character `first` */
	char bytes[64];
};

static void open(struct text *text, const struct st_env *env, u64 address)
{
	*text = (struct text){.env = env, .address = address};
}

static s64 bad(u64 address) { return (s64)address >> 47 == -1 ? -EFAULT : -ERANGE; }

/* Character `at`, or an error, which is below -128. */
static s64 get(struct text *text, u64 at, char *byte)
{
	if (at < text->first || at >= text->first + text->have) {
		/* not over the end of a page, which may be the last */
		u64 from = text->address + at, room = 4096 - from % 4096;
		u64 piece = room < sizeof(text->bytes) ? room : sizeof(text->bytes);
		text->first = at;
		text->have = st_copy_kernel(text->env, text->bytes, from, piece, true);
		if (!text->have)
			return at ? -EFAULT : bad(text->address);
	}
	*byte = text->bytes[at - text->first];
	return 0;
}

#define GET(text, at, byte)                                   \
	do {                                                  \
		s64 error = get(&(text), at, &(byte));        \
		if (error)                                    \
			return (u64)error;                    \
	} while (0)

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

static u64 compare(const struct st_env *env, u64 a, u64 b, bool fold)
{
	struct text x, y;
	open(&x, env, a);
	open(&y, env, b);
	for (u64 i = 0; i < LONGEST; i++) {
		char c, d;
		GET(x, i, c);
		GET(y, i, d);
		if (fold)
			c = lower(c), d = lower(d);
		if (c != d)
			return (u8)c < (u8)d ? (u64)-1 : 1; /* a kernel's characters have no sign */
		if (!c)
			return 0;
	}
	return (u64)-E2BIG;
}

KFUNC(bpf_strcmp) { return compare(env, a, b, false); }
KFUNC(bpf_strcasecmp) { return compare(env, a, b, true); }

static u64 find(const struct st_env *env, u64 address, u64 most, char wanted, bool or_end)
{
	struct text text;
	open(&text, env, address);
	u64 i = 0;
	for (; i < most && i < LONGEST; i++) {
		char c;
		GET(text, i, c);
		if (c == wanted || (!c && or_end))
			return i;
		if (!c)
			return (u64)-ENOENT;
	}
	return (u64)(i == LONGEST ? -E2BIG : -ENOENT);
}

KFUNC(bpf_strchr) { return find(env, a, LONGEST, (char)b, false); }
KFUNC(bpf_strchrnul) { return find(env, a, LONGEST, (char)b, true); }
KFUNC(bpf_strnchr) { return find(env, a, b, (char)c, false); }

KFUNC(bpf_strrchr)
{
	struct text text;
	s64 last = -ENOENT;
	open(&text, env, a);
	for (u64 i = 0; i < LONGEST; i++) {
		char c;
		GET(text, i, c);
		if (c == (char)b)
			last = (s64)i;
		if (!c)
			return (u64)last;
	}
	return (u64)-E2BIG;
}

static u64 length(const struct st_env *env, u64 address, u64 most)
{
	struct text text;
	open(&text, env, address);
	u64 i = 0;
	for (; i < most && i < LONGEST; i++) {
		char c;
		GET(text, i, c);
		if (!c)
			return i;
	}
	return i == LONGEST ? (u64)-E2BIG : i;
}

KFUNC(bpf_strlen) { return length(env, a, LONGEST); }
KFUNC(bpf_strnlen) { return length(env, a, b); }

/* How many characters at the start are in the set, or are not. */
static u64 span(const struct st_env *env, u64 a, u64 b, bool in)
{
	struct text text, set;
	open(&text, env, a);
	open(&set, env, b);
	for (u64 i = 0; i < LONGEST; i++) {
		char c, each;
		u64 j = 0;
		GET(text, i, c);
		if (!c)
			return i;
		for (; j < LONGEST; j++) {
			GET(set, j, each);
			if (each == c || !each)
				break;
		}
		if (j == LONGEST)
			return (u64)-E2BIG;
		if (!each == in)
			return i;
	}
	return (u64)-E2BIG;
}

KFUNC(bpf_strspn) { return span(env, a, b, true); }
KFUNC(bpf_strcspn) { return span(env, a, b, false); }

/* Where the string `b` is in the first `most` characters of `a`. */
static u64 within(const struct st_env *env, u64 a, u64 b, u64 most)
{
	struct text text, part;
	open(&text, env, a);
	open(&part, env, b);
	for (u64 i = 0; i < LONGEST; i++) {
		u64 j = 0;
		for (; i + j <= most && j < LONGEST; j++) {
			char c, d;
			GET(part, j, d);
			if (!d)
				return i;
			if (i + j == most)
				break;
			GET(text, i + j, c);
			if (!c)
				return (u64)-ENOENT;
			if (c != d)
				break;
		}
		if (j == LONGEST)
			return (u64)-E2BIG;
		if (i + j == most)
			return (u64)-ENOENT;
	}
	return (u64)-E2BIG;
}

KFUNC(bpf_strstr) { return within(env, a, b, LONGEST); }
KFUNC(bpf_strnstr) { return within(env, a, b, c); }

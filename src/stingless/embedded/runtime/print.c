/* bpf_trace_printk() and its kin: the format directives that Linux allows, and the line of trace_pipe. */
#include "helpers.h"

#define TEXT_MAX 1024
#define STRING_MAX 512

struct out {
	char *to;
	u64 room, length; /* `length` counts on past `room`, as snprintf() does */
};

static void put(struct out *out, char byte)
{
	if (out->length < out->room)
		out->to[out->length] = byte;
	out->length++;
}

static void put_times(struct out *out, char byte, s64 times)
{
	while (times-- > 0)
		put(out, byte);
}

struct spec {
	bool minus, plus, space, zero, hash;
	u32 width;
};

static void put_field(struct out *out, const struct spec *spec, const char *prefix, const char *text, u64 length, bool zero)
{
	s64 fill = (s64)spec->width - (s64)(length + strlen(prefix));
	if (!spec->minus && !zero)
		put_times(out, ' ', fill);
	for (const char *each = prefix; *each; each++)
		put(out, *each);
	if (!spec->minus && zero)
		put_times(out, '0', fill);
	for (u64 i = 0; i < length; i++)
		put(out, text[i]);
	if (spec->minus)
		put_times(out, ' ', fill);
}

static void put_number(struct out *out, const struct spec *spec, u64 value, u32 base, bool is_signed, bool upper)
{
	char digits[24];
	u32 at = sizeof(digits);
	const char *prefix = "";
	if (is_signed) {
		prefix = (s64)value < 0 ? "-" : spec->plus ? "+" : spec->space ? " " : "";
		if ((s64)value < 0)
			value = -value;
	} else if (spec->hash && base == 16) {
		prefix = upper ? "0X" : "0x";
	}
	do
		digits[--at] = (upper ? "0123456789ABCDEF" : "0123456789abcdef")[value % base];
	while (value /= base);
	put_field(out, spec, prefix, digits + at, sizeof(digits) - at, spec->zero);
}

static void put_decimal(struct out *out, u64 value, u32 width, bool zero)
{
	struct spec spec = {.width = width, .zero = zero};
	put_number(out, &spec, value, 10, false, false);
}

static void put_text(struct out *out, const char *text)
{
	while (*text)
		put(out, *text++);
}

static void put_address(struct out *out, const u8 *bytes, char version, bool plain)
{
	for (u32 i = 0; i < (version == '4' ? 4 : 16); i++) {
		struct spec hex = {.width = 2, .zero = true};
		if (version == '4') {
			if (i)
				put(out, '.');
			put_decimal(out, bytes[i], plain ? 3 : 0, plain);
		} else {
			if (i && i % 2 == 0 && !plain)
				put(out, ':');
			put_number(out, &hex, bytes[i], 16, false, false);
		}
	}
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_alphanumeric(char c)
{
	return ((c | 32) >= 'a' && (c | 32) <= 'z') || (c >= '0' && c <= '9');
}

static bool is_punctuation(char c)
{
	return c > ' ' && c < 127 && !((c | 32) >= 'a' && (c | 32) <= 'z') && !(c >= '0' && c <= '9');
}

/* 0, or -EINVAL for what Linux refuses.  With room 0 it only validates. */
static s64 format(const struct st_env *env, struct out *out, const char *fmt, u32 size, const u64 *args, u32 count)
{
	char text[STRING_MAX];
	u32 used = 0, end = 0;
	while (end < size && fmt[end])
		end++;
	if (end == size)
		return -EINVAL;
	for (u32 i = 0; i < end; i++)
		if (((u8)fmt[i] < ' ' && !is_space(fmt[i])) || fmt[i] == 127) /* text may be UTF-8 */
			return -EINVAL;
	while (*fmt) {
		struct spec spec = {0};
		if (*fmt != '%') {
			put(out, *fmt++);
			continue;
		}
		if (*++fmt == '%') {
			put(out, *fmt++);
			continue;
		}
		if (used >= count)
			return -EINVAL;
		for (;; fmt++) {
			if (*fmt == '-') spec.minus = true;
			else if (*fmt == '+') spec.plus = true;
			else if (*fmt == ' ') spec.space = true;
			else if (*fmt == '0') spec.zero = true;
			else break;
		}
		for (; *fmt >= '0' && *fmt <= '9'; fmt++)
			spec.width = spec.width < TEXT_MAX ? spec.width * 10 + (u32)(*fmt - '0') : TEXT_MAX;
		u64 value = args[used++];
		enum st_from space = ST_ANY;
		if (*fmt == 'p') {
			char kind = fmt[1];
			if ((kind == 'k' || kind == 'u') && fmt[2] == 's') {
				space = kind == 'k' ? ST_KERNEL : ST_USER;
				fmt += 2;
			} else if (!kind || is_space(kind) || is_punctuation(kind) || kind == 'K' || kind == 'x') {
				if (!spec.width) {
					spec.width = 16;
					spec.zero = true;
				}
				put_number(out, &spec, value, 16, false, false);
				fmt += kind == 'K' || kind == 'x' ? 2 : 1;
				continue;
			} else if (kind == 's' || kind == 'S' || kind == 'B') {
				spec.hash = true;
				put_number(out, &spec, value, 16, false, false);
				fmt += 2;
				continue;
			} else if ((kind == 'i' || kind == 'I') && (fmt[2] == '4' || fmt[2] == '6')) {
				u8 bytes[16] = {0};
				u64 length = fmt[2] == '4' ? 4 : 16;
				if (st_copy_kernel(env, bytes, value, length, false) != length)
					memset(bytes, 0, sizeof(bytes));
				put_address(out, bytes, fmt[2], kind == 'i');
				for (fmt += 3; is_alphanumeric(*fmt); fmt++) /* as Linux, which knows no more forms of it here */
					;
				continue;
			} else {
				return -EINVAL;
			}
		}
		if (*fmt == 's') {
			if (out->room && st_copy_string(env, text, value, sizeof(text), space) > 0)
				put_field(out, &spec, "", text, strlen(text), false);
			else
				put_field(out, &spec, "", "", 0, false);
			fmt++;
			continue;
		}
		if (*fmt == 'c') {
			char byte = (char)value;
			put_field(out, &spec, "", &byte, 1, false);
			fmt++;
			continue;
		}
		bool wide = *fmt == 'l';
		fmt += wide;
		fmt += wide && *fmt == 'l';
		switch (*fmt++) {
		case 'i':
		case 'd': put_number(out, &spec, wide ? value : (u64)(s64)(s32)value, 10, true, false); break;
		case 'u': put_number(out, &spec, wide ? value : (u32)value, 10, false, false); break;
		case 'x': put_number(out, &spec, wide ? value : (u32)value, 16, false, false); break;
		case 'X': put_number(out, &spec, wide ? value : (u32)value, 16, false, true); break;
		default: return -EINVAL;
		}
	}
	return 0;
}

/* The line as in trace_pipe: task-pid, CPU, flags, seconds, event, text. */
static s64 trace(struct st_env *env, const char *fmt, u32 size, const u64 *args, u32 count)
{
	char line[TEXT_MAX + 128], comm[16];
	struct out out = {line, sizeof(line), 0};
	struct spec column = {.width = 16};
	struct out check = {0};
	s64 result = format(env, &check, fmt, size, args, count);
	if (result < 0)
		return result;
	u64 now = st_clock(env, 1) / 1000;
	st_task_comm(env, comm);
	put_field(&out, &column, "", comm, strlen(comm), false);
	put(&out, '-');
	column = (struct spec){.width = 7, .minus = true};
	put_number(&out, &column, (u64)st_task_pid(env), 10, true, false);
	put_text(&out, " [");
	put_decimal(&out, env->cpu, 3, true);
	put_text(&out, "] d..31 ");
	put_decimal(&out, now / 1000000, 5, false);
	put(&out, '.');
	put_decimal(&out, now % 1000000, 6, true);
	put_text(&out, ": bpf_trace_printk: ");
	u64 head = out.length;
	out.room = head + TEXT_MAX - 1;
	format(env, &out, fmt, size, args, count);
	u64 length = out.length < out.room ? out.length : out.room;
	if (env->trace)
		st_ring_write(env->trace, line, length, 0, 0, env->cpu, ST_WAKEUP_AUTO);
	return (s64)(out.length - head);
}

HELPER_DEFINE(st_trace_printk)
{
	u64 args[] = {c, d, e};
	return (u64)trace(env, (const char *)a, (u32)b, args, 3);
}

HELPER_DEFINE(st_trace_vprintk)
{
	if (d % 8 || d > 12 * 8 || (d && !c))
		return (u64)-EINVAL;
	return (u64)trace(env, (const char *)a, (u32)b, (const u64 *)c, (u32)d / 8);
}

/* bpf_snprintf(str, str_size, fmt, data, data_len); the verifier has seen that fmt is a NUL-terminated constant */
HELPER_DEFINE(st_snprintf)
{
	if (e % 8 || e > 12 * 8 || (e && !d))
		return (u64)-EINVAL;
	const char *fmt = (const char *)c;
	u32 size = (u32)strlen(fmt) + 1;
	struct out check = {0}, out = {(char *)a, (u32)b ? (u32)b - 1 : 0, 0};
	s64 result = format(env, &check, fmt, size, (const u64 *)d, (u32)e / 8);
	if (result < 0)
		return (u64)result;
	/* with no room at all, count in a buffer of our own, so that strings are counted too */
	char own[TEXT_MAX];
	if (!out.room)
		out = (struct out){own, sizeof(own), 0};
	format(env, &out, fmt, size, (const u64 *)d, (u32)e / 8);
	if ((u32)b)
		((char *)a)[(u32)b > 1 && out.length < (u32)b ? out.length : (u32)b - 1] = 0;
	return out.length + 1;
}

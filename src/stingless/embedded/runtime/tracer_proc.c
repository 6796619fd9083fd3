/* The ptrace event source: what /proc tells of a task. */
#include "tracer.h"

char *st_append_number(char *to, u64 value)
{
	char digits[20];
	u32 count = 0;
	do
		digits[count++] = '0' + value % 10;
	while (value /= 10);
	while (count)
		*to++ = digits[--count];
	return to;
}

/* Opens /proc/PID/NAME. */
static int open_proc(s32 pid, const char *name, int flags)
{
	char path[64] = "/proc/";
	char *end = st_append_number(path + 6, (u64)pid);
	*end++ = '/';
	memcpy(end, name, strlen(name) + 1);
	return (int)sys6(NR_OPENAT, -100, (long)path, flags | 02000000, 0, 0, 0); /* AT_FDCWD, O_CLOEXEC */
}

s64 st_read_proc(s32 pid, const char *name, char *to, usize room)
{
	int fd = open_proc(pid, name, 0);
	if (fd < 0)
		return fd;
	s64 size = 0, got;
	while ((usize)size < room - 1 && (got = sys6(NR_READ, fd, (long)(to + size), (long)(room - 1 - (usize)size), 0, 0, 0)) > 0)
		size += got;
	to[size] = 0;
	sys6(NR_CLOSE, fd, 0, 0, 0, 0, 0);
	return size;
}

int st_open_memory(s32 tid) { return open_proc(tid, "mem", 2); }

char *st_read_maps(s32 pid)
{
	for (usize room = 1 << 16;; room *= 2) {
		char *text = malloc(room);
		s64 size = text ? st_read_proc(pid, "maps", text, room) : -ENOMEM;
		if (size >= 0 && (usize)size < room - 1)
			return text;
		free(text);
		if (size < 0)
			return 0;
	}
}

/* The text after "\nNAME" in /proc/PID/status, or at its start. */
const char *st_proc_field(const char *text, const char *name)
{
	usize length = strlen(name);
	for (const char *line = text; line && *line;) {
		usize same = 0;
		while (same < length && line[same] == name[same])
			same++;
		if (same == length)
			return line + length;
		while (*line && *line != '\n')
			line++;
		line += *line == '\n';
	}
	return "";
}

u64 st_proc_hexadecimal(const char *text)
{
	u64 value = 0;
	for (;; text++) {
		char c = *text;
		if (c >= '0' && c <= '9')
			value = value * 16 + (u64)(c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value * 16 + (u64)(c - 'a' + 10);
		else if (c != ' ' && c != '\t')
			return value;
	}
}

u64 st_proc_number(const char *text)
{
	u64 value = 0;
	while (*text == ' ' || *text == '\t')
		text++;
	while (*text >= '0' && *text <= '9')
		value = value * 10 + (u64)(*text++ - '0');
	return value;
}

void st_read_task(struct st_thread *thread)
{
	char text[4096];
	struct st_task *task = &thread->task;
	task->pid = task->memory = thread->tid;
	if (st_read_proc(thread->tid, "status", text, sizeof text) <= 0)
		return;
	const char *name = st_proc_field(text, "Name:\t");
	memset(task->comm, 0, sizeof task->comm);
	for (u32 i = 0; i < sizeof task->comm - 1 && *name && *name != '\n'; name++) {
		if (*name == '\\' && name[1])
			name++, task->comm[i++] = *name == 'n' ? '\n' : *name;
		else
			task->comm[i++] = *name;
	}
	task->tgid = (s32)st_proc_number(st_proc_field(text, "Tgid:"));
	task->ppid = (s32)st_proc_number(st_proc_field(text, "PPid:"));
	task->uid = (u32)st_proc_number(st_proc_field(text, "Uid:"));
	task->gid = (u32)st_proc_number(st_proc_field(text, "Gid:"));
	thread->task_at = st_now();
}

bool st_trap_pends(s32 tid)
{
	char text[4096];
	if (st_read_proc(tid, "status", text, sizeof text) <= 0)
		return false;
	const char *mask = st_proc_field(text, "SigPnd:\t");
	return st_proc_hexadecimal(mask) >> 4 & 1;
}

u64 st_auxv(s32 pid, u64 type)
{
	u64 pairs[64][2];
	s64 size = st_read_proc(pid, "auxv", (char *)pairs, sizeof pairs);
	for (s64 i = 0; i < size / 16; i++)
		if (pairs[i][0] == type)
			return pairs[i][1];
	return 0;
}

char st_state(s32 tid, u32 *cpu, s32 *priority)
{
	char text[1024];
	if (st_read_proc(tid, "stat", text, sizeof text) <= 0)
		return 'X';
	const char *at = text, *end = text;
	for (; *at; at++) /* the name, which may hold anything, ends at the last parenthesis */
		if (*at == ')')
			end = at;
	if (!*end)
		return 'X';
	at = end + 2;
	char state = *at;
	for (u32 index = 3; *at; at++) {
		if (*at != ' ')
			continue;
		index++;
		if (index == 18 && priority)
			*priority = at[1] == '-' ? -(s32)st_proc_number(at + 2) : (s32)st_proc_number(at + 1);
		if (index == 39 && cpu)
			*cpu = (u32)st_proc_number(at + 1);
	}
	return state;
}

bool st_namespace(s32 tid, const char *name, u64 *device, u64 *inode)
{
	/* struct statx */
	struct {
		u8 head[32];
		u64 inode;
		u8 middle[96];
		u32 major, minor;
		u8 rest[256 - 144];
	} entry;
	char path[64] = "/proc/", *end = st_append_number(path + 6, (u64)tid);
	*end++ = '/';
	memcpy(end, name, strlen(name) + 1);
	if (sys6(NR_STATX, -100, (long)path, 0, 0x100, (long)&entry, 0) < 0)
		return false;
	*device = (u64)(entry.minor & 0xff) | (u64)entry.major << 8 | (u64)(entry.minor & ~0xffu) << 12;
	*inode = entry.inode;
	return true;
}

u32 st_last_number(const char *text)
{
	u64 last = 0;
	for (; *text && *text != '\n'; text++)
		last = *text == ' ' || *text == '\t' ? 0 : last * 10 + (u64)(*text - '0');
	return (u32)last;
}

/* Kernel objects of traced tasks: what /proc tells of their fields. */
#include "objects_proc.h"
#include "tracer.h"

enum { CLOCK_MONOTONIC = 1, CLOCK_BOOTTIME = 7, TICK = 10000000 /* ns of what /proc calls a clock tick */ };

/* Files of /proc */

static const char *text_of(struct st_objects *objects, struct st_proc_text *cache, s32 tid, const char *name)
{
	bool same = cache != &objects->other || objects->other_name == name;
	if (cache->epoch == objects->epoch && cache->tid == tid && same)
		return cache->text;
	if (cache == &objects->other)
		objects->other_name = name;
	cache->epoch = objects->epoch;
	cache->tid = tid;
	cache->text[0] = 0;
	st_read_proc(tid, name, cache->text, sizeof cache->text);
	return cache->text;
}

static const char *status(struct st_objects *objects, s32 tid, const char *name)
{
	return st_proc_field(text_of(objects, &objects->status, tid, "status"), name);
}

static const char *other(struct st_objects *objects, s32 tid, const char *name) { return text_of(objects, &objects->other, tid, name); }

/* The number at `index` of a line of them. */
static u64 number_at(const char *text, u32 index)
{
	for (;; index--) {
		while (*text == ' ' || *text == '\t')
			text++;
		if (!index)
			return st_proc_number(text);
		while (*text && *text != ' ' && *text != '\t' && *text != '\n')
			text++;
	}
}

static u32 numbers_in(const char *text)
{
	u32 count = 0;
	for (bool inside = false; *text && *text != '\n'; text++) {
		bool digit = *text >= '0' && *text <= '9';
		count += digit && !inside;
		inside = digit;
	}
	return count;
}

/* Of a thread: its group has a file too, with the sums of all. */
static const char *stat_of(struct st_objects *objects, s32 tid)
{
	char name[48] = "task/";
	if (objects->stat.epoch == objects->epoch && objects->stat.tid == tid)
		return objects->stat.text;
	char *end = st_append_number(name + 5, (u64)tid);
	memcpy(end, "/stat", 6);
	return text_of(objects, &objects->stat, tid, name);
}

/* A field of stat by its number in proc(5), and whether it was there. */
static bool stat_field(struct st_objects *objects, s32 tid, u32 wanted, u64 *value)
{
	const char *end = 0;
	for (const char *at = stat_of(objects, tid); *at; at++) /* the name, which may hold anything, ends at the last ')' */
		if (*at == ')')
			end = at + 2;
	if (!end)
		return false;
	for (u32 number = 3; number < wanted && *end; end++)
		number += *end == ' ';
	*value = *end == '-' ? (u64) - (s64)st_proc_number(end + 1) : st_proc_number(end);
	return *end != 0;
}

static char state_of(struct st_objects *objects, s32 tid)
{
	const char *state = 0;
	for (const char *at = stat_of(objects, tid); *at; at++)
		if (*at == ')')
			state = at + 2;
	return state ? *state : 0;
}

/* /proc/TID/NAME as a link: what it points to. */
static bool link_of(s32 tid, const char *name, char *to)
{
	char path[80] = "/proc/";
	char *end = st_append_number(path + 6, (u64)tid);
	*end++ = '/';
	memcpy(end, name, strlen(name) + 1);
	s64 got = sys6(NR_READLINKAT, -100, (long)path, (long)to, ST_OBJECT_TEXT - 1, 0, 0);
	if (got <= 0)
		return false;
	to[got] = 0;
	return true;
}

/* Namespaces, in the order of the kinds from uts_namespace on. */
static const char *const NAMESPACES[] = {"ns/uts", "ns/ipc", "ns/mnt", "ns/pid_for_children", "ns/net", "ns/time", "ns/cgroup", "ns/user", "ns/pid"};

static bool inode_of_namespace(s32 tid, const char *name, u64 *inode)
{
	char link[ST_OBJECT_TEXT];
	if (!link_of(tid, name, link))
		return false;
	for (const char *at = link; *at; at++)
		if (*at == '[') {
			*inode = st_proc_number(at + 1);
			return true;
		}
	return false;
}

/* Files, by their paths */

struct stat_result {
	u32 mask, blksize;
	u64 attributes;
	u32 nlink, uid, gid;
	u16 mode, spare;
	u64 ino, size;
	u8 rest[256 - 48];
};

static bool stat_path(const char *path, struct stat_result *result)
{
	return sys6(NR_STATX, -100, (long)path, 0x100, 0x7ff, (long)result, 0) == 0; /* AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS */
}

static const char *last_name(const char *path)
{
	const char *name = path;
	for (const char *at = path; *at; at++)
		if (*at == '/' && at[1])
			name = at + 1;
	return name;
}

static void parent_of(const char *path, char *to)
{
	usize length = (usize)(last_name(path) - path);
	length = length > 1 ? length - 1 : 1; /* the root is its own */
	memcpy(to, path, length);
	to[length] = 0;
}

/* The path of a task's cgroup in the v2 hierarchy, or "". */
static const char *cgroup_of(struct st_objects *objects, s32 tid, char *to)
{
	const char *line = st_proc_field(other(objects, tid, "cgroup"), "0::");
	usize length = 0;
	while (line[length] && line[length] != '\n' && length < ST_OBJECT_TEXT - 1)
		length++;
	memcpy(to, line, length);
	to[length] = 0;
	return to;
}

static bool cgroup_id(const char *cgroup, u64 *id)
{
	struct stat_result result;
	char path[ST_OBJECT_TEXT + 32] = "/sys/fs/cgroup";
	memcpy(path + 14, cgroup, strlen(cgroup) + 1);
	if (!stat_path(path, &result))
		return false;
	*id = result.ino;
	return true;
}

/* Times */

static u64 clock(s32 which)
{
	struct timespec now = {0, 0};
	clock_gettime(which, &now);
	return (u64)now.tv_sec * 1000000000 + (u64)now.tv_nsec;
}

/* To the nanosecond when we saw it start, else to a clock tick. */
static bool start_time(struct st_objects *objects, const struct st_task *current, s32 tid, bool boot, u64 *value)
{
	u64 slept = clock(CLOCK_BOOTTIME) - clock(CLOCK_MONOTONIC), ticks;
	if (current && current->start_time) {
		*value = current->start_time + (boot ? slept : 0);
		return true;
	}
	if (!stat_field(objects, tid, 22, &ticks))
		return false;
	*value = ticks * TICK - (boot ? 0 : slept);
	return true;
}

static u64 state_bits(char state)
{
	static const char STATES[] = "RSDTtXZPI"; /* the order of task states, a bit each from S on; see TASK_REPORT */
	for (u32 i = 1; STATES[i]; i++)
		if (STATES[i] == state)
			return state == 'I' ? 0x402 : 1u << (i - 1);
	return 0;
}

static enum st_value text_value(const char *from, char *to)
{
	usize length = 0;
	while (from[length] && from[length] != '\n' && length < ST_OBJECT_TEXT - 1)
		length++;
	memcpy(to, from, length);
	to[length] = 0;
	return ST_VALUE_TEXT;
}

static u64 link(struct st_objects *objects, u32 kind, s32 tid) { return tid ? st_object(objects, kind, (u32)tid, 0) : 0; }

static u64 dentry(struct st_objects *objects, const char *path) { return st_object(objects, ST_OBJECT_dentry, 0, path); }

enum st_value st_object_value(struct st_objects *objects, const struct st_object *object, u32 source, u32 index, u64 *value, char *text)
{
	s32 tid = (s32)object->id;
	const struct st_task *current = objects->current.pid == tid ? &objects->current : 0;
	char scratch[ST_OBJECT_TEXT];
	struct stat_result result;
	bool there = true;
	switch ((enum st_object_source)source) {
	case ST_FROM_PID: *value = (u32)tid; break;
	case ST_FROM_TGID: *value = current ? (u32)current->tgid : st_proc_number(status(objects, tid, "Tgid:")); break;
	case ST_FROM_COMM:
		if (current)
			return text_value(current->comm, text);
		if (!*status(objects, tid, "Name:\t"))
			return ST_VALUE_NONE;
		return text_value(status(objects, tid, "Name:\t"), text);
	case ST_FROM_STATE: *value = current ? 0 : state_bits(state_of(objects, tid)); break;
	case ST_FROM_ON_CPU: *value = current || state_of(objects, tid) == 'R'; break;
	case ST_FROM_CPU:
		*value = current ? current->cpu : 0;
		there = current || stat_field(objects, tid, 39, value);
		break;
	case ST_FROM_FLAGS: there = stat_field(objects, tid, 9, value); break;
	case ST_FROM_EXIT_CODE: *value = current ? (u32)current->exit_code : 0; break;
	case ST_FROM_EXIT_SIGNAL: there = stat_field(objects, tid, 38, value); break;
	case ST_FROM_PRIORITY: /* the kernel's scale: 100 is where ordinary tasks begin */
		there = stat_field(objects, tid, 18, value);
		*value += 100;
		break;
	case ST_FROM_STATIC_PRIORITY:
		there = stat_field(objects, tid, 19, value);
		*value += 120;
		break;
	case ST_FROM_RT_PRIORITY: there = stat_field(objects, tid, 40, value); break;
	case ST_FROM_POLICY: there = stat_field(objects, tid, 41, value); break;
	case ST_FROM_UTIME: there = stat_field(objects, tid, 14, value); *value *= TICK; break;
	case ST_FROM_STIME: there = stat_field(objects, tid, 15, value); *value *= TICK; break;
	case ST_FROM_START_TIME: there = start_time(objects, current, tid, false, value); break;
	case ST_FROM_START_BOOTTIME: there = start_time(objects, current, tid, true, value); break;
	case ST_FROM_MIN_FAULTS: there = stat_field(objects, tid, 10, value); break;
	case ST_FROM_MAJ_FAULTS: there = stat_field(objects, tid, 12, value); break;
	case ST_FROM_VOLUNTARY: *value = st_proc_number(status(objects, tid, "voluntary_ctxt_switches:")); break;
	case ST_FROM_INVOLUNTARY: *value = st_proc_number(status(objects, tid, "nonvoluntary_ctxt_switches:")); break;
	case ST_FROM_CPUS_ALLOWED: {
		const char *mask = status(objects, tid, "Cpus_allowed:");
		*value = 0;
		for (; *mask && *mask != '\n'; mask++)
			if (*mask != ',' && *mask != ' ' && *mask != '\t')
				*value += (u64)__builtin_popcount((u32)st_proc_hexadecimal((char[]){*mask, 0}));
		break;
	}
	case ST_FROM_LOGIN_UID: *value = st_proc_number(other(objects, tid, "loginuid")); break;
	case ST_FROM_SESSION: *value = st_proc_number(other(objects, tid, "sessionid")); break;
	case ST_FROM_SECCOMP: *value = st_proc_number(status(objects, tid, "Seccomp:")); break;
	case ST_FROM_IO: {
		static const char *const LINES[] = {"rchar:", "wchar:", "syscr:", "syscw:", "read_bytes:", "write_bytes:", "cancelled_write_bytes:"};
		*value = st_proc_number(st_proc_field(other(objects, tid, "io"), LINES[index]));
		break;
	}
	case ST_FROM_THREADS: *value = st_proc_number(status(objects, tid, "Threads:")); break;
	case ST_FROM_OOM_ADJUST: {
		const char *number = other(objects, tid, "oom_score_adj");
		*value = *number == '-' ? (u64) - (s64)st_proc_number(number + 1) : st_proc_number(number);
		break;
	}
	case ST_FROM_ONE: *value = 1; break;
	case ST_FROM_REAL_PARENT:
		there = (current && current->ppid) || *status(objects, tid, "PPid:");
		*value = st_object(objects, ST_OBJECT_task_struct,
				   current && current->ppid ? (u32)current->ppid : st_proc_number(status(objects, tid, "PPid:")), 0);
		break;
	case ST_FROM_LEADER:
	case ST_FROM_MM:
	case ST_FROM_SIGNAL: {
		s32 tgid = current ? current->tgid : (s32)st_proc_number(status(objects, tid, "Tgid:"));
		u64 flags = 0;
		if (source == ST_FROM_MM && stat_field(objects, tid, 9, &flags) && flags & 0x200000) /* PF_KTHREAD */
			break;
		*value = link(objects, source == ST_FROM_MM ? ST_OBJECT_mm_struct : source == ST_FROM_SIGNAL ? ST_OBJECT_signal_struct : ST_OBJECT_task_struct, tgid);
		there = tgid != 0;
		break;
	}
	case ST_FROM_CRED: *value = link(objects, ST_OBJECT_cred, tid); break;
	case ST_FROM_NSPROXY: *value = link(objects, ST_OBJECT_nsproxy, tid); break;
	case ST_FROM_THREAD_PID: *value = link(objects, ST_OBJECT_pid, tid); break;
	case ST_FROM_FS: *value = link(objects, ST_OBJECT_fs_struct, tid); break;
	case ST_FROM_CSS_SET: *value = link(objects, ST_OBJECT_css_set, tid); break;
	case ST_FROM_GROUP_PID: { /* enum pid_type: itself, the thread group, the process group, the session */
		static const char *const LINES[] = {"Pid:", "Tgid:", "NSpgid:", "NSsid:"};
		*value = link(objects, ST_OBJECT_pid, (s32)st_proc_number(status(objects, tid, LINES[index])));
		break;
	}
	case ST_FROM_UID: *value = number_at(status(objects, tid, "Uid:"), index); break;
	case ST_FROM_GID: *value = number_at(status(objects, tid, "Gid:"), index); break;
	case ST_FROM_CAPABILITIES: {
		static const char *const LINES[] = {"CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"};
		*value = st_proc_hexadecimal(status(objects, tid, LINES[index]));
		break;
	}
	case ST_FROM_USER_NS:
		there = inode_of_namespace(tid, "ns/user", &result.ino);
		*value = there ? st_object(objects, ST_OBJECT_user_namespace, result.ino, 0) : 0;
		break;
	case ST_FROM_NAMESPACE:
		there = inode_of_namespace(tid, NAMESPACES[index], &result.ino);
		*value = there ? st_object(objects, ST_OBJECT_uts_namespace + index, result.ino, 0) : 0;
		break;
	case ST_FROM_INUM: *value = object->id; break;
	case ST_FROM_NODENAME: {
		u64 own;
		if (!inode_of_namespace(getpid(), "ns/uts", &own) || own != object->id || sys6(NR_UNAME, (long)scratch, 0, 0, 0, 0, 0))
			return ST_VALUE_NONE;
		return text_value(scratch + 65, text); /* the second of the strings of struct new_utsname */
	}
	case ST_FROM_PID_LEVEL: {
		u32 count = numbers_in(status(objects, tid, "NSpid:"));
		*value = count ? count - 1 : 0;
		break;
	}
	case ST_FROM_PID_NUMBER: {
		const char *line = status(objects, tid, "NSpid:");
		*value = index < numbers_in(line) ? number_at(line, index) : 0;
		if (!*line && !index)
			*value = (u32)tid;
		break;
	}
	case ST_FROM_PID_NS: { /* of its own namespace and of ours; those between are not told */
		u32 count = numbers_in(status(objects, tid, "NSpid:"));
		*value = 0;
		if (index + 1 == count || (!index && count))
			if (inode_of_namespace(index + 1 == count ? tid : getpid(), "ns/pid", &result.ino))
				*value = st_object(objects, ST_OBJECT_pid_namespace, result.ino, 0);
		break;
	}
	case ST_FROM_MM_PLACE: there = stat_field(objects, tid, index, value); break; /* the index is the field's number */
	case ST_FROM_MM_PAGES: *value = number_at(other(objects, tid, "statm"), index); break;
	case ST_FROM_EXE_FILE:
		there = link_of(tid, "exe", scratch);
		*value = there ? st_object(objects, ST_OBJECT_file, 0, scratch) : 0;
		break;
	case ST_FROM_UMASK:
		for (const char *digit = status(objects, tid, "Umask:\t"); *digit >= '0' && *digit <= '7'; digit++)
			*value = *value * 8 + (u64)(*digit - '0');
		break;
	case ST_FROM_PATH_DENTRY: /* of a file: its own; of a task: root, working directory */
		if (object->text) {
			*value = dentry(objects, object->text);
			break;
		}
		there = link_of(tid, index ? "cwd" : "root", scratch);
		*value = there ? dentry(objects, scratch) : 0;
		break;
	case ST_FROM_DENTRY_NAME: *value = st_object(objects, ST_OBJECT_text, 0, last_name(object->text)); break;
	case ST_FROM_DENTRY_LENGTH: *value = strlen(last_name(object->text)); break;
	case ST_FROM_DENTRY_TEXT: return text_value(last_name(object->text), text);
	case ST_FROM_DENTRY_PARENT: parent_of(object->text, scratch), *value = dentry(objects, scratch); break;
	case ST_FROM_INODE: *value = st_object(objects, ST_OBJECT_inode, 0, object->text); break;
	case ST_FROM_INODE_NUMBER: there = stat_path(object->text, &result), *value = result.ino; break;
	case ST_FROM_INODE_MODE: there = stat_path(object->text, &result), *value = result.mode; break;
	case ST_FROM_INODE_SIZE: there = stat_path(object->text, &result), *value = result.size; break;
	case ST_FROM_INODE_UID: there = stat_path(object->text, &result), *value = result.uid; break;
	case ST_FROM_INODE_GID: there = stat_path(object->text, &result), *value = result.gid; break;
	case ST_FROM_CGROUP:
		there = *cgroup_of(objects, tid, scratch);
		*value = there ? st_object(objects, ST_OBJECT_cgroup, 0, scratch) : 0;
		break;
	case ST_FROM_CGROUP_NODE: *value = st_object(objects, ST_OBJECT_kernfs_node, 0, object->text); break;
	case ST_FROM_CGROUP_ID: there = cgroup_id(object->text, value); break;
	case ST_FROM_CGROUP_LEVEL:
		*value = 0;
		for (const char *at = object->text; *at; at++)
			*value += *at == '/' && at[1];
		break;
	case ST_FROM_CGROUP_NAME: /* the root's is empty */
		*value = st_object(objects, ST_OBJECT_text, 0, object->text[1] ? last_name(object->text) : "");
		break;
	case ST_FROM_CGROUP_PARENT:
		*value = 0;
		if (object->text[1])
			parent_of(object->text, scratch), *value = st_object(objects, ST_OBJECT_kernfs_node, 0, scratch);
		break;
	case ST_OBJECT_SOURCE_COUNT: return ST_VALUE_NONE;
	}
	return there ? ST_VALUE_NUMBER : ST_VALUE_NONE;
}

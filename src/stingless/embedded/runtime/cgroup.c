/* Helpers about the current task's control group, in the version 2 hierarchy. */
#include "helpers.h"
#include "tracer.h"

#define PATH_MAX 4096
#define AT_FDCWD -100

static char root[256]; /* where the hierarchy is mounted; "": nowhere to be seen */

void st_configure_cgroups(const char *mounted)
{
	usize length = strlen(mounted);
	memset(root, 0, sizeof(root));
	if (length < sizeof(root))
		memcpy(root, mounted, length);
}

/* struct statx up to the inode */
struct entry {
	u32 mask, block;
	u64 attributes;
	u32 links, uid, gid;
	u16 mode, spare;
	u64 inode;
	u8 rest[256 - 40];
};

static u64 id_of(const char *path)
{
	struct entry entry;
	return sys6(NR_STATX, AT_FDCWD, (long)path, 0, 0x100 /* STATX_INO */, (long)&entry, 0) < 0 ? 0 : entry.inode;
}

/* The ids of the current task's cgroup and those above it, the root first: how many, at most `room`. */
static u32 ids(const struct st_env *env, u64 *to, u32 room)
{
	char text[PATH_MAX], path[PATH_MAX + sizeof(root)];
	u32 count = 0;
	usize at = strlen(root);
	if (!at || st_read_proc(st_task_pid(env), "cgroup", text, sizeof(text)) <= 0)
		return 0;
	const char *own = st_proc_field(text, "0::");
	if (*own != '/')
		return 0;
	memcpy(path, root, at);
	path[at] = 0;
	to[count++] = id_of(path);
	while (count < room && *own == '/' && own[1] && own[1] != '\n') {
		path[at++] = *own++;
		while (*own && *own != '/' && *own != '\n')
			path[at++] = *own++;
		path[at] = 0;
		to[count++] = id_of(path);
	}
	return count;
}

#define LEVELS 64

HELPER_DEFINE(st_get_current_cgroup_id)
{
	u64 levels[LEVELS];
	if (!env->task)
		return st_own_cgroup;
	if (env->task->cgroup || !env->task->memory)
		return env->task->cgroup;
	u32 count = ids(env, levels, LEVELS);
	return count ? levels[count - 1] : 0;
}

/* bpf_get_current_ancestor_cgroup_id(level) */
HELPER_DEFINE(st_get_current_ancestor_cgroup_id)
{
	u64 levels[LEVELS];
	s32 level = (s32)a;
	return level < 0 || (u32)level >= ids(env, levels, LEVELS) ? 0 : levels[level];
}

/* bpf_current_task_under_cgroup(map, index): the map holds ids of cgroups. */
HELPER_DEFINE(st_current_task_under_cgroup)
{
	struct st_map *map = (struct st_map *)a;
	u32 index = (u32)b;
	u64 levels[LEVELS];
	if (index >= map->max_entries)
		return (u64)-E2BIG;
	const u64 *wanted = st_map_lookup(map, &index, env->cpu);
	if (!wanted || !*wanted)
		return (u64)-EAGAIN;
	for (u32 count = ids(env, levels, LEVELS); count; count--)
		if (levels[count - 1] == *wanted)
			return 1;
	return 0;
}

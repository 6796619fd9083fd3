/* Kernel objects of traced tasks, as programs see them through bpf_get_current_task(): structs in the layout of a given
 * kernel's types, whose known fields are filled from /proc when they are read.
 *
 * An object has an address that is nobody's memory, in the half of the address space that kernels have; pointers between
 * objects are such addresses.  A field is as fresh as the event that reads it.  What the layout does not name reads as zero,
 * and is remembered, to be told once. */
#pragma once
#include "runtime.h"

/* The structs there are. */
#define ST_OBJECT_KINDS(X)                                                                                                     \
	X(task_struct) X(mm_struct) X(cred) X(nsproxy) X(signal_struct) X(pid) X(fs_struct) X(css_set) X(cgroup) X(kernfs_node)    \
	X(file) X(dentry) X(inode) X(uts_namespace) X(ipc_namespace) X(mnt_namespace) X(pid_namespace) X(net) X(time_namespace)    \
	X(cgroup_namespace) X(user_namespace) X(text)

/* What a field can be filled with. */
#define ST_OBJECT_SOURCES(X)                                                                                                   \
	X(PID) X(TGID) X(COMM) X(STATE) X(ON_CPU) X(CPU) X(FLAGS) X(EXIT_CODE) X(EXIT_SIGNAL) X(PRIORITY) X(STATIC_PRIORITY)       \
	X(RT_PRIORITY) X(POLICY) X(UTIME) X(STIME) X(START_TIME) X(START_BOOTTIME) X(MIN_FAULTS) X(MAJ_FAULTS) X(VOLUNTARY)         \
	X(INVOLUNTARY) X(CPUS_ALLOWED) X(LOGIN_UID) X(SESSION) X(SECCOMP) X(IO) X(THREADS) X(OOM_ADJUST) X(ONE)                    \
	X(REAL_PARENT) X(LEADER) X(MM) X(CRED) X(NSPROXY) X(SIGNAL) X(THREAD_PID) X(GROUP_PID) X(FS) X(CSS_SET)                    \
	X(UID) X(GID) X(CAPABILITIES) X(USER_NS) X(NAMESPACE) X(INUM) X(NODENAME) X(PID_LEVEL) X(PID_NUMBER) X(PID_NS)             \
	X(MM_PLACE) X(MM_PAGES) X(EXE_FILE) X(UMASK) X(PATH_DENTRY) X(DENTRY_NAME) X(DENTRY_LENGTH) X(DENTRY_TEXT)                 \
	X(DENTRY_PARENT) X(INODE) X(INODE_NUMBER) X(INODE_MODE) X(INODE_SIZE) X(INODE_UID) X(INODE_GID)                            \
	X(CGROUP) X(CGROUP_NODE) X(CGROUP_ID) X(CGROUP_LEVEL) X(CGROUP_NAME) X(CGROUP_PARENT)

enum st_object_kind {
#define X(name) ST_OBJECT_##name,
	ST_OBJECT_KINDS(X)
#undef X
	ST_OBJECT_KIND_COUNT
};

enum st_object_source {
#define X(name) ST_FROM_##name,
	ST_OBJECT_SOURCES(X)
#undef X
	ST_OBJECT_SOURCE_COUNT
};

/* A field of the layout.  Mirrored in _sys/runtime_objects.py. */
struct st_object_field {
	u32 kind, source, index, offset, size;
};

/* A read of what is not known: a place in a struct. */
struct st_object_unread {
	u32 kind, offset;
};

struct st_objects;

/* Names of the kinds (0) and sources (1), each ended by a NUL, an empty one at the end. */
ST_EXPORT const char *st_object_names(u32 which);
ST_EXPORT struct st_objects *st_objects_create(const u32 *sizes, const struct st_object_field *fields, u32 count);
ST_EXPORT void st_objects_destroy(struct st_objects *objects);
/* Takes what was read in vain for the first time since the last call. */
ST_EXPORT u32 st_objects_take_unread(struct st_objects *objects, struct st_object_unread *to, u32 room);
/* Whether there is such. */
bool st_objects_has_unread(const struct st_objects *objects);

/* The address of the current task's struct, as of a new event. */
u64 st_objects_current(struct st_objects *objects, const struct st_task *task);
/* That of any task. */
u64 st_objects_task(struct st_objects *objects, s32 tid);
/* Reads from an object: bytes read, at most `size`, up to its end; with `string`, up to a NUL and with it. */
u64 st_objects_read(struct st_objects *objects, void *to, u64 address, u64 size, bool string);
/* The task is gone: another may get its number. */
void st_objects_forget(struct st_objects *objects, s32 tid);
/* The number of the object of that kind at `address`: of a task its id, of a cgroup or an inode its own; 0: there is none. */
u64 st_objects_number(struct st_objects *objects, u64 address, u32 kind);
/* Where there is no layout, the address of a task is this and its number << 14. */
#define ST_PLAIN_TASK 0xffff888000000000ull

/* Between objects.c and objects_proc.c. */
#pragma once
#include "objects.h"
#include "libc.h"
#include "map.h"

#define ST_OBJECT_TEXT 4096
#define ST_OBJECT_UNREAD 64

struct st_layout {
	u32 size, count;
	struct st_object_field *fields;
	u16 *field_at; /* of each byte: 1 + the field it is in */
	u8 *told;      /* a bit for each byte */
};

struct st_object {
	u32 kind, size;
	u64 id;     /* of a task's objects its number, of a namespace its inode; else 0 */
	char *text; /* what else names it: the path of a file or cgroup */
	u8 *bytes;
	u64 *fresh; /* the epoch that each field was filled in */
	bool gone;
};

/* The text of a file of /proc, as of an epoch. */
struct st_proc_text {
	u64 epoch;
	s32 tid;
	char text[ST_OBJECT_TEXT];
};

struct st_objects {
	st_lock lock;
	struct st_layout layouts[ST_OBJECT_KIND_COUNT];
	struct st_object *objects;
	u32 *index; /* 1 + the number of an object, by hash */
	u64 first;  /* the slot of the first one */
	u32 count;
	u64 epoch;
	struct st_task current;
	struct st_object_unread unread[ST_OBJECT_UNREAD];
	u32 unread_count;
	struct st_proc_text status, stat, other;
	const char *other_name;
};

/* objects.c: the object's address, made when there is none; 0 when there is no such struct in the layout. */
u64 st_object(struct st_objects *objects, u32 kind, u64 id, const char *text);

enum st_value { ST_VALUE_NONE, ST_VALUE_NUMBER, ST_VALUE_TEXT };
/* What a field holds now; `text` has ST_OBJECT_TEXT bytes. */
enum st_value st_object_value(struct st_objects *objects, const struct st_object *object, u32 source, u32 index, u64 *value, char *text);

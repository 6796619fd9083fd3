/* Kernel objects of traced tasks: their addresses, and their bytes.  What they hold is in objects_proc.c. */
#include "objects_proc.h"

enum { SLOT_BITS = 16, OBJECTS = 1 << 14, SPREAD = 1 << 15 };
#define BASE 0xffff888100000000ull
/* More than any kernel's structs; a bit for each byte of each kind. */
#define LARGEST (1u << SLOT_BITS)

const char *st_object_names(u32 which)
{
#define X(name) #name "\0"
	return which ? ST_OBJECT_SOURCES(X) : ST_OBJECT_KINDS(X);
#undef X
}

struct st_objects *st_objects_create(const u32 *sizes, const struct st_object_field *fields, u32 count)
{
	struct st_objects *objects = calloc(1, sizeof *objects);
	if (!objects)
		return 0;
	objects->first = 1;
	for (u32 kind = 0; kind < ST_OBJECT_KIND_COUNT; kind++) {
		struct st_layout *layout = &objects->layouts[kind];
		u32 mine = 0;
		layout->size = sizes[kind];
		if (!layout->size || layout->size > LARGEST)
			continue;
		for (u32 i = 0; i < count; i++)
			mine += fields[i].kind == kind;
		layout->fields = calloc(mine + 1, sizeof *layout->fields);
		layout->field_at = calloc(layout->size, sizeof *layout->field_at);
		layout->told = calloc(layout->size / 8 + 1, 1);
		if (!layout->fields || !layout->field_at || !layout->told) {
			st_objects_destroy(objects);
			return 0;
		}
		for (u32 i = 0; i < count; i++) {
			const struct st_object_field *field = &fields[i];
			if (field->kind != kind || field->offset + field->size > layout->size)
				continue;
			layout->fields[layout->count++] = *field;
			for (u32 at = field->offset; at < field->offset + field->size; at++)
				layout->field_at[at] = (u16)layout->count; /* 0: none */
		}
	}
	objects->objects = calloc(OBJECTS, sizeof *objects->objects);
	objects->index = calloc(SPREAD, sizeof *objects->index);
	if (!objects->objects || !objects->index) {
		st_objects_destroy(objects);
		return 0;
	}
	return objects;
}

static void drop_all(struct st_objects *objects)
{
	for (u32 i = 0; i < objects->count; i++) {
		free(objects->objects[i].bytes);
		free(objects->objects[i].fresh);
		free(objects->objects[i].text);
	}
	objects->first += objects->count;
	objects->count = 0;
	if (objects->index)
		memset(objects->index, 0, SPREAD * sizeof *objects->index);
}

void st_objects_destroy(struct st_objects *objects)
{
	if (!objects)
		return;
	drop_all(objects);
	for (u32 kind = 0; kind < ST_OBJECT_KIND_COUNT; kind++) {
		free(objects->layouts[kind].fields);
		free(objects->layouts[kind].field_at);
		free(objects->layouts[kind].told);
	}
	free(objects->objects);
	free(objects->index);
	free(objects);
}

static u64 hash(u32 kind, u64 id, const char *text)
{
	u64 value = id * 0x9e3779b97f4a7c15ull + kind + 1;
	for (; text && *text; text++)
		value = (value ^ (u8)*text) * 0x100000001b3ull;
	return value ^ value >> 29;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strlen(a) == strlen(b) && !memcmp(a, b, strlen(a)) : a == b;
}

u64 st_object(struct st_objects *objects, u32 kind, u64 id, const char *text)
{
	u32 size = kind == ST_OBJECT_text ? (u32)strlen(text) + 1 : objects->layouts[kind].size;
	if (!size || size > LARGEST)
		return 0; /* this kernel has no such struct */
	u64 at = hash(kind, id, text);
	for (;; at++) {
		u32 number = objects->index[at % SPREAD];
		if (!number)
			break;
		const struct st_object *found = &objects->objects[number - 1];
		if (found->kind == kind && found->id == id && !found->gone && same_text(found->text, text))
			return BASE + ((objects->first + number - 1) << SLOT_BITS);
	}
	if (objects->count == OBJECTS)
		return 0;
	struct st_object *made = &objects->objects[objects->count];
	*made = (struct st_object){.kind = kind, .id = id, .size = size};
	made->bytes = calloc(1, size);
	made->fresh = calloc(objects->layouts[kind].count + 1, sizeof *made->fresh);
	if (text)
		made->text = malloc(strlen(text) + 1);
	if (!made->bytes || !made->fresh || (text && !made->text)) {
		free(made->bytes), free(made->fresh), free(made->text);
		return 0;
	}
	if (text)
		memcpy(made->text, text, strlen(text) + 1);
	if (kind == ST_OBJECT_text)
		memcpy(made->bytes, text, size);
	objects->index[at % SPREAD] = ++objects->count;
	return BASE + ((objects->first + objects->count - 1) << SLOT_BITS);
}

u64 st_objects_current(struct st_objects *objects, const struct st_task *task)
{
	st_acquire(&objects->lock);
	objects->epoch++;
	if (objects->count > OBJECTS - 512) /* a program that kept an address reads nothing there: addresses are not used again */
		drop_all(objects);
	objects->current = *task;
	u64 address = st_object(objects, ST_OBJECT_task_struct, (u32)task->pid, 0);
	st_release(&objects->lock);
	return address;
}

u64 st_objects_task(struct st_objects *objects, s32 tid)
{
	st_acquire(&objects->lock);
	u64 address = st_object(objects, ST_OBJECT_task_struct, (u32)tid, 0);
	st_release(&objects->lock);
	return address;
}

static void fill(struct st_objects *objects, struct st_object *object, u32 number)
{
	const struct st_object_field *field = &objects->layouts[object->kind].fields[number];
	u8 *to = object->bytes + field->offset;
	if (object->fresh[number] == objects->epoch || object->gone)
		return;
	object->fresh[number] = objects->epoch;
	u64 value = 0;
	char text[ST_OBJECT_TEXT] = "";
	switch (st_object_value(objects, object, field->source, field->index, &value, text)) {
	case ST_VALUE_NUMBER:
		memcpy(to, &value, field->size < 8 ? field->size : 8);
		break;
	case ST_VALUE_TEXT: {
		usize length = strlen(text);
		memset(to, 0, field->size);
		memcpy(to, text, length < field->size ? length : field->size - 1);
		break;
	}
	case ST_VALUE_NONE: /* the task is gone: as it was last */
		break;
	}
}

u64 st_objects_read(struct st_objects *objects, void *to, u64 address, u64 size, bool string)
{
	u64 slot = (address - BASE) >> SLOT_BITS, offset = address & (LARGEST - 1);
	if (!objects || address < BASE)
		return 0;
	st_acquire(&objects->lock);
	struct st_object *object = slot - objects->first < objects->count ? &objects->objects[slot - objects->first] : 0;
	if (!object || offset >= object->size) {
		st_release(&objects->lock);
		return 0;
	}
	u64 end = size < object->size - offset ? offset + size : object->size;
	if (object->kind != ST_OBJECT_text) {
		struct st_layout *layout = &objects->layouts[object->kind];
		bool known = false;
		for (u64 at = offset; at < end;) {
			u32 field = layout->field_at[at];
			known |= field != 0;
			if (field) {
				fill(objects, object, field - 1);
				at = layout->fields[field - 1].offset + layout->fields[field - 1].size;
				if (string)
					break;
			} else {
				at++;
			}
		}
		if (!known && !(layout->told[offset / 8] >> offset % 8 & 1)) {
			layout->told[offset / 8] |= (u8)(1u << offset % 8);
			if (objects->unread_count < ST_OBJECT_UNREAD)
				objects->unread[objects->unread_count++] = (struct st_object_unread){object->kind, (u32)offset};
		}
	}
	u64 copied = st_copy(to, object->bytes + offset, end - offset, string);
	st_release(&objects->lock);
	return copied;
}

void st_objects_forget(struct st_objects *objects, s32 tid)
{
	if (!objects)
		return;
	st_acquire(&objects->lock);
	for (u32 i = 0; i < objects->count; i++) {
		struct st_object *object = &objects->objects[i];
		if (object->id == (u32)tid && !object->text)
			object->gone = true;
	}
	st_release(&objects->lock);
}

bool st_objects_has_unread(const struct st_objects *objects) { return objects && __atomic_load_n(&objects->unread_count, __ATOMIC_RELAXED); }

u32 st_objects_take_unread(struct st_objects *objects, struct st_object_unread *to, u32 room)
{
	st_acquire(&objects->lock);
	u32 count = objects->unread_count < room ? objects->unread_count : room;
	memcpy(to, objects->unread, count * sizeof *to);
	objects->unread_count = 0;
	st_release(&objects->lock);
	return count;
}

u64 st_objects_number(struct st_objects *objects, u64 address, u32 kind)
{
	u64 number = 0;
	char text[ST_OBJECT_TEXT];
	if (!objects || address < BASE)
		return 0;
	st_acquire(&objects->lock);
	u64 at = ((address - BASE) >> SLOT_BITS) - objects->first;
	if (at < objects->count && objects->objects[at].kind == kind && !objects->objects[at].gone) {
		const struct st_object *object = &objects->objects[at];
		u32 source = kind == ST_OBJECT_cgroup ? ST_FROM_CGROUP_ID : ST_FROM_INODE_NUMBER;
		if (kind == ST_OBJECT_task_struct)
			number = object->id;
		else
			st_object_value(objects, object, source, 0, &number, text);
	}
	st_release(&objects->lock);
	return number;
}

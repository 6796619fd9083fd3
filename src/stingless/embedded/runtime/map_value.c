/* Values: copies in and out of map memory, and the fields in them that are not data. */
#include "map_family.h"
#include "kfunc.h"
#include "timer.h"

typedef volatile u64 any_word __attribute__((aligned(1), may_alias));

/* Word by word, so that an aligned 64-bit counter never reads as half of one and half of another. */
static void copy_words(u8 *to, const u8 *from, u64 size)
{
	for (; size >= 8; to += 8, from += 8, size -= 8) {
		u64 value;
		__builtin_memcpy(&value, from, 8);
		*(any_word *)to = value;
	}
	if (size)
		memcpy(to, from, size);
}

static void clear(const struct st_map *map, u8 *value)
{
	for (u32 i = 0; i < map->field_count; i++)
		memset(value + map->fields[i].offset, 0, map->fields[i].size);
}

void st_value_read(const struct st_map *map, void *to, const u8 *from)
{
	copy_words(to, from, map->value_size);
	clear(map, to);
}

void st_value_read_all(const struct st_map *map, void *to, const u8 *from)
{
	if (map->copies == 1) {
		st_value_read(map, to, from);
		return;
	}
	copy_words(to, from, map->value_bytes);
	for (u32 cpu = 0; cpu < map->copies && map->field_count; cpu++)
		clear(map, (u8 *)to + (u64)cpu * map->stride);
}

void st_value_write(const struct st_map *map, u8 *to, const void *from)
{
	u32 at = 0;
	for (u32 i = 0; i < map->field_count; i++) { /* sorted by offset */
		const struct st_field *field = &map->fields[i];
		copy_words(to + at, (const u8 *)from + at, field->offset - at);
		at = field->offset + field->size;
	}
	copy_words(to + at, (const u8 *)from + at, map->value_size - at);
}

void st_value_write_copies(const struct st_map *map, u8 *to, const void *from, s32 cpu, bool is_new)
{
	if (is_new && (map->copies > 1 || map->field_count))
		memset(to, 0, (u64)map->stride * map->copies);
	if (map->copies == 1)
		st_value_write(map, to, from);
	else if (cpu >= 0)
		st_value_write(map, to + (u64)map->stride * (u32)cpu, from);
	else if (!map->field_count)
		copy_words(to, from, map->value_bytes);
	else
		for (u32 each = 0; each < map->copies; each++)
			st_value_write(map, to + (u64)map->stride * each, (const u8 *)from + (u64)map->stride * each);
}

void st_value_write_locked(const struct st_map *map, u8 *to, const void *from)
{
	st_lock *lock = (st_lock *)(to + map->spin_lock);
	st_acquire(lock);
	st_value_write(map, to, from);
	st_release(lock);
}

void st_value_read_locked(const struct st_map *map, void *to, u8 *from)
{
	st_lock *lock = (st_lock *)(from + map->spin_lock);
	st_acquire(lock);
	st_value_read(map, to, from);
	st_release(lock);
}

int st_check_flags(const struct st_map *map, u64 flags)
{
	u64 lock = flags & BPF_F_LOCK;
	return (flags & ~(u64)BPF_F_LOCK) > BPF_EXIST || (lock && map->spin_lock == ~0u) ? -EINVAL : 0;
}

void st_value_release(struct st_map *map, u8 *value)
{
	for (u32 copy = 0; copy < map->copies; copy++, value += map->stride)
		for (u32 i = 0; i < map->field_count; i++) {
			const struct st_field *field = &map->fields[i];
			u8 *at = value + field->offset;
			switch (field->kind) {
			case ST_FIELD_TIMER:
			case ST_FIELD_WORKQUEUE:
				st_timer_release(at);
				break;
			case ST_FIELD_LIST_HEAD: st_list_release(at); break;
			case ST_FIELD_RB_ROOT: st_tree_release(at); break;
			case ST_FIELD_KPTR: {
				void *held = __atomic_exchange_n((void **)at, 0, __ATOMIC_ACQ_REL);
				if (held)
					st_kptr_release(map, field, held);
				break;
			}
			}
		}
}

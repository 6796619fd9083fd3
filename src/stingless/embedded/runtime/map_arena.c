/* ARENA: pages that programs and user space share under the same addresses.
 *
 * A program's pointer into it is a 32-bit offset from a window of 4 GiB that the arena's pages are in, and may be any: so
 * all of the window can be read and written, and a page costs nothing before it is used.  What instructions add to a
 * pointer stays in the guards before and after. */
#include "map_family.h"

void *mmap(void *at, usize size, int protection, int flags, int fd, s64 offset);
int munmap(void *at, usize size);
int madvise(void *at, usize size, int advice);

enum {
	PROT_READ = 1, PROT_WRITE = 2, MAP_PRIVATE = 2, MAP_ANONYMOUS = 32, MAP_NORESERVE = 0x4000,
	MAP_FIXED_NOREPLACE = 0x100000, MADV_DONTNEED = 4,
};
#define MAP_FAILED ((void *)-1)
#define WINDOW (1ull << 32)
#define GUARD 65536ull
#define PAGE 4096ull

struct arena {
	st_lock lock;
	u8 *window;
	u8 used[]; /* a byte a page */
};

static u8 *reserve(u8 *at, u64 size)
{
	u8 *found = mmap(at, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (at ? MAP_FIXED_NOREPLACE : 0), -1, 0);
	if (found == MAP_FAILED || (at && found != at)) {
		if (found != MAP_FAILED)
			munmap(found, size);
		return 0;
	}
	return found;
}

/* `extra` is the address that user space wants the pages at, or 0. */
static int arena_create(struct st_map *map, u64 extra)
{
	struct arena *arena = map->state = calloc(1, sizeof(*arena) + map->max_entries);
	if (!arena)
		return -ENOMEM;
	map->memory_size = map->max_entries * PAGE;
	if (extra) {
		u8 *window = (u8 *)(extra & ~(WINDOW - 1));
		if (!reserve(window - GUARD, WINDOW + 2 * GUARD))
			return -EBUSY;
		arena->window = window;
		map->memory = (u8 *)extra;
		return 0;
	}
	u64 size = 2 * WINDOW + 2 * GUARD;
	u8 *found = reserve(0, size);
	if (!found)
		return -ENOMEM;
	arena->window = (u8 *)(((u64)found + GUARD + WINDOW - 1) & ~(WINDOW - 1));
	u64 before = (u64)(arena->window - GUARD - found), all = WINDOW + 2 * GUARD;
	if (before)
		munmap(found, before);
	if (size - before - all)
		munmap(found + before + all, size - before - all);
	map->memory = arena->window;
	return 0;
}

static void arena_destroy(struct st_map *map)
{
	struct arena *arena = map->state;
	if (arena && arena->window)
		munmap(arena->window - GUARD, WINDOW + 2 * GUARD);
	map->memory = 0; /* not from malloc() */
	free(arena);
}

u8 *st_arena_window(const struct st_map *map)
{
	return ((struct arena *)map->state)->window;
}

u64 st_arena_alloc(struct st_map *map, u64 address, u32 pages)
{
	struct arena *arena = map->state;
	u64 result = 0, start = (u64)map->memory;
	u32 first = 0, run = 0, last = map->max_entries;
	if (!pages || pages > map->max_entries)
		return 0;
	if (address) { /* there or nowhere */
		u64 offset = (u32)address - (u64)(u32)start;
		if (address % PAGE || offset >= map->memory_size || map->memory_size - offset < pages * PAGE)
			return 0;
		first = (u32)(offset / PAGE);
		last = first + pages;
	}
	st_acquire(&arena->lock);
	for (u32 page = first; page < last && run < pages; page++) {
		run = arena->used[page] ? 0 : run + 1;
		if (run == pages) {
			result = start + (page + 1 - pages) * PAGE;
			memset(arena->used + (page + 1 - pages), 1, pages);
		}
	}
	st_release(&arena->lock);
	return result;
}

void st_arena_free(struct st_map *map, u64 address, u32 pages)
{
	struct arena *arena = map->state;
	u64 offset = (u32)address - (u64)(u32)(u64)map->memory;
	if (address % PAGE || offset >= map->memory_size)
		return;
	u64 most = (map->memory_size - offset) / PAGE;
	u64 count = pages < most ? pages : most;
	st_acquire(&arena->lock);
	memset(arena->used + offset / PAGE, 0, count);
	madvise(map->memory + offset, count * PAGE, MADV_DONTNEED);
	st_release(&arena->lock);
}

const struct st_map_ops st_arena_ops = {.create = arena_create, .destroy = arena_destroy};

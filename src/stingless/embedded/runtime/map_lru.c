/* Which element of an LRU hash goes when one is needed.
 *
 * The rules are those of Linux (kernel/bpf/bpf_lru_list.c), so that the same uses leave the same keys: a global pair of
 * lists, active and inactive, that a "referenced" mark moves elements between, and for each CPU a list of free elements
 * that it takes in batches and one of those that it inserted since ("pending").  With BPF_F_NO_COMMON_LRU each CPU has a
 * pair of its own and nothing is shared.
 *
 * Lists are circular, linked by element numbers; their heads have numbers from HEADS on. */
#include "map_family.h"

enum { ACTIVE, INACTIVE, FREE, LOCAL_FREE, PENDING };

#define HEADS (1u << 31)
#define SCANS 128       /* elements that one rotation looks at */
#define TARGET 128      /* that a CPU takes at once, at most */
#define OWN_SCANS 4     /* the same without a common list */
#define OWN_TARGET 4

struct head {
	u32 newer, older; /* the oldest and the newest element: the ring goes on */
};

struct lists { /* one, or one a CPU */
	st_lock lock;
	u32 first_head;  /* heads of ACTIVE, INACTIVE, FREE */
	u32 counts[3];
	u32 rotation;    /* where the next look at INACTIVE begins */
};

struct local {
	st_lock lock;
	u32 first_head;  /* heads of LOCAL_FREE, PENDING */
	u32 steal;       /* the CPU to steal from next */
};

struct lru {
	u32 scans, target;
	bool common;
	struct head *heads;
	struct lists *lists;
	struct local *locals; /* common: one a CPU */
};

/* The ring's links: `newer` of a head is its oldest element, `older` its newest. */
static u32 *newer(const struct st_map *map, u32 number)
{
	struct lru *lru = map->state;
	return number & HEADS ? &lru->heads[number & ~HEADS].newer : &st_element_at(map, number)->link;
}

static u32 *older(const struct st_map *map, u32 number)
{
	struct lru *lru = map->state;
	return number & HEADS ? &lru->heads[number & ~HEADS].older : &st_element_at(map, number)->back;
}

static void take_out(struct st_map *map, u32 number)
{
	u32 a = *newer(map, number), b = *older(map, number);
	*older(map, a) = b;
	*newer(map, b) = a;
}

/* As the newest of a list. */
static void put_in(struct st_map *map, u32 head, u32 number)
{
	u32 newest = *older(map, head);
	*newer(map, number) = head;
	*older(map, number) = newest;
	*older(map, head) = number;
	*newer(map, newest) = number;
}

static u32 head_of(u32 first_head, u32 list)
{
	return HEADS | (first_head + list);
}

static u32 newest(const struct st_map *map, u32 head)
{
	return *older(map, head);
}

static u32 oldest(const struct st_map *map, u32 head)
{
	return *newer(map, head);
}

static bool is_referenced(const struct st_map *map, u32 number)
{
	return __atomic_load_n(&st_element_at(map, number)->referenced, __ATOMIC_RELAXED);
}

/* What is looked at next moves on before its element goes elsewhere. */
static void leave(struct st_map *map, struct lists *lists, u32 number)
{
	struct st_element *element = st_element_at(map, number);
	if (lists->rotation == number)
		lists->rotation = *newer(map, number);
	lists->counts[element->list]--;
	take_out(map, number);
}

static void enter(struct st_map *map, struct lists *lists, u32 number, u32 list)
{
	struct st_element *element = st_element_at(map, number);
	element->list = (u8)list;
	element->referenced = 0;
	lists->counts[list]++;
	put_in(map, head_of(lists->first_head, list), number);
}

static void move(struct st_map *map, struct lists *lists, u32 number, u32 list)
{
	leave(map, lists, number);
	enter(map, lists, number, list);
}

/* Elements that are not used any more go from ACTIVE to INACTIVE, those that are get another round. */
static void rotate_active(struct st_map *map, struct lists *lists)
{
	struct lru *lru = map->state;
	u32 head = head_of(lists->first_head, ACTIVE), last = newest(map, head);
	u32 number = oldest(map, head);
	for (u32 i = 0; i < lru->scans && !(number & HEADS); i++) {
		u32 following = *newer(map, number);
		move(map, lists, number, is_referenced(map, number) ? ACTIVE : INACTIVE);
		if (number == last)
			break;
		number = following;
	}
}

/* Elements of INACTIVE that were used since go to ACTIVE; the look begins where the last one ended. */
static void rotate_inactive(struct st_map *map, struct lists *lists)
{
	struct lru *lru = map->state;
	u32 head = head_of(lists->first_head, INACTIVE);
	if (oldest(map, head) == head)
		return;
	u32 last = *older(map, lists->rotation), at = lists->rotation, following = at;
	if (last == head)
		last = *older(map, last);
	for (u32 i = 0; i < lru->scans;) {
		if (at == head) {
			at = *newer(map, at);
			continue;
		}
		following = *newer(map, at);
		if (is_referenced(map, at))
			move(map, lists, at, ACTIVE);
		if (at == last)
			break;
		at = following;
		i++;
	}
	lists->rotation = following;
}

static void rotate(struct st_map *map, struct lists *lists)
{
	if (lists->counts[INACTIVE] < lists->counts[ACTIVE])
		rotate_active(map, lists);
	rotate_inactive(map, lists);
}

static void release_to(struct st_map *map, struct lists *lists, u32 number, u32 head, u32 list)
{
	leave(map, lists, number);
	st_element_at(map, number)->list = (u8)list;
	if (list == FREE)
		lists->counts[FREE]++;
	put_in(map, head, number);
}

/* Takes up to `wanted` of the longest unused elements out of the map, into the list `head`; one at least, used or not. */
static void shrink(struct st_map *map, struct lists *lists, u32 wanted, u32 head, u32 list)
{
	struct lru *lru = map->state;
	u32 inactive = head_of(lists->first_head, INACTIVE), done = 0;
	u32 number = oldest(map, inactive);
	for (u32 i = 0; i < lru->scans && !(number & HEADS); i++) {
		u32 following = *newer(map, number);
		if (is_referenced(map, number)) {
			move(map, lists, number, ACTIVE);
		} else if (st_hash_evict(map, number)) {
			release_to(map, lists, number, head, list);
			if (++done == wanted)
				return;
		}
		number = following;
	}
	if (done)
		return;
	number = oldest(map, inactive);
	if (number == inactive)
		number = oldest(map, head_of(lists->first_head, ACTIVE));
	for (; !(number & HEADS); number = *newer(map, number))
		if (st_hash_evict(map, number)) {
			release_to(map, lists, number, head, list);
			return;
		}
}

/* ---- one pair of lists for all CPUs ---- */

static void refill(struct st_map *map, struct local *local)
{
	struct lru *lru = map->state;
	struct lists *lists = lru->lists;
	u32 to = head_of(local->first_head, 0), pending = head_of(local->first_head, 1), taken = 0;
	st_acquire(&lists->lock);
	for (u32 number; !((number = oldest(map, pending)) & HEADS);) {
		bool referenced = is_referenced(map, number);
		take_out(map, number);
		enter(map, lists, number, referenced ? ACTIVE : INACTIVE);
	}
	rotate(map, lists);
	for (u32 number; taken < lru->target && !((number = newest(map, head_of(lists->first_head, FREE))) & HEADS); taken++)
		release_to(map, lists, number, to, LOCAL_FREE);
	if (taken < lru->target)
		shrink(map, lists, lru->target - taken, to, LOCAL_FREE);
	st_release(&lists->lock);
}

static u32 pop_free(struct st_map *map, struct local *local)
{
	u32 number = newest(map, head_of(local->first_head, 0));
	if (number & HEADS)
		return 0;
	take_out(map, number);
	return number;
}

static u32 pop_pending(struct st_map *map, struct local *local)
{
	for (int force = 0; force < 2; force++)
		for (u32 number = oldest(map, head_of(local->first_head, 1)); !(number & HEADS); number = *newer(map, number))
			if ((force || !is_referenced(map, number)) && st_hash_evict(map, number)) {
				take_out(map, number);
				return number;
			}
	return 0;
}

static void add_pending(struct st_map *map, struct local *local, u32 cpu, u32 number)
{
	struct st_element *element = st_element_at(map, number);
	element->cpu = (u16)cpu;
	element->list = PENDING;
	element->referenced = 0;
	put_in(map, head_of(local->first_head, 1), number);
}

static u32 take_common(struct st_map *map, u32 cpu)
{
	struct lru *lru = map->state;
	struct local *local = &lru->locals[cpu];
	st_acquire(&local->lock);
	u32 number = pop_free(map, local);
	if (!number) {
		refill(map, local);
		number = pop_free(map, local);
	}
	if (number)
		add_pending(map, local, cpu, number);
	st_release(&local->lock);
	u32 first = __atomic_load_n(&local->steal, __ATOMIC_RELAXED), from = first;
	if (number)
		return number;
	do {
		struct local *other = &lru->locals[from];
		st_acquire(&other->lock);
		if (!(number = pop_free(map, other)))
			number = pop_pending(map, other);
		st_release(&other->lock);
		from = from + 1 == st_cpus ? 0 : from + 1;
	} while (!number && from != first);
	__atomic_store_n(&local->steal, from, __ATOMIC_RELAXED);
	if (number) {
		st_acquire(&local->lock);
		add_pending(map, local, cpu, number);
		st_release(&local->lock);
	}
	return number;
}

static void give_common(struct st_map *map, u32 number)
{
	struct lru *lru = map->state;
	struct st_element *element = st_element_at(map, number);
	if (__atomic_load_n(&element->list, __ATOMIC_RELAXED) == PENDING) {
		struct local *local = &lru->locals[element->cpu];
		st_acquire(&local->lock);
		bool mine = element->list == PENDING;
		if (mine) {
			take_out(map, number);
			element->list = LOCAL_FREE;
			element->referenced = 0;
			put_in(map, head_of(local->first_head, 0), number);
		}
		st_release(&local->lock);
		if (mine)
			return;
	}
	st_acquire(&lru->lists->lock);
	move(map, lru->lists, number, FREE);
	st_release(&lru->lists->lock);
}

/* ---- a pair for each CPU ---- */

static u32 take_own(struct st_map *map, u32 cpu)
{
	struct lru *lru = map->state;
	struct lists *lists = &lru->lists[cpu];
	u32 free = head_of(lists->first_head, FREE);
	st_acquire(&lists->lock);
	rotate(map, lists);
	if (newest(map, free) == free)
		shrink(map, lists, OWN_TARGET, free, FREE);
	u32 number = newest(map, free);
	if (number & HEADS)
		number = 0;
	else
		move(map, lists, number, INACTIVE);
	st_release(&lists->lock);
	return number;
}

static void give_own(struct st_map *map, u32 number)
{
	struct lists *lists = &((struct lru *)map->state)->lists[st_element_at(map, number)->cpu];
	st_acquire(&lists->lock);
	move(map, lists, number, FREE);
	st_release(&lists->lock);
}

u32 st_lru_take(struct st_map *map, u32 cpu)
{
	return ((struct lru *)map->state)->common ? take_common(map, cpu) : take_own(map, cpu);
}

void st_lru_give(struct st_map *map, u32 number)
{
	if (((struct lru *)map->state)->common)
		give_common(map, number);
	else
		give_own(map, number);
}

static bool populate(struct st_map *map)
{
	struct lru *lru = map->state;
	u32 sets = lru->common ? 1 : st_cpus, heads = 3 * sets + (lru->common ? 2 * st_cpus : 0);
	lru->heads = calloc(heads, sizeof(*lru->heads));
	lru->lists = calloc(sets, sizeof(*lru->lists));
	if (lru->common)
		lru->locals = calloc(st_cpus, sizeof(*lru->locals));
	/* the elements' memory comes after create(), and their lists with it */
	map->memory = calloc(1, map->memory_size);
	if (!lru->heads || !lru->lists || (lru->common && !lru->locals) || !map->memory)
		return false;
	for (u32 i = 0; i < heads; i++)
		lru->heads[i] = (struct head){HEADS | i, HEADS | i};
	for (u32 set = 0; set < sets; set++) {
		lru->lists[set].first_head = 3 * set;
		lru->lists[set].rotation = head_of(3 * set, INACTIVE);
	}
	for (u32 cpu = 0; lru->common && cpu < st_cpus; cpu++) {
		lru->locals[cpu].first_head = 3 + 2 * cpu;
		lru->locals[cpu].steal = cpu;
	}
	u32 share = map->max_entries / sets;
	for (u32 number = 1; number <= map->max_entries; number++) {
		u32 set = (number - 1) / share < sets ? (number - 1) / share : sets - 1;
		st_element_at(map, number)->cpu = (u16)set;
		enter(map, &lru->lists[set], number, FREE);
	}
	return true;
}

int st_lru_create(struct st_map *map)
{
	struct lru *lru = map->state = calloc(1, sizeof(*lru));
	if (!lru)
		return -ENOMEM;
	lru->common = !(map->flags & ST_NO_COMMON_LRU);
	u32 share = map->max_entries / st_cpus / 2;
	lru->target = share < 1 ? 1 : share > TARGET ? TARGET : share;
	lru->scans = lru->common ? SCANS : OWN_SCANS;
	return populate(map) ? 0 : -ENOMEM;
}

void st_lru_destroy(struct st_map *map)
{
	struct lru *lru = map->state;
	if (!lru)
		return;
	free(lru->heads);
	free(lru->lists);
	free(lru->locals);
}

/* The threads of what is traced, and the processes that they are of. */
#include "map.h"
#include "tracer.h"

struct st_thread **st_slot_of(struct st_tracer *tracer, s32 tid)
{
	struct st_thread **at = &tracer->threads[(u32)tid % ST_THREADS];
	while (*at && (*at)->tid != tid)
		at = &(*at)->next;
	return at;
}

struct st_thread *st_find(struct st_tracer *tracer, s32 tid) { return *st_slot_of(tracer, tid); }

struct st_thread *st_add_thread(struct st_tracer *tracer, s32 tid)
{
	struct st_thread *thread = calloc(1, sizeof *thread);
	if (!thread)
		return 0;
	thread->tid = tid;
	*st_slot_of(tracer, tid) = thread;
	tracer->thread_count++;
	return thread;
}

static void leave_group(struct st_thread *thread)
{
	struct st_group *group = thread->group;
	thread->group = 0;
	if (!group)
		return;
	if (!thread->exiting)
		group->live--;
	if (!--group->uses)
		free(group);
}

bool st_join_group(struct st_thread *thread, struct st_group *group, s32 tgid)
{
	if (!group) {
		group = calloc(1, sizeof *group);
		if (!group)
			return false;
		group->tgid = tgid;
	}
	group->uses++;
	group->live++;
	thread->group = group;
	return true;
}

void st_remove_thread(struct st_tracer *tracer, s32 tid)
{
	struct st_thread **at = st_slot_of(tracer, tid), *thread = *at;
	if (!thread)
		return;
	st_step_forget(tracer, thread);
	st_objects_forget(tracer->objects, tid);
	st_storage_forget(ST_TASK_STORAGE, (u64)tid);
	*at = thread->next;
	leave_group(thread);
	st_space_release(thread->space);
	free(thread->returns);
	free(thread);
	tracer->thread_count--;
}

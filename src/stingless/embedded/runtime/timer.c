/* bpf_timer and bpf_wq: a thread of the runtime calls back when timers are due, one after the other; work is due at once.
 *
 * A value holds a pointer to its timer.  A callback runs as its program would, on the slot of a CPU.  What waits for a
 * callback to end is bpf_timer_cancel(), as on Linux, and the end of a program; a value that goes away does not: its timer
 * is freed once its callback is over. */
#include "kfunc.h"
#include "timer.h"
#include "tracer.h"

enum { REALTIME = 0, MONOTONIC = 1, BOOTTIME = 7, ABSOLUTE = 1, PIN_CPU = 2, CLOCKS = 16, EDEADLK = 35 };

struct st_timer {
	struct st_timer *next; /* of those that are armed */
	struct st_map *map;
	void *value;
	const struct st_prog *prog;
	u64 callback, due;     /* ns of its clock */
	u32 clock;
	bool armed, running, gone;
};

static st_lock lock;
static struct st_timer *armed;
static const struct st_timer *running; /* and not over */
static u32 wake;          /* futex: changes when the thread has to look again */
static u32 over;          /* futex: changes when a callback is over */
static s32 thread_of;     /* the process that has the thread: a child made by fork(2) has none */
static s32 thread_id;

int pthread_create(unsigned long *thread, const void *attributes, void *(*entry)(void *), void *argument);
int pthread_detach(unsigned long thread);

static void wait_for(u32 *word, u32 value, const struct timespec *time)
{
	sys6(NR_FUTEX, (long)word, 128 /* FUTEX_WAIT_PRIVATE */, value, (long)time, 0, 0);
}

static void notify(u32 *word)
{
	__atomic_add_fetch(word, 1, __ATOMIC_RELEASE);
	sys6(NR_FUTEX, (long)word, 129 /* FUTEX_WAKE_PRIVATE */, 0x7fffffff, 0, 0, 0);
}

static u64 now_of(u32 clock)
{
	struct timespec now;
	clock_gettime((int)clock, &now);
	return (u64)now.tv_sec * 1000000000 + (u64)now.tv_nsec;
}

static void disarm(struct st_timer *timer)
{
	for (struct st_timer **link = &armed; *link; link = &(*link)->next)
		if (*link == timer) {
			*link = timer->next;
			break;
		}
	timer->armed = false;
}

/* Under the lock: the next that is due, or 0 with how long to wait. */
static struct st_timer *next_due(u64 *wait)
{
	struct st_timer *found = 0;
	s64 least = 0;
	for (struct st_timer *each = armed; each; each = each->next) {
		s64 left = (s64)(each->due - now_of(each->clock));
		if (!found || left < least)
			found = each, least = left;
	}
	*wait = found && least > 0 ? (u64)least : 0;
	return found;
}

/* The key that the callback gets: of a hash the element's own, of an array its number. */
static u64 key_of(const struct st_timer *timer, u32 *number)
{
	const struct st_map *map = timer->map;
	if (map->buckets)
		return (u64)timer->value - map->value_offset + map->key_offset;
	*number = (u32)(((u64)timer->value - (u64)map->memory) / (map->stride ? map->stride : 1));
	return (u64)number;
}

struct firing {
	struct st_timer *timer;
	const struct st_prog *prog;
	u64 callback, value;
	bool started;
};

/* On the slot of a CPU: whoever cancels from another program on this CPU is not waited for by us, nor we by it. */
static bool may_start(void *state)
{
	struct firing *firing = state;
	st_acquire(&lock);
	struct st_timer *timer = firing->timer;
	for (struct st_timer *each = armed; each && !firing->started; each = each->next)
		if (each == timer && timer->prog == firing->prog && timer->callback == firing->callback &&
		    (u64)timer->value == firing->value && (s64)(timer->due - now_of(timer->clock)) <= 0) {
			disarm(timer);
			timer->running = true;
			running = timer;
			firing->started = true;
		}
	st_release(&lock);
	return firing->started;
}

static void fire(struct st_timer *timer)
{
	struct firing firing = {.timer = timer};
	struct st_env env = {0};
	u64 key = 0, map = 0;
	u32 number = 0;
	st_acquire(&lock);
	for (struct st_timer *each = armed; each; each = each->next)
		if (each == timer) {
			firing.prog = timer->prog, firing.callback = timer->callback, firing.value = (u64)timer->value;
			env = *timer->prog->env_default;
			key = key_of(timer, &number), map = (u64)timer->map;
		}
	st_release(&lock);
	if (!firing.prog)
		return;
	st_run_function(firing.prog, &env, firing.callback, map, key, firing.value, may_start, &firing);
	if (!firing.started)
		return;
	st_acquire(&lock);
	running = 0;
	timer->running = false;
	bool gone = timer->gone;
	st_release(&lock);
	if (gone)
		free(timer);
	notify(&over);
}

static void *thread(void *unused)
{
	thread_id = gettid();
	for (;;) {
		u32 seen = __atomic_load_n(&wake, __ATOMIC_ACQUIRE);
		u64 wait;
		st_acquire(&lock);
		struct st_timer *timer = next_due(&wait);
		st_release(&lock);
		struct timespec time = {(s64)(wait / 1000000000), (s64)(wait % 1000000000)};
		if (timer && !wait)
			fire(timer);
		else
			wait_for(&wake, seen, timer ? &time : 0);
	}
	return unused;
}

/* Under the lock.  Signals are for the process's own threads. */
static bool start_thread(void)
{
	unsigned long made;
	u64 all = ~0ull, before;
	s32 own = getpid();
	if (thread_of == own)
		return true;
	sys6(NR_RT_SIGPROCMASK, 0 /* SIG_BLOCK */, (long)&all, (long)&before, 8, 0, 0);
	bool ok = !pthread_create(&made, 0, thread, 0);
	sys6(NR_RT_SIGPROCMASK, 2 /* SIG_SETMASK */, (long)&before, 0, 8, 0, 0);
	if (!ok)
		return false;
	pthread_detach(made);
	thread_of = own;
	return true;
}

static struct st_timer **place_of(u64 field) { return (struct st_timer **)field; }

static u64 init(u64 a, struct st_map *map, u32 clock, u32 kind)
{
	struct st_timer *made = calloc(1, sizeof(*made)), *none = 0;
	if (!made)
		return (u64)-ENOMEM;
	*made = (struct st_timer){.map = map, .clock = clock};
	for (u32 i = 0; i < map->field_count; i++)
		if (map->fields[i].kind == kind)
			made->value = (u8 *)a - map->fields[i].offset;
	if (!made->value) {
		free(made);
		return (u64)-EINVAL;
	}
	if (__atomic_compare_exchange_n(place_of(a), &none, made, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return 0;
	free(made);
	return (u64)-EBUSY;
}

/* bpf_timer_init(timer, map, flags) */
HELPER_DEFINE(st_timer_init)
{
	if (c >= CLOCKS || (c != REALTIME && c != MONOTONIC && c != BOOTTIME))
		return (u64)-EINVAL;
	return init(a, (struct st_map *)b, (u32)c, ST_FIELD_TIMER);
}

/* bpf_wq_init(work, map, flags), bpf_wq_set_callback(work, callback, flags), bpf_wq_start(work, flags) */
KFUNC(bpf_wq_init) { return c ? (u64)-EINVAL : init(a, (struct st_map *)b, MONOTONIC, ST_FIELD_WORKQUEUE); }
KFUNC(bpf_wq_set_callback_impl) { return c ? (u64)-EINVAL : st_timer_set_callback(env, a, b, 0, 0, 0); }
KFUNC(bpf_wq_start) { return b ? (u64)-EINVAL : st_timer_start(env, a, 0, 0, 0, 0); }

/* bpf_timer_set_callback(timer, callback) */
HELPER_DEFINE(st_timer_set_callback)
{
	st_acquire(&lock);
	struct st_timer *timer = *place_of(a);
	if (timer) {
		timer->prog = env->prog;
		timer->callback = b;
	}
	st_release(&lock);
	return (u64)(timer ? 0 : -EINVAL);
}

/* bpf_timer_start(timer, nanoseconds, flags) */
HELPER_DEFINE(st_timer_start)
{
	s64 result = 0;
	if (c & ~(u64)(ABSOLUTE | PIN_CPU))
		return (u64)-EINVAL;
	st_acquire(&lock);
	struct st_timer *timer = *place_of(a);
	if (!timer || !timer->prog) {
		result = -EINVAL;
	} else if (!start_thread()) {
		result = -ENOMEM;
	} else {
		if (timer->armed)
			disarm(timer);
		u64 now = now_of(timer->clock), most = ~0ull >> 1;
		timer->due = c & ABSOLUTE ? b : b > most - now ? most : now + b;
		timer->armed = true;
		timer->next = armed;
		armed = timer;
	}
	st_release(&lock);
	notify(&wake);
	return (u64)result;
}

/* Without the lock: until no callback of `timer`, or of `prog`, runs. */
static void await(const struct st_timer *timer, const struct st_prog *prog)
{
	for (;;) {
		u32 seen = __atomic_load_n(&over, __ATOMIC_ACQUIRE);
		st_acquire(&lock);
		bool busy = running && thread_of == getpid() && (running == timer || (prog && running->prog == prog));
		st_release(&lock);
		if (!busy)
			return;
		wait_for(&over, seen, 0);
	}
}

/* bpf_timer_cancel(timer): whether it was armed, once its callback is over. */
HELPER_DEFINE(st_timer_cancel)
{
	st_acquire(&lock);
	struct st_timer *timer = *place_of(a);
	s64 result = !timer ? -EINVAL : timer->running && gettid() == thread_id ? -EDEADLK : timer->armed;
	if (result == 1)
		disarm(timer);
	if (result >= 0)
		timer->prog = 0; /* as on Linux: to start it again it needs a callback again */
	st_release(&lock);
	if (result >= 0)
		await(timer, 0);
	return (u64)result;
}

void st_timer_release(void *field)
{
	struct st_timer *timer = __atomic_exchange_n((struct st_timer **)field, 0, __ATOMIC_ACQ_REL);
	if (!timer)
		return;
	st_acquire(&lock);
	if (timer->armed)
		disarm(timer);
	timer->gone = true;
	bool is_running = timer->running;
	st_release(&lock);
	if (!is_running)
		free(timer);
}

void st_timers_forget(const struct st_prog *prog)
{
	st_acquire(&lock);
	for (struct st_timer *each = armed, *next; each; each = next) {
		next = each->next;
		if (each->prog == prog)
			disarm(each);
	}
	st_release(&lock);
	await(0, prog);
}

/* Counters, locks and ids that are structs. */
#define __kuid_val(uid) ((uid).val)
#define __kgid_val(gid) ((gid).val)
#define KUIDT_INIT(value) ((kuid_t){value})
#define KGIDT_INIT(value) ((kgid_t){value})
#define GLOBAL_ROOT_UID KUIDT_INIT(0)
#define INVALID_UID KUIDT_INIT(-1)
#define uid_eq(a, b) ((a).val == (b).val)
#define gid_eq(a, b) ((a).val == (b).val)
#define atomic_read(v) ((v)->counter)
#define atomic64_read(v) ((v)->counter)
#define atomic_long_read(v) ((v)->counter)
#define refcount_read(r) ((r)->refs.counter)

static inline unsigned int kref_read(const struct kref *kref)
{
	return kref->refcount.refs.counter;
}
static inline s64 percpu_counter_read(struct percpu_counter *counter)
{
	return counter->count;
}

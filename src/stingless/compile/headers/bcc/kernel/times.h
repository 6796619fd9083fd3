/* Units of time, ticks. */
#define MSEC_PER_SEC 1000L
#define USEC_PER_MSEC 1000L
#define NSEC_PER_USEC 1000L
#define NSEC_PER_MSEC 1000000L
#define USEC_PER_SEC 1000000L
#define NSEC_PER_SEC 1000000000L
#define PSEC_PER_SEC 1000000000000LL
#define FSEC_PER_SEC 1000000000000000LL
#define HZ CONFIG_HZ
#define USER_HZ 100
#define CLOCKS_PER_SEC USER_HZ
#define TICK_NSEC ((NSEC_PER_SEC + HZ / 2) / HZ)
#define KTIME_MAX ((s64) ~((u64)1 << 63))
#define TIME64_MAX ((s64) ~((u64)1 << 63))
#define time_after(a, b) ((long)((b) - (a)) < 0)
#define time_before(a, b) time_after(b, a)
#define time_after_eq(a, b) ((long)((a) - (b)) >= 0)
#define time_before_eq(a, b) time_after_eq(b, a)

static inline s64 ktime_to_ns(ktime_t time)
{
	return time;
}
static inline s64 ktime_to_us(ktime_t time)
{
	return time < 0 ? -(s64)((u64)-time / NSEC_PER_USEC) : (s64)((u64)time / NSEC_PER_USEC);
}
static inline s64 ktime_to_ms(ktime_t time)
{
	return time < 0 ? -(s64)((u64)-time / NSEC_PER_MSEC) : (s64)((u64)time / NSEC_PER_MSEC);
}
static inline ktime_t ns_to_ktime(u64 time)
{
	return time;
}
static inline ktime_t ktime_sub(ktime_t a, ktime_t b)
{
	return a - b;
}
static inline ktime_t ktime_add(ktime_t a, ktime_t b)
{
	return a + b;
}
static inline unsigned int jiffies_to_msecs(unsigned long ticks)
{
	return (u64)ticks * MSEC_PER_SEC / HZ;
}
static inline unsigned int jiffies_to_usecs(unsigned long ticks)
{
	return (u64)ticks * USEC_PER_SEC / HZ;
}
static inline u64 jiffies_to_nsecs(unsigned long ticks)
{
	return (u64)ticks * TICK_NSEC;
}
static inline unsigned long msecs_to_jiffies(unsigned int ms)
{
	return ((u64)ms * HZ + MSEC_PER_SEC - 1) / MSEC_PER_SEC;
}
static inline unsigned long usecs_to_jiffies(unsigned int us)
{
	return ((u64)us * HZ + USEC_PER_SEC - 1) / USEC_PER_SEC;
}
static inline s64 timespec64_to_ns(const struct timespec64 *time)
{
	return time->tv_sec * NSEC_PER_SEC + time->tv_nsec;
}

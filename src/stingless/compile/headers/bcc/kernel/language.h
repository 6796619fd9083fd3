/* What the kernel's C has beside C: attributes, arithmetic on any type, errors in pointers. */
#define __user
#define __kernel
#define __percpu
#define __rcu
#define __iomem
#define __force
#define __bitwise
#define __must_check
#define __init
#define __exit
#define __read_mostly
#define __cold
#define __pure __attribute__((pure))
#define __packed __attribute__((packed))
#define __aligned(n) __attribute__((aligned(n)))
#define __maybe_unused __attribute__((unused))
#define __always_unused __attribute__((unused))
#define __used __attribute__((used))
#define ____cacheline_aligned __attribute__((aligned(64)))
#define ____cacheline_aligned_in_smp __attribute__((aligned(64)))
#define __noinline __attribute__((noinline))
#define asmlinkage
#define fallthrough __attribute__((fallthrough))
#define unreachable() __builtin_unreachable()
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define barrier() __asm__ __volatile__("" : : : "memory")
#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, value) (*(volatile __typeof__(x) *)&(x) = (value))
#define ACCESS_ONCE(x) (*(volatile __typeof__(x) *)&(x))
#define smp_load_acquire(p) READ_ONCE(*(p))
#define rcu_dereference(p) (p)
#define rcu_dereference_raw(p) (p)
#define rcu_dereference_check(p, c) (p)
#define rcu_access_pointer(p) (p)
#define typeof __typeof__
#define offsetof(type, member) __builtin_offsetof(type, member)
#define offsetofend(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))
#define sizeof_field(type, member) sizeof(((type *)0)->member)
#define FIELD_SIZEOF(type, member) sizeof(((type *)0)->member)
#define container_of(pointer, type, member) ((type *)((void *)(pointer)-offsetof(type, member)))
#define BUILD_BUG_ON(condition) _Static_assert(!(condition), "BUILD_BUG_ON")
#define static_assert(condition, ...) _Static_assert(condition, "" __VA_ARGS__)
#define WARN_ON(condition) (!!(condition))
#define WARN_ON_ONCE(condition) (!!(condition))
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define __stringify_1(x...) #x
#define __stringify(x...) __stringify_1(x)
#define __PASTE(a, b) a##b
#define swap(a, b)                        \
	do {                              \
		__typeof__(a) __st_a = (a); \
		(a) = (b);                \
		(b) = __st_a;             \
	} while (0)
#define min(a, b)                           \
	({                                  \
		__typeof__(a) __st_a = (a); \
		__typeof__(b) __st_b = (b); \
		__st_a < __st_b ? __st_a : __st_b; \
	})
#define max(a, b)                           \
	({                                  \
		__typeof__(a) __st_a = (a); \
		__typeof__(b) __st_b = (b); \
		__st_a > __st_b ? __st_a : __st_b; \
	})
#define min_t(type, a, b) min((type)(a), (type)(b))
#define max_t(type, a, b) max((type)(a), (type)(b))
#define min3(a, b, c) min(min(a, b), c)
#define max3(a, b, c) max(max(a, b), c)
#define clamp(value, low, high) min(max(value, low), high)
#define clamp_t(type, value, low, high) min_t(type, max_t(type, value, low), high)
#define clamp_val(value, low, high) clamp_t(__typeof__(value), value, low, high)
#define abs(x)                              \
	({                                  \
		__typeof__(x) __st_x = (x); \
		__st_x < 0 ? -__st_x : __st_x; \
	})
#define DIV_ROUND_UP(n, d) (((n) + (d)-1) / (d))
#define DIV_ROUND_UP_ULL(n, d) DIV_ROUND_UP((unsigned long long)(n), (unsigned long long)(d))
#define DIV_ROUND_CLOSEST(n, d) (((n) + (d) / 2) / (d))
#define roundup(x, y) ((((x) + (y)-1) / (y)) * (y))
#define rounddown(x, y) ((x) - (x) % (y))
#define round_up(x, y) ((((x)-1) | ((__typeof__(x))(y)-1)) + 1)
#define round_down(x, y) ((x) & ~((__typeof__(x))(y)-1))
#define ALIGN(x, a) (((x) + (__typeof__(x))(a)-1) & ~((__typeof__(x))(a)-1))
#define ALIGN_DOWN(x, a) ((x) & ~((__typeof__(x))(a)-1))
#define IS_ALIGNED(x, a) (((x) & ((__typeof__(x))(a)-1)) == 0)
#define upper_32_bits(n) ((u32)((u64)(n) >> 32))
#define lower_32_bits(n) ((u32)(n))
#define IS_ERR_VALUE(x) ((unsigned long)(void *)(x) >= (unsigned long)-MAX_ERRNO)
#define IS_ENABLED(option) (IS_BUILTIN(option) || IS_MODULE(option))
#define IS_REACHABLE(option) IS_ENABLED(option)
#define IS_BUILTIN(option) __st_is_set(option)
#define IS_MODULE(option) IS_BUILTIN(option##_MODULE)
#define __st_is_set(value) __st_is_set_(__st_set_##value)
#define __st_is_set_(one_or_junk) __st_second(one_or_junk 1, 0, __st_set_1)
#define __st_second(ignored, value, ...) value
#define __st_set_1 0,
#define u64_to_user_ptr(x) ((void *)(unsigned long)(x))
#define do_div(n, base)                      \
	({                                   \
		u32 __st_base = (base);      \
		u32 __st_rest = (u64)(n) % __st_base; \
		(n) = (u64)(n) / __st_base;  \
		__st_rest;                   \
	})

static inline void *ERR_PTR(long error)
{
	return (void *)error;
}
static inline long PTR_ERR(const void *pointer)
{
	return (long)pointer;
}
static inline _Bool IS_ERR(const void *pointer)
{
	return IS_ERR_VALUE(pointer);
}
static inline _Bool IS_ERR_OR_NULL(const void *pointer)
{
	return !pointer || IS_ERR_VALUE(pointer);
}
static inline int PTR_ERR_OR_ZERO(const void *pointer)
{
	return IS_ERR_VALUE(pointer) ? (long)pointer : 0;
}
static inline u64 div_u64(u64 n, u32 d)
{
	return n / d;
}
static inline u64 div64_u64(u64 n, u64 d)
{
	return n / d;
}
static inline u64 div64_ul(u64 n, unsigned long d)
{
	return n / d;
}
static inline u64 div_u64_rem(u64 n, u32 d, u32 *rest)
{
	*rest = n % d;
	return n / d;
}
static inline u64 mul_u64_u32_div(u64 a, u32 b, u32 d)
{
	return a * b / d;
}

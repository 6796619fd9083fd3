/* Bits, byte order. */
#define BIT(n) (1UL << (n))
#define BIT_ULL(n) (1ULL << (n))
#define BIT_MASK(n) (1UL << ((n) % BITS_PER_LONG))
#define BIT_WORD(n) ((n) / BITS_PER_LONG)
#define BITS_TO_LONGS(n) DIV_ROUND_UP(n, BITS_PER_LONG)
#define GENMASK(high, low) ((~0UL << (low)) & (~0UL >> (BITS_PER_LONG - 1 - (high))))
#define GENMASK_ULL(high, low) ((~0ULL << (low)) & (~0ULL >> (BITS_PER_LONG_LONG - 1 - (high))))
#define FIELD_GET(mask, value) (((value) & (mask)) >> __builtin_ctzll(mask))
#define DECLARE_BITMAP(name, bits) unsigned long name[BITS_TO_LONGS(bits)]
#define hweight64(x) __builtin_popcountll(x)
#define hweight32(x) __builtin_popcount(x)
#define hweight_long(x) __builtin_popcountll(x)
#define be16_to_cpu(x) bpf_ntohs(x)
#define be32_to_cpu(x) bpf_ntohl(x)
#define be64_to_cpu(x) bpf_be64_to_cpu(x)
#define cpu_to_be16(x) bpf_htons(x)
#define cpu_to_be32(x) bpf_htonl(x)
#define cpu_to_be64(x) bpf_cpu_to_be64(x)
#define le16_to_cpu(x) ((u16)(x))
#define le32_to_cpu(x) ((u32)(x))
#define le64_to_cpu(x) ((u64)(x))
#define cpu_to_le16(x) ((u16)(x))
#define cpu_to_le32(x) ((u32)(x))
#define cpu_to_le64(x) ((u64)(x))
#define __be16_to_cpu(x) bpf_ntohs(x)
#define __be32_to_cpu(x) bpf_ntohl(x)
#define __be64_to_cpu(x) bpf_be64_to_cpu(x)
#define __cpu_to_be16(x) bpf_htons(x)
#define __cpu_to_be32(x) bpf_htonl(x)
#define __cpu_to_be64(x) bpf_cpu_to_be64(x)
#define be16_to_cpup(p) bpf_ntohs(*(p))
#define be32_to_cpup(p) bpf_ntohl(*(p))
#define be64_to_cpup(p) bpf_be64_to_cpu(*(p))
#define __constant_htons(x) bpf_htons(x)
#define __constant_htonl(x) bpf_htonl(x)
#define __constant_ntohs(x) bpf_ntohs(x)
#define __constant_ntohl(x) bpf_ntohl(x)
#define swab16(x) __builtin_bswap16(x)
#define swab32(x) __builtin_bswap32(x)
#define swab64(x) __builtin_bswap64(x)
#define __swab16(x) __builtin_bswap16(x)
#define __swab32(x) __builtin_bswap32(x)
#define __swab64(x) __builtin_bswap64(x)

static inline int test_bit(long number, const volatile unsigned long *bits)
{
	return bits[BIT_WORD(number)] >> (number % BITS_PER_LONG) & 1;
}
static inline int fls(unsigned int x)
{
	return x ? bpf_log2(x) + 1 : 0;
}
static inline int fls64(u64 x)
{
	return x ? bpf_log2l(x) : 0;
}
static inline int ilog2(u64 x)
{
	return fls64(x) - 1;
}
static inline int order_base_2(u64 x)
{
	return x > 1 ? fls64(x - 1) : 0;
}
static inline u64 roundup_pow_of_two(u64 x)
{
	return x > 1 ? 1ULL << fls64(x - 1) : 1;
}
static inline u64 rounddown_pow_of_two(u64 x)
{
	return 1ULL << (fls64(x) - 1);
}
static inline _Bool is_power_of_2(unsigned long x)
{
	return x && !(x & (x - 1));
}

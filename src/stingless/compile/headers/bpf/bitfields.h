/* Bit-fields of kernel types: the bytes that hold the field, its place in them and its sign are all relocated.
 *
 * The field, in the 8 bytes that its storage was read into, is shifted to the top (LSHIFT) and down again (RSHIFT). */
#ifndef __ST_BPF_BITFIELDS_H
#define __ST_BPF_BITFIELDS_H

#define __CORE_RELO(src, field, info) __builtin_preserve_field_info((src)->field, BPF_FIELD_##info)

#define __st_bits_extract(s, field, bits)                                                \
	do {                                                                             \
		bits <<= __CORE_RELO(s, field, LSHIFT_U64);                              \
		if (__CORE_RELO(s, field, SIGNED))                                       \
			bits = ((long long)bits) >> __CORE_RELO(s, field, RSHIFT_U64);   \
		else                                                                     \
			bits = ((unsigned long long)bits) >> __CORE_RELO(s, field, RSHIFT_U64); \
	} while (0)

/* A number of fewer than 8 bytes is at the low end of the 8. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define __st_low_end(p, size) (p)
#else
#define __st_low_end(p, size) ((void *)(p) + (8 - (size)))
#endif

/* Read with bpf_probe_read_kernel(), for any program. */
#define BPF_CORE_READ_BITFIELD_PROBED(s, field)                                                    \
	({                                                                                         \
		unsigned long long __st_bits = 0;                                                  \
		bpf_probe_read_kernel((void *)__st_low_end(&__st_bits, __CORE_RELO(s, field, BYTE_SIZE)), \
				      __CORE_RELO(s, field, BYTE_SIZE),                            \
				      (const void *)(s) + __CORE_RELO(s, field, BYTE_OFFSET));     \
		__st_bits_extract(s, field, __st_bits);                                            \
		__st_bits;                                                                         \
	})

/* Where the bytes are.  The compiler must not fold the offset into a load whose size it chooses itself. */
#define __st_bits_at(s, field, qualifier)                                                                  \
	({                                                                                                 \
		qualifier void *__st_at = (qualifier void *)(s) + __CORE_RELO(s, field, BYTE_OFFSET);      \
		asm volatile("" : "+r"(__st_at));                                                          \
		__st_at;                                                                                   \
	})

/* Read directly: `s` is a pointer that the verifier trusts. */
#define BPF_CORE_READ_BITFIELD(s, field)                                                  \
	({                                                                                \
		const void *__st_place = __st_bits_at(s, field, const);                   \
		unsigned long long __st_bits = 0;                                         \
		switch (__CORE_RELO(s, field, BYTE_SIZE)) {                               \
		case 1: __st_bits = *(const unsigned char *)__st_place; break;            \
		case 2: __st_bits = *(const unsigned short *)__st_place; break;           \
		case 4: __st_bits = *(const unsigned int *)__st_place; break;             \
		case 8: __st_bits = *(const unsigned long long *)__st_place; break;       \
		}                                                                         \
		__st_bits_extract(s, field, __st_bits);                                   \
		__st_bits;                                                                \
	})

/* Change the field's bits in the bytes that hold it. */
#define BPF_CORE_WRITE_BITFIELD(s, field, new_val)                                                     \
	({                                                                                             \
		void *__st_place = __st_bits_at(s, field, );                                           \
		unsigned int __st_size = __CORE_RELO(s, field, BYTE_SIZE);                             \
		unsigned int __st_up = __CORE_RELO(s, field, LSHIFT_U64);                              \
		unsigned int __st_down = __CORE_RELO(s, field, RSHIFT_U64);                            \
		unsigned long long __st_mask = (~0ULL << __st_down) >> __st_up;                        \
		unsigned long long __st_new = ((unsigned long long)(new_val) << __st_down) >> __st_up; \
		unsigned long long __st_old = 0;                                                       \
		switch (__st_size) {                                                                   \
		case 1: __st_old = *(unsigned char *)__st_place; break;                                \
		case 2: __st_old = *(unsigned short *)__st_place; break;                               \
		case 4: __st_old = *(unsigned int *)__st_place; break;                                 \
		case 8: __st_old = *(unsigned long long *)__st_place; break;                           \
		}                                                                                      \
		__st_new = (__st_old & ~__st_mask) | (__st_new & __st_mask);                           \
		switch (__st_size) {                                                                   \
		case 1: *(unsigned char *)__st_place = __st_new; break;                                \
		case 2: *(unsigned short *)__st_place = __st_new; break;                               \
		case 4: *(unsigned int *)__st_place = __st_new; break;                                 \
		case 8: *(unsigned long long *)__st_place = __st_new; break;                           \
		}                                                                                      \
	})

#endif

/* Reading and writing packets by offset: LD_ABS and LD_IND, which end the program where the packet does.  Values are in
 * host byte order. */
#pragma once

#define cursor_advance(cursor, len)        \
	({                                 \
		void *__st_at = (cursor);  \
		(cursor) += (len);         \
		__st_at;                   \
	})

unsigned long long load_byte(void *skb, unsigned long long offset) asm("llvm.bpf.load.byte");
unsigned long long load_half(void *skb, unsigned long long offset) asm("llvm.bpf.load.half");
unsigned long long load_word(void *skb, unsigned long long offset) asm("llvm.bpf.load.word");

#define __st_inline static inline __attribute__((always_inline))

__st_inline u64 load_dword(void *skb, u64 offset)
{
	return load_word(skb, offset) << 32 | load_word(skb, offset + 4);
}
__st_inline void bpf_store_byte(void *skb, u64 offset, u64 value)
{
	u8 byte = value;
	bpf_skb_store_bytes(skb, offset, &byte, sizeof(byte), 0);
}
__st_inline void bpf_store_half(void *skb, u64 offset, u64 value)
{
	u16 half = bpf_htons(value);
	bpf_skb_store_bytes(skb, offset, &half, sizeof(half), 0);
}
__st_inline void bpf_store_word(void *skb, u64 offset, u64 value)
{
	u32 word = bpf_htonl(value);
	bpf_skb_store_bytes(skb, offset, &word, sizeof(word), 0);
}
__st_inline void bpf_store_dword(void *skb, u64 offset, u64 value)
{
	u64 dword = bpf_cpu_to_be64(value);
	bpf_skb_store_bytes(skb, offset, &dword, sizeof(dword), 0);
}

/* `width` bits that begin `bit` bits after the most significant one of the byte at `offset`. */
#define __st_bits(width) ((width) < 64 ? (1ULL << (width)) - 1 : ~0ULL)
#define __st_shift(bit, width) (__st_unit(bit, width) - (bit) - (width))
#define __st_unit(bit, width) \
	((bit) + (width) <= 8 ? 8 : (bit) + (width) <= 16 ? 16 : (bit) + (width) <= 32 ? 32 : 64)
__st_inline u64 __st_load_unit(void *skb, u64 offset, u64 unit)
{
	return unit == 8    ? load_byte(skb, offset)
	       : unit == 16 ? load_half(skb, offset)
	       : unit == 32 ? load_word(skb, offset)
			    : load_dword(skb, offset);
}
__st_inline u64 bpf_dext_pkt(void *skb, u64 offset, u64 bit, u64 width)
{
	return __st_load_unit(skb, offset, __st_unit(bit, width)) >> __st_shift(bit, width) & __st_bits(width);
}
__st_inline void bpf_dins_pkt(void *skb, u64 offset, u64 bit, u64 width, u64 value)
{
	u64 unit = __st_unit(bit, width);
	if (width != unit) {
		u64 shift = __st_shift(bit, width), mask = __st_bits(width);
		value = (__st_load_unit(skb, offset, unit) & ~(mask << shift)) | (value & mask) << shift;
	}
	if (unit == 8)
		bpf_store_byte(skb, offset, value);
	else if (unit == 16)
		bpf_store_half(skb, offset, value);
	else if (unit == 32)
		bpf_store_word(skb, offset, value);
	else
		bpf_store_dword(skb, offset, value);
}

/* Members of packet headers: `header` is the offset that cursor_advance() gave, `place` that of bits before the member.
 * A store has the value that it is given, as an assignment has. */
#define __st_packet_load(skb, header, place, width) \
	bpf_dext_pkt((skb), (u64)(header) + (place) / 8, (place) % 8, (width))
#define __st_packet_store(skb, header, place, width, value)                                             \
	({                                                                                              \
		u64 __st_value = (value);                                                               \
		bpf_dins_pkt((skb), (u64)(header) + (place) / 8, (place) % 8, (width), __st_value);     \
		__st_value;                                                                             \
	})

/* Checksums, of values in host byte order.  In the dialect, incr_cksum_l3() and _l4() take the packet from the function
 * that they are called in. */
__st_inline u64 __st_network_order(u64 value, u64 flags)
{
	return (flags & 15) == 2   ? bpf_htons(value)
	       : (flags & 15) == 4 ? bpf_htonl(value)
	       : (flags & 15) == 8 ? bpf_cpu_to_be64(value)
				   : value;
}
__st_inline int bpf_l3_csum_replace_(void *skb, u64 offset, u64 from, u64 to, u64 flags)
{
	return bpf_l3_csum_replace(skb, offset, __st_network_order(from, flags), __st_network_order(to, flags), flags);
}
__st_inline int bpf_l4_csum_replace_(void *skb, u64 offset, u64 from, u64 to, u64 flags)
{
	return bpf_l4_csum_replace(skb, offset, __st_network_order(from, flags), __st_network_order(to, flags), flags);
}
#define __st_incr_cksum_l3(skb, offset, from, to) bpf_l3_csum_replace_((skb), (u64)(offset), (from), (to), sizeof(to))
#define __st_incr_cksum_l4(skb, offset, from, to, pseudo) \
	bpf_l4_csum_replace_((skb), (u64)(offset), (from), (to), ((pseudo) & 1) << 4 | sizeof(to))

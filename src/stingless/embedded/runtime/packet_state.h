/* For the files that change packets.  A packet lies in one buffer: data_hard_start <= data_meta <= data <= data_end <=
 * data_limit; that of XDP may go on in `frags`. */
#pragma once
#include "helpers.h"

enum { EBADMSG = 74, ENOTSUPP = 524, EALREADY = 114 };

static inline u32 st_packet_get(const struct st_packet *packet, u32 offset)
{
	u32 value;
	memcpy(&value, packet->visible + offset, sizeof(value));
	return value;
}

static inline void st_packet_set(struct st_packet *packet, u32 offset, u32 value)
{
	memcpy(packet->visible + offset, &value, sizeof(value));
}

/* The program's next look at the pointers and the length finds what `env` has. */
void st_packet_publish(struct st_env *env);

/* The same for a context that has 64-bit pointers, to the start and the end of the data, at `offset`. */
static inline void st_context_publish(struct st_env *env, u32 offset)
{
	u8 *pointers[2] = {env->data, env->data_end};
	memcpy((u8 *)env->ctx + offset, pointers, sizeof(pointers));
}

/* The Internet checksum: sums in one's complement, of 16-bit words as they lie. */
u32 st_sum_add(u32 sum, u32 more);
u16 st_sum_fold(u32 sum);
u32 st_sum(const u8 *from, u32 size, u32 seed);

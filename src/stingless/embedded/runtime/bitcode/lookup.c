/* Look-ups for machine code.  This is not part of the library but compiled to LLVM bitcode, which the JIT links to a
 * program to inline them with a constant descriptor. */
#include "../map_lookup.h"

#define ST_LOOKUP __attribute__((always_inline)) ST_EXPORT

ST_LOOKUP void *st_lookup_array(const struct st_map *map, const void *key, u32 cpu)
{
	return st_array_lookup(map, key, cpu);
}

ST_LOOKUP void *st_lookup_hash(const struct st_map *map, const void *key, u32 cpu)
{
	return st_hash_lookup(map, key, cpu, false);
}

ST_LOOKUP void *st_lookup_lru_hash(const struct st_map *map, const void *key, u32 cpu)
{
	return st_hash_lookup(map, key, cpu, true);
}

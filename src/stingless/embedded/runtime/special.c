/* Helpers on what is not data in a value: spin locks and kernel pointers.  (Timers are in timer.c.) */
#include "helpers.h"

HELPER_DEFINE(st_spin_lock_helper)
{
	st_acquire((st_lock *)a);
	return 0;
}

HELPER_DEFINE(st_spin_unlock_helper)
{
	st_release((st_lock *)a);
	return 0;
}

/* bpf_kptr_xchg(place, object): the object that was there. */
HELPER_DEFINE(st_kptr_xchg) { return __atomic_exchange_n((u64 *)a, b, __ATOMIC_SEQ_CST); }

/* The kernel's types.  The text is made from its BTF, and the compiler gets the name of that file with the command. */
#ifdef __ST_VMLINUX
#include __ST_VMLINUX
#else
#include <stingless-vmlinux>
#endif

"""A C library with static probes of our own making: the notes that <sys/sdt.h> would write, by inline assembly."""

from __future__ import annotations

PROBES = r"""
#if defined(__x86_64__)
#define NOP "nop"
#else
#define NOP "nop"
#endif
#define NOTE(provider, name, semaphore, arguments) \
    "990: " NOP "\n" \
    ".pushsection .note.stapsdt,\"\",\"note\"\n" \
    ".balign 4\n" \
    ".4byte 992f-991f, 994f-993f, 3\n" \
    "991: .asciz \"stapsdt\"\n" \
    "992: .balign 4\n" \
    "993: .8byte 990b\n" \
    ".8byte _.stapsdt.base\n" \
    ".8byte " semaphore "\n" \
    ".asciz \"" provider "\"\n" \
    ".asciz \"" name "\"\n" \
    ".asciz \"" arguments "\"\n" \
    "994: .balign 4\n" \
    ".popsection\n" \
    ".ifndef _.stapsdt.base\n" \
    ".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n" \
    ".weak _.stapsdt.base\n.hidden _.stapsdt.base\n" \
    "_.stapsdt.base: .space 1\n.size _.stapsdt.base, 1\n" \
    ".popsection\n" \
    ".endif\n"

__attribute__((section(".probes"))) volatile unsigned short st_semaphore = 0;

#if defined(__x86_64__)
#define SIZES "-4@%[a] 8@%[b] -2@%[c] 1@$200"
#else
#define SIZES "-4@%w[a] 8@%x[b] -2@%w[c] 1@200"
#endif

/* In registers and constants. */
int in_registers(int a, unsigned long b, short c)
{
    __asm__ volatile(NOTE("st", "registers", "st_semaphore", SIZES) :: [a] "r"(a), [b] "r"(b), [c] "r"(c));
    return a;
}

/* In memory: at an address, and on x86-64 in an array by index. */
int in_memory(int index)
{
    static volatile unsigned char bytes[8] = {1, 2, 3, 250, 5, 6, 7, 8};
    static volatile long word = -5;
#if defined(__x86_64__)
    __asm__ volatile(NOTE("st", "memory", "0", "-8@(%[w]) -1@(%[b],%[i],1) 1@1(%[b],%[i])")
        :: [w] "r"(&word), [b] "r"(bytes), [i] "r"((long)index));
#else
    __asm__ volatile(NOTE("st", "memory", "0", "-8@[%[w]] -1@[%[b], 3] 1@[%[b], 4]")
        :: [w] "r"(&word), [b] "r"(bytes), [i] "r"((long)index));
#endif
    return index;
}

/* One probe in two places. */
int twice(int a)
{
    __asm__ volatile(NOTE("st", "twice", "0", "4@%w[a]") :: [a] "r"(a));
    __asm__ volatile(NOTE("st", "twice", "0", "4@%w[a]") :: [a] "r"(a + 100));
    return a;
}

int semaphore(void) { return st_semaphore; }
"""


def source(machine: str) -> str:
    """For gcc on that machine: x86-64 names a 32-bit register with %k."""
    if machine == "x86_64":
        return PROBES.replace("%w[a]", "%k[a]").replace("-4@%[a]", "-4@%k[a]").replace("-2@%[c]", "-2@%w[c]")
    return PROBES

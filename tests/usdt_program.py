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


# A program with a probe of each form of argument, on x86-64; and one in two places with its argument in two.
FORMS = (
    PROBES.partition("__attribute__")[0]
    + r"""
#include <stdio.h>
#include <unistd.h>
__attribute__((section(".probes"))) volatile unsigned short forms_semaphore = 0;
long numbers[2] = {1111, 2222};
int run(int argc, char **argv)
{
    /* Who listens holds the semaphore up. */
    for (int n = 0; n < WAIT && !forms_semaphore; n++) usleep(10000);
    long words[4] = {10, 20, 30, 40};
    int i = -7; unsigned char byte = 200; short s = -300; long index = 2; volatile char text[8] = "hello";
    for (int n = 0; n < 3; n++) {
        __asm__ volatile(NOTE("forms", "all", "forms_semaphore", "-4@%k[i] 8@%[t] 1@%b[b] -2@%w[s] 4@$5 -8@$-9 "
            "8@8(%[w]) 8@(%[w],%[x],8) 8@numbers(%%rip) 8@8+numbers(%%rip) 8f@%%xmm0 8@strange")
            :: [i] "r"(i), [t] "r"(text), [b] "q"(byte), [s] "r"(s), [w] "r"(words), [x] "r"(index) : "memory");
        __asm__ volatile(NOTE("forms", "two", "0", "-4@%k[i]") :: [i] "r"(i));
        __asm__ volatile(NOTE("forms", "two", "0", "8@$77"));
        __asm__ volatile(NOTE("other", "two", "0", "8@$78"));
    }
    /* Two places that are the same in their pages. */
    __asm__ volatile(".balign 4096\n" NOTE("forms", "far", "0", "4@$1")
        ".balign 4096\n" NOTE("forms", "far", "0", "4@$2"));
    printf("%d\n", forms_semaphore);
    return 0;
}
"""
)
MAIN = "int run(int, char **); int main(int argc, char **argv) { return run(argc, argv); }"
# What a program sees of the arguments of forms:all, all but the address of the text.
VALUES = {1: -7, 3: 200, 4: -300, 5: 5, 6: -9, 7: 20, 8: 30, 9: 1111, 10: 2222, 11: 0}

SCRIPT = r"""
import sys, time
from bcc import BPF, USDT
if sys.argv[1] == "process":
    from stingless import session
    time.sleep(0.2)  # the command starts
    usdt = USDT(pid=session.current().command.pid)
else:
    usdt = USDT(path=sys.argv[1])
usdt.enable_probe("all", "on_all")
usdt.enable_probe("forms:two", "on_two")
if "far" in sys.argv:
    usdt.enable_probe("far", "on_far")
    far = "bpf_usdt_readarg(1, ctx, &a);"
else:
    far = ""
kinds = {"int8_t": "s8", "int16_t": "s16", "int32_t": "s32", "int64_t": "s64"}
kinds |= {"u" + name: "u" + kind[1:] for name, kind in kinds.items()}
reads = ""
for n in range(1, 13):
    kind = kinds[usdt.get_probe_arg_ctype("all", n - 1)]
    reads += f"{{ {kind} v = 0; if (bpf_usdt_readarg({n}, ctx, &v) == 0) put({n}, (s64)v); }}\n"
text = '''
BPF_HASH(out, u32, s64);
BPF_HASH(words, u32, u64);
static inline void put(u32 n, s64 v) { out.update(&n, &v); }
int on_all(struct pt_regs *ctx) {
    ''' + reads + '''
    char text[8] = {};
    bpf_usdt_readarg_p(2, ctx, text, 6);
    u32 n = 0;
    words.update(&n, (u64 *)text);
    u32 wrong;
    put(20, bpf_usdt_readarg(7, ctx, &wrong));
    return 0;
}
int on_two(struct pt_regs *ctx) {
    u64 a = 0;
    u32 n = 30;
    s64 zero = 0, *sum = out.lookup_or_try_init(&n, &zero);
    if (bpf_usdt_readarg(1, ctx, &a) == 0 && sum)
        *sum += (s64)a;
    return 0;
}
int on_far(struct pt_regs *ctx) {
    u32 a = 0;
    ''' + far + '''
    put(40 + a, 1);
    return 0;
}
'''
b = BPF(text=text, usdt_contexts=[usdt])
if len(sys.argv) > 3:
    import subprocess
    print("program", subprocess.run([sys.argv[3]], capture_output=True, text=True, check=True).stdout.strip())
else:
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        pass
for number, value in sorted((k.value, v.value) for k, v in b["out"].items()):
    print(number, value)
print("text", [v.value.to_bytes(8, "little").rstrip(b"\0").decode() for v in b["words"].values()])
"""

/* Macros over their own arguments: how many there are (up to 12), and one macro chosen by the number. */
#ifndef __ST_BPF_VARIADIC_H
#define __ST_BPF_VARIADIC_H

#define __st_concat_now(a, b) a##b
#define ___bpf_concat(a, b) __st_concat_now(a, b)
#define ___bpf_nth(_, _1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12, chosen, ...) chosen
#define ___bpf_narg(...) ___bpf_nth(_, ##__VA_ARGS__, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
/* ___bpf_apply(f, 3) is f3 */
#define ___bpf_apply(fn, n) ___bpf_concat(fn, n)

#endif

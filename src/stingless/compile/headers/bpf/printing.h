/* printf in eBPF: to the trace pipe, to a seq_file, to memory, to a program's stream.
 *
 * Formats are read-only data unless BPF_NO_GLOBAL_DATA says that the kernel has none (before 5.2). */
#ifndef __ST_BPF_PRINTING_H
#define __ST_BPF_PRINTING_H

#ifdef BPF_NO_GLOBAL_DATA
#define BPF_PRINTK_FMT_MOD
#else
#define BPF_PRINTK_FMT_MOD static const
#endif

/* The arguments as 64-bit slots, one assignment each: pointers too, which C lets no initializer do. */
#define ___bpf_fill0(slots, i)
#define ___bpf_fill1(slots, i, x) (slots)[i] = x;
#define ___bpf_fill2(slots, i, x, ...) (slots)[i] = x; ___bpf_fill1(slots, i + 1, __VA_ARGS__)
#define ___bpf_fill3(slots, i, x, ...) (slots)[i] = x; ___bpf_fill2(slots, i + 1, __VA_ARGS__)
#define ___bpf_fill4(slots, i, x, ...) (slots)[i] = x; ___bpf_fill3(slots, i + 1, __VA_ARGS__)
#define ___bpf_fill5(slots, i, x, ...) (slots)[i] = x; ___bpf_fill4(slots, i + 1, __VA_ARGS__)
#define ___bpf_fill6(slots, i, x, ...) (slots)[i] = x; ___bpf_fill5(slots, i + 1, __VA_ARGS__)
#define ___bpf_fill7(slots, i, x, ...) (slots)[i] = x; ___bpf_fill6(slots, i + 1, __VA_ARGS__)
#define ___bpf_fill8(slots, i, x, ...) (slots)[i] = x; ___bpf_fill7(slots, i + 1, __VA_ARGS__)
#define ___bpf_fill9(slots, i, x, ...) (slots)[i] = x; ___bpf_fill8(slots, i + 1, __VA_ARGS__)
#define ___bpf_fill10(slots, i, x, ...) (slots)[i] = x; ___bpf_fill9(slots, i + 1, __VA_ARGS__)
#define ___bpf_fill11(slots, i, x, ...) (slots)[i] = x; ___bpf_fill10(slots, i + 1, __VA_ARGS__)
#define ___bpf_fill12(slots, i, x, ...) (slots)[i] = x; ___bpf_fill11(slots, i + 1, __VA_ARGS__)
#define ___bpf_fill(slots, ...) ___bpf_apply(___bpf_fill, ___bpf_narg(__VA_ARGS__))(slots, 0, ##__VA_ARGS__)

/* `call`, an expression that names ___fmt and ___param, with the format and the arguments put into these. */
#define __st_with_format(call, fmt, ...)                                                     \
	({                                                                                   \
		static const char ___fmt[] = fmt;                                            \
		unsigned long long ___param[___bpf_narg(__VA_ARGS__)];                       \
		_Pragma("GCC diagnostic push")                                               \
		_Pragma("GCC diagnostic ignored \"-Wint-conversion\"")                       \
		___bpf_fill(___param, ##__VA_ARGS__);                                        \
		_Pragma("GCC diagnostic pop")                                                \
		call;                                                                        \
	})

#define __bpf_printk(fmt, ...)                                                  \
	({                                                                      \
		BPF_PRINTK_FMT_MOD char ____fmt[] = fmt;                        \
		bpf_trace_printk(____fmt, sizeof(____fmt), ##__VA_ARGS__);      \
	})
#define __bpf_vprintk(fmt, ...) \
	__st_with_format(bpf_trace_vprintk(___fmt, sizeof(___fmt), ___param, sizeof(___param)), fmt, ##__VA_ARGS__)
#define ___bpf_pick_printk(...)                                                                               \
	___bpf_nth(_, ##__VA_ARGS__, __bpf_vprintk, __bpf_vprintk, __bpf_vprintk, __bpf_vprintk, __bpf_vprintk, \
		   __bpf_vprintk, __bpf_vprintk, __bpf_vprintk, __bpf_vprintk, __bpf_printk, __bpf_printk,      \
		   __bpf_printk, __bpf_printk)

/* To the trace pipe.  More than three arguments need Linux 5.16. */
#define bpf_printk(fmt, ...) ___bpf_pick_printk(__VA_ARGS__)(fmt, ##__VA_ARGS__)

#define BPF_SEQ_PRINTF(seq, fmt, ...) \
	__st_with_format(bpf_seq_printf(seq, ___fmt, sizeof(___fmt), ___param, sizeof(___param)), fmt, ##__VA_ARGS__)
#define BPF_SNPRINTF(out, out_size, fmt, ...) \
	__st_with_format(bpf_snprintf(out, out_size, ___fmt, ___param, sizeof(___param)), fmt, ##__VA_ARGS__)

/* To a program's own stream: BPF_STDOUT or BPF_STDERR.  Linux 6.18 gave the function its suffix, and 7.0 a fifth
 * argument that the verifier fills in; what follows ___ is no part of a kernel symbol's name. */
extern int bpf_stream_vprintk_impl___st(int stream_id, const char *fmt, const void *args, unsigned int size,
					void *aux) __weak __ksym;
extern int bpf_stream_vprintk___st(int stream_id, const char *fmt, const void *args, unsigned int size) __weak __ksym;
#define bpf_stream_printk(stream_id, fmt, ...)                                                             \
	__st_with_format(bpf_ksym_exists(bpf_stream_vprintk_impl___st)                                     \
				 ? bpf_stream_vprintk_impl___st(stream_id, ___fmt, ___param, sizeof(___param), NULL) \
				 : bpf_stream_vprintk___st(stream_id, ___fmt, ___param, sizeof(___param)), \
			 fmt, ##__VA_ARGS__)

#endif

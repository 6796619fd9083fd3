/* Byte order of the network and of this machine.  All are constants where their argument is. */
#ifndef __BPF_ENDIAN__
#define __BPF_ENDIAN__

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define bpf_htons(x) __builtin_bswap16(x)
#define bpf_htonl(x) __builtin_bswap32(x)
#define bpf_cpu_to_be64(x) __builtin_bswap64(x)
#else
#define bpf_htons(x) ((unsigned short)(x))
#define bpf_htonl(x) ((unsigned int)(x))
#define bpf_cpu_to_be64(x) ((unsigned long long)(x))
#endif
#define bpf_ntohs(x) bpf_htons(x)
#define bpf_ntohl(x) bpf_htonl(x)
#define bpf_be64_to_cpu(x) bpf_cpu_to_be64(x)

/* Swapped whatever the machine. */
#define ___bpf_swab16(x) __builtin_bswap16(x)
#define ___bpf_swab32(x) __builtin_bswap32(x)
#define ___bpf_swab64(x) __builtin_bswap64(x)

/* Names for arguments that are known to be constants, and known not to be. */
#define __bpf_constant_htons(x) bpf_htons(x)
#define __bpf_constant_htonl(x) bpf_htonl(x)
#define __bpf_constant_ntohs(x) bpf_htons(x)
#define __bpf_constant_ntohl(x) bpf_htonl(x)
#define __bpf_constant_cpu_to_be64(x) bpf_cpu_to_be64(x)
#define __bpf_constant_be64_to_cpu(x) bpf_cpu_to_be64(x)
#define __bpf_htons(x) bpf_htons(x)
#define __bpf_htonl(x) bpf_htonl(x)
#define __bpf_ntohs(x) bpf_htons(x)
#define __bpf_ntohl(x) bpf_htonl(x)
#define __bpf_cpu_to_be64(x) bpf_cpu_to_be64(x)
#define __bpf_be64_to_cpu(x) bpf_cpu_to_be64(x)

#endif

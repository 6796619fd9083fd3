"""Shims of what only the kernel's own headers have: their values, seen by programs in the embedded kernel."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stingless.embedded.kernel import EmbeddedKernel
from tests.ir_programs import HEAD, function, seen

# Expressions, and what they are; `m` is 1000, so that they are computed when the program runs.
VALUES: dict[str, dict[str, int]] = {
    "numbers": {
        "min(m, 7ULL)": 7,
        "max(m, 7ULL)": 1000,
        "min_t(int, m, 2000)": 1000,
        "max_t(u32, m, 2000)": 2000,
        "min3(m, 9ULL, 8ULL)": 8,
        "clamp(m, 10ULL, 20ULL)": 20,
        "abs((long)m - 1003)": 3,
        "DIV_ROUND_UP(m, 3)": 334,
        "roundup(m, 7)": 1001,
        "ALIGN(m, 64)": 1024,
        "ALIGN_DOWN(m, 64)": 960,
        "div_u64(m, 3) + div64_u64(m, 7)": 333 + 142,
        "ARRAY_SIZE(n->list)": 4,
        "({ u64 q = m; u32 r = do_div(q, 300); q * 1000 + r; })": 3100,
        "({ u64 a = m, b = 2; swap(a, b); a * 10000 + b; })": 21000,
        "upper_32_bits(m << 32) + lower_32_bits(m)": 2000,
        "sizeof_field(struct node, name)": 16,
        "offsetofend(struct node, small)": 5,
    },
    "bits": {
        "BIT(3) + BIT_ULL(40)": 8 + (1 << 40),
        "GENMASK(7, 4)": 0xF0,
        "bpf_log2(m) * 100 + bpf_log2l(m)": 910,
        "bpf_log2l(m - 1000) * 100 + bpf_log2l(m - 999)": 101,
        "bpf_log2l(m << 33)": 43,
        "bpf_log2(0xffffffff) * 100 + bpf_log2l(~0ULL - m)": 3164,
        "ilog2(m) + fls(m) * 100 + fls64(m << 40) * 10000": 501009,
        "roundup_pow_of_two(m) + rounddown_pow_of_two(m)": 1536,
        "is_power_of_2(m) + is_power_of_2(m + 24) * 10": 10,
        "be16_to_cpu(cpu_to_be16(m)) + ntohs(htons(m))": 2000,
        "swab32(m)": 0xE8030000,
        "({ unsigned long b[2] = {0, 4}; test_bit(66, b) * 10 + test_bit(67, b); })": 10,
    },
    "errors": {
        "IS_ERR(ERR_PTR(-2)) * 10 + IS_ERR(n)": 10,
        "-PTR_ERR(ERR_PTR(-2))": 2,
        "IS_ERR_OR_NULL(NULL)": 1,
        "IS_ERR_VALUE(-4095L) * 10 + IS_ERR_VALUE(-4096L)": 10,
    },
    "times": {
        "m * NSEC_PER_MSEC / NSEC_PER_SEC": 1,
        "ktime_to_us(m * 1000) + ktime_to_ms(m * 1000000)": 2000,
        "USEC_PER_SEC / MSEC_PER_SEC": 1000,
    },
    "files": {
        "MAJOR(MKDEV(8, 17)) * 1000 + MINOR(MKDEV(8, 17))": 8017,
        "S_ISREG(0100644) * 10 + S_ISDIR(0100644)": 10,
        "new_encode_dev(MKDEV(8, 300)) == (44 | 8 << 8 | 256 << 12)": 1,
        "READ * 10 + WRITE": 1,
        "O_RDWR | O_CREAT | O_EXCL": 0o302,
    },
    "lists": {
        "container_of(&n->inner, struct node, inner)->number": 100,
        "list_entry(&n->next->inner, struct node, inner)->number": 101,
        "({ struct list_head h; h.next = h.prev = &h; list_empty(&h); })": 1,
    },
    "tasks": {
        "TASK_UNINTERRUPTIBLE | TASK_INTERRUPTIBLE": 3,
        "sizeof((char[TASK_COMM_LEN]){})": 16,
        "PRIO_TO_NICE(120) + NICE_TO_PRIO(1)": 121,
        "PF_KTHREAD": 0x200000,
    },
    "network": {
        "AF_INET * 100 + AF_INET6": 210,
        "IPPROTO_UDP + ETH_P_IPV6": 17 + 0x86DD,
        "TCPHDR_SYN | TCPHDR_ACK": 0x12,
        "TCPF_LISTEN": 1 << 10,
        "INADDR_LOOPBACK": 0x7F000001,
        "sizeof(((struct in6_addr *)0)->s6_addr32)": 16,
        "SOCK_STREAM + SOCK_DGRAM * 10": 21,
        "VLAN_VID_MASK + IP_OFFSET": 0xFFF + 0x1FFF,
    },
    "limits": {
        "PAGE_SIZE >> PAGE_SHIFT": 1,
        "U32_MAX == UINT_MAX && S64_MAX == LLONG_MAX && U64_MAX == ~0ULL": 1,
        "PATH_MAX + NAME_MAX": 4096 + 255,
        "INT_MAX": 0x7FFFFFFF,
        "SIGKILL + EPERM + ENOENT * 100": 210,
    },
    "C library": {
        "sizeof(uint8_t) + sizeof(int16_t) + sizeof(uint32_t) + sizeof(uintptr_t) + sizeof(ssize_t)": 23,
        "(bool)5 + true * 10 + false": 11,
        "READ_ONCE(n->number) + likely(m) * 10 + unlikely(0)": 110,
    },
}


@pytest.fixture(scope="module")
def kernel() -> Iterator[EmbeddedKernel]:
    with EmbeddedKernel() as opened:
        yield opened


@pytest.mark.parametrize("topic", VALUES)
def test_values(kernel: EmbeddedKernel, topic: str) -> None:
    from tests.ir_programs import Nodes

    cases = VALUES[topic]
    nodes = Nodes()
    head = HEAD.replace("BPF_ARRAY(out, u64, 16)", "BPF_ARRAY(out, u64, 32)")
    body = "\n".join(f"put({at}, {expression});" for at, expression in enumerate(cases))
    found = seen(kernel, head + function(body), nodes.address(0), 1000, count=len(cases))
    assert dict(zip(cases, found, strict=True)) == cases

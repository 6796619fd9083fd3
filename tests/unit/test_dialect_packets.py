"""Packet headers of bcc's dialect: what programs read and write, on the embedded kernel."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stingless._gen.uapi import ProgramType
from stingless.compile import compile_bcc
from stingless.compile.dialect.facts import RunningKernel
from stingless.compile.dialect.lexer import tokenize
from stingless.compile.dialect.packets import packets
from stingless.compile.dialect.table_calls import find_tables, methods
from stingless.compile.dialect.tracepoints import Field
from stingless.compile.dialect.usdt_arguments import usdt_arguments
from stingless.compile.dialect.work import Work
from stingless.embedded.kernel import EmbeddedKernel
from stingless.errors import CompileError
from stingless.obj.reader import read_object
from tests.packet_headers import ARP, CURSOR, ETHERNET, IP, IP6, TAG, TCP, UDP, VXLAN
from tests.table_cases import Tables

# The load of a 48-bit field takes 8 bytes, and the protocol that ETHERNET names has a header of 20.
TAIL = bytes(20)


def run(text: str, packet: bytes, kind: ProgramType = ProgramType.SOCKET_FILTER) -> tuple[int, bytes]:
    with Tables(EmbeddedKernel(), text) as tables:
        result = tables.run("f", kind, packet)
        return result.retval, result.data


# The header, what comes after the Ethernet header, an expression on `p`, and the lower 32 bits of its value.
FIELDS = [
    ("ip_t", IP, "p->ver", 4),
    ("ip_t", IP, "p->hlen", 5),
    ("ip_t", IP, "p->hlen << 2", 20),
    ("ip_t", IP, "p->tos", 0xC0),
    ("ip_t", IP, "p->tlen", 0x34),
    ("ip_t", IP, "p->identification", 0x1234),
    ("ip_t", IP, "p->ffo_unused", 0),
    ("ip_t", IP, "p->df", 1),
    ("ip_t", IP, "p->mf", 1),
    ("ip_t", IP, "p->foffset", 0xA),
    ("ip_t", IP, "p->ttl", 64),
    ("ip_t", IP, "p->nextp", 17),
    ("ip_t", IP, "p->hchecksum", 0xABCD),
    ("ip_t", IP, "p->src", 0x0A000001),
    ("ip_t", IP, "p->dst", 0x0A0000FE),
    ("ip_t", IP, "p->ver == 4 && p->hlen == 5", 1),
    ("ip_t", IP, "p->src & p->dst", 0x0A000000),
    ("ip_t", IP, "(u64)&p->src", 14 + 12),
    ("ip_t", IP, "sizeof(p->src)", 4),
    ("ip_t", IP, "sizeof(*p)", 20),
    ("udp_t", UDP, "p->sport", 12345),
    ("udp_t", UDP, "p->dport", 53),
    ("udp_t", UDP, "p->length", 20),
    ("udp_t", UDP, "p->crc", 0xBEEF),
    ("tcp_t", TCP, "p->src_port", 80),
    ("tcp_t", TCP, "p->seq_num", 0xA1B2C3D4),
    ("tcp_t", TCP, "p->ack_num", 0xE5F60718),
    ("tcp_t", TCP, "p->offset", 5),
    ("tcp_t", TCP, "p->flag_ack", 1),
    ("tcp_t", TCP, "p->flag_psh", 1),
    ("tcp_t", TCP, "p->flag_syn", 0),
    ("tcp_t", TCP, "p->rcv_wnd", 0x0102),
    ("tcp_t", TCP, "p->cksum", 0xABCD),
    ("tcp_t", TCP, "p->urg_ptr", 0x0304),
    ("dot1q_t", TAG, "p->pri", 5),
    ("dot1q_t", TAG, "p->cfi", 1),
    ("dot1q_t", TAG, "p->vlanid", 0x123),
    ("dot1q_t", TAG, "p->type", 0x0800),
    ("ip6_t", IP6, "p->ver", 6),
    ("ip6_t", IP6, "p->priority", 0xAB),
    ("ip6_t", IP6, "p->flow_label", 0xCDEF1),
    ("ip6_t", IP6, "p->payload_len", 0x14),
    ("ip6_t", IP6, "p->next_header", 58),
    ("ip6_t", IP6, "p->hop_limit", 0xFE),
    ("ip6_t", IP6, "p->src_hi >> 32", 0x10111213),
    ("ip6_t", IP6, "p->dst_lo", 0x3C3D3E3F),
    ("ip6_opt_t", IP6, "p->pad[4]", 0x3A),
    ("arp_t", ARP, "p->oper", 2),
    ("arp_t", ARP, "p->sha >> 16", 0xA1A2A3A4),
    ("arp_t", ARP, "p->spa", 0x0A000001),
    ("arp_t", ARP, "p->tha", 0x2B3B4B5B),
    ("arp_t", ARP, "p->tpa", 0x0A000002),
    ("icmp_t", UDP, "p->checksum", 53),
    ("icmp6_t", UDP, "p->type * 256 + p->code", 12345),
    ("vxlan_t", VXLAN, "p->iflag", 1),
    ("vxlan_t", VXLAN, "p->key", 0x123456),
    ("vxlan_gbp_t", VXLAN, "p->iflag", 1),
    ("vxlan_gbp_t", VXLAN, "p->key", 0x123456 >> 1),  # bcc's layout leaves out a bit of the second byte
]


@pytest.fixture(scope="module")
def fields() -> Iterator[Tables]:
    """A classifier for each of FIELDS."""
    text = "#include <bcc/proto.h>\n" + "".join(
        f"int f{i}(struct __sk_buff *skb) {{ u8 *cursor = 0; cursor_advance(cursor, sizeof(struct ethernet_t));"
        f"struct {header} *p = cursor_advance(cursor, sizeof(*p)); return {expression}; }}\n"
        for i, (header, _, expression, _) in enumerate(FIELDS)
    )
    with Tables(EmbeddedKernel(), text) as tables:
        yield tables


@pytest.mark.parametrize("index", range(len(FIELDS)), ids=[f"{each[0]}: {each[2]}" for each in FIELDS])
def test_fields(index: int, fields: Tables) -> None:
    _, payload, _, value = FIELDS[index]
    assert fields.run(f"f{index}", ProgramType.SCHED_CLS, ETHERNET + payload + TAIL).retval == value


def test_the_ethernet_header() -> None:
    text = CURSOR + (
        "struct ethernet_t *ethernet = cursor_advance(cursor, sizeof(*ethernet)); return ethernet->type == 0x0800 "
        "&& ethernet->dst == 0x010203040506ULL && ethernet->src == 0x0a0b0c0d0e0fULL; }"
    )
    assert run(text, ETHERNET + IP, ProgramType.SCHED_CLS)[0] == 1


def test_a_packet_that_is_too_short_ends_the_program() -> None:
    text = CURSOR + "struct ip_t *ip = cursor_advance(cursor, sizeof(*ip)); return ip->dst + 5; }"
    assert run(text, bytes(30), ProgramType.SCHED_CLS)[0] == 5
    assert run(text, bytes(16), ProgramType.SCHED_CLS)[0] == 0


def test_a_header_of_varying_length() -> None:
    """The classic: the UDP port after an IP header of 4 * hlen bytes."""
    text = CURSOR + (
        "struct ethernet_t *e = cursor_advance(cursor, sizeof(*e));"
        "struct ip_t *ip = cursor_advance(cursor, sizeof(*ip));"
        "void *_ = cursor_advance(cursor, (ip->hlen << 2) - sizeof(*ip));"
        "struct udp_t *udp = cursor_advance(cursor, sizeof(*udp)); return udp->dport; }"
    )
    options = bytes([0x47]) + IP[1:] + bytes(8)
    assert run(text, ETHERNET + IP + UDP, ProgramType.SCHED_CLS)[0] == 53
    assert run(text, ETHERNET + options + UDP, ProgramType.SCHED_CLS)[0] == 53


def test_headers_of_the_text_itself() -> None:
    text = (
        "#include <bcc/proto.h>\n#define HIGH 3\n"
        "struct mine_t { u16 kind; u8 high:HIGH; u8 low:8 - HIGH; u8 name[2]; u32 end; } BPF_PACKET_HEADER;\n"
        "static inline u64 both(struct mine_t *m, struct __sk_buff *skb) { return m->low * 256 + m->name[1]; }\n"
        "int f(struct __sk_buff *skb) { u8 *cursor = 0; struct mine_t *m = cursor_advance(cursor, 9), *n;"
        "n = cursor_advance(cursor, sizeof(struct mine_t));"
        "return m->high == 5 && both(n, skb) == 3 * 256 + 9 && n->end == 1; }"
    )
    record = struct.pack(">HBBBI", 1, 0xA3, 8, 9, 1)
    assert run(text, record + record + ETHERNET, ProgramType.SCHED_CLS)[0] == 1


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("load_byte(skb, 12)", 8),
        ("load_half(skb, 0)", 0x0102),
        ("load_word(skb, 2)", 0x03040506),
        ("load_dword(skb, 6) >> 32", 0x0A0B0C0D),
        ("load_dword(skb, 6)", 0x0E0F0800),
    ],
)
def test_loads_by_offset(expression: str, value: int) -> None:
    text = f"int f(struct __sk_buff *skb) {{ return {expression}; }}"
    assert run(text, ETHERNET + IP, ProgramType.SCHED_CLS)[0] == value


# Arguments of USDT probes

READER = """
static inline int _bpf_readarg_f_2(struct __sk_buff *ctx, void *dest, size_t len) {
    if (len != sizeof(u32)) return -1;
    *(u32 *)dest = 42;
    return 0;
}
"""


def no_format(_category: str, _event: str) -> list[Field]:
    return []


@pytest.mark.parametrize("where", ["int f(struct __sk_buff *ctx) { u32 x = 0;", "HELPER"])
def test_usdt_arguments(where: str) -> None:
    call = "if (bpf_usdt_readarg(2, ctx, &x)) return 1; return x; }"
    text = READER + where + call
    if where == "HELPER":  # a helper's arguments are those of the program before it
        head = "static int helper(struct __sk_buff *ctx);\nint f(struct __sk_buff *ctx) { return helper(ctx); }\n"
        text = READER + head + "static inline int helper(struct __sk_buff *ctx) { u32 x = 0; " + call
    assert run(text, ETHERNET + IP)[0] == 42


def test_usdt_arguments_by_pointer() -> None:
    text = (
        "static inline int _bpf_readarg_f_1(struct pt_regs *ctx, void *dest, size_t len)"
        "{ *(u64 *)dest = 16; return 0; }\n"
        "int f(struct pt_regs *ctx) { char name[8]; bpf_usdt_readarg_p(1, ctx, &name, sizeof(name)); return name[0]; }"
    )
    assert "f" in read_object(compile_bcc(text, no_format)).programs


def test_a_wrong_number_of_usdt_arguments_is_told() -> None:
    with pytest.raises(CompileError, match=r"bpf_usdt_readarg\(\) has 3 arguments, not 2"):
        compile_bcc("int f(struct pt_regs *ctx) { return bpf_usdt_readarg(1, ctx); }", no_format)


WORDS = re.findall(
    r"\S+",
    'struct ip_t * p -> src = += ( ) { } [ ] ; , & ++ -- . lookup perf_submit BPF_HASH BPF_TABLE "hash" int f skb t 1 '
    ": u8 bpf_usdt_readarg incr_cksum_l3 (void*) static sizeof BPF_PACKET_HEADER bpf_trace_printk return",
)
MACROS = ["\n#define X T.lookup(&k)\n", "\n#define Y a##_t.update(k, \\\n v)\n"]


@given(st.lists(st.sampled_from(WORDS + MACROS), max_size=40), st.booleans())
@settings(max_examples=300, deadline=None)
def test_any_text_is_translated_or_refused(words: list[str], in_function: bool) -> None:
    text = ("int f(struct __sk_buff *skb, struct ip_t *p) { " if in_function else "") + " ".join(words)
    work = Work(text, "main.c", tokenize(text), RunningKernel(no_format))
    try:
        methods(work, find_tables(work))
        packets(work, ["bcc/proto.h"])
        usdt_arguments(work)
    except CompileError as error:
        assert error.diagnostics
    assert work.edited().count("\n") >= text.count("\n")

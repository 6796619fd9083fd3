"""The helpers that the verifier knows: arguments, return value, effects, and who may call them.

A helper without a row here is an unknown function, whatever the kernel below implements.
"""

from __future__ import annotations

from dataclasses import dataclass

from stingless._gen.helpers import Helper
from stingless._gen.uapi import ProgramType

# What an argument must be.
ANY = "any"  # initialised
CTX = "ctx"  # the context, as the program got it
MAP = "map"
KEY = "key"  # memory of the map's key size
VALUE = "value"  # memory of the map's value size
OUT_VALUE = "out value"  # the same, written by the helper
IN = "in"  # memory that is read; the next argument is its size
IN_OR_NULL = "in or null"  # the same; NULL with size 0
OUT = "out"  # memory that is written; the next argument is its size
SIZE = "size"  # 1 or more
SIZE_OR_ZERO = "size or zero"
ALLOC = "alloc"  # a constant size
RECORD = "record"  # a reserved ring buffer record, given back
TEXT = "text"  # a string that ends with NUL in a frozen read-only map
OUT_LONG = "out long"  # 8 aligned bytes that are written

# What is returned.
NUMBER = "number"
LENGTH = "length"  # a negative errno, or at most the size argument
NOTHING = "nothing"
MAP_VALUE = "map value"
RESERVED = "reserved"

_T = ProgramType
_TRACING = frozenset({_T.KPROBE, _T.TRACEPOINT, _T.PERF_EVENT, _T.RAW_TRACEPOINT})
_TRACING_AND_SYSCALL = _TRACING | {_T.SYSCALL}
_TC = frozenset({_T.SCHED_CLS, _T.SCHED_ACT})
_SKB = _TC | {_T.SOCKET_FILTER, _T.CGROUP_SKB}
_XDP = frozenset({_T.XDP})


@dataclass(frozen=True)
class Signature:
    """`types` are the program types that may call the helper (None: all); `gpl`: the program's licence must be
    compatible with the GPL; `moves_packet`: packet pointers taken before are void after; `reads_packet`: its memory
    arguments may be in the packet."""

    returns: str
    arguments: tuple[str, ...]
    gpl: bool = False
    types: frozenset[ProgramType] | None = None
    moves_packet: bool = False
    reads_packet: bool = False


def _s(
    returns: str, *arguments: str, gpl: bool = False, types: frozenset[ProgramType] | None = None, moves: bool = False,
    packet: bool = False,
) -> Signature:  # fmt: skip
    return Signature(returns, arguments, gpl, types, moves, packet)


_H = Helper
_PROBE = (OUT, SIZE_OR_ZERO, ANY)

SIGNATURES: dict[int, Signature] = {
    # Maps.
    _H.map_lookup_elem: _s(MAP_VALUE, MAP, KEY, packet=True),
    _H.map_update_elem: _s(NUMBER, MAP, KEY, VALUE, ANY, packet=True),
    _H.map_delete_elem: _s(NUMBER, MAP, KEY, packet=True),
    _H.map_push_elem: _s(NUMBER, MAP, VALUE, ANY, packet=True),
    _H.map_pop_elem: _s(NUMBER, MAP, OUT_VALUE),
    _H.map_peek_elem: _s(NUMBER, MAP, OUT_VALUE),
    _H.map_lookup_percpu_elem: _s(MAP_VALUE, MAP, KEY, ANY, packet=True),
    _H.tail_call: _s(NOTHING, CTX, MAP, ANY),
    # Events.
    _H.trace_printk: _s(NUMBER, IN, SIZE, gpl=True),
    _H.trace_vprintk: _s(NUMBER, IN, SIZE, IN_OR_NULL, SIZE_OR_ZERO, gpl=True),
    _H.perf_event_output: _s(NUMBER, CTX, MAP, ANY, IN, SIZE_OR_ZERO, gpl=True),
    _H.perf_event_read: _s(NUMBER, MAP, ANY, gpl=True),
    _H.perf_event_read_value: _s(NUMBER, MAP, ANY, OUT, SIZE, gpl=True),
    _H.perf_prog_read_value: _s(NUMBER, CTX, OUT, SIZE, gpl=True, types=frozenset({_T.PERF_EVENT})),
    _H.ringbuf_output: _s(NUMBER, MAP, IN, SIZE_OR_ZERO, ANY),
    _H.ringbuf_reserve: _s(RESERVED, MAP, ALLOC, ANY),
    _H.ringbuf_submit: _s(NOTHING, RECORD, ANY),
    _H.ringbuf_discard: _s(NOTHING, RECORD, ANY),
    _H.ringbuf_query: _s(NUMBER, MAP, ANY),
    # The task and the machine.
    _H.get_current_pid_tgid: _s(NUMBER),
    _H.get_current_uid_gid: _s(NUMBER),
    _H.get_current_comm: _s(NUMBER, OUT, SIZE),
    _H.get_current_task: _s(NUMBER, gpl=True),
    _H.get_current_cgroup_id: _s(NUMBER),
    _H.get_current_ancestor_cgroup_id: _s(NUMBER, ANY),
    _H.current_task_under_cgroup: _s(NUMBER, MAP, ANY),
    _H.get_ns_current_pid_tgid: _s(NUMBER, ANY, ANY, OUT, SIZE),
    _H.send_signal: _s(NUMBER, ANY),
    _H.send_signal_thread: _s(NUMBER, ANY),
    _H.get_smp_processor_id: _s(NUMBER),
    _H.get_numa_node_id: _s(NUMBER),
    _H.get_prandom_u32: _s(NUMBER),
    _H.ktime_get_ns: _s(NUMBER),
    _H.ktime_get_boot_ns: _s(NUMBER),
    _H.ktime_get_coarse_ns: _s(NUMBER, types=_SKB | _XDP),
    _H.ktime_get_tai_ns: _s(NUMBER),
    _H.jiffies64: _s(NUMBER),
    # Memory of the kernel and of the task.
    _H.probe_read: _s(NUMBER, *_PROBE, gpl=True, types=_TRACING_AND_SYSCALL),
    _H.probe_read_str: _s(LENGTH, *_PROBE, gpl=True, types=_TRACING_AND_SYSCALL),
    _H.probe_read_user: _s(NUMBER, *_PROBE, gpl=True),
    _H.probe_read_user_str: _s(LENGTH, *_PROBE, gpl=True),
    _H.probe_read_kernel: _s(NUMBER, *_PROBE, gpl=True),
    _H.probe_read_kernel_str: _s(LENGTH, *_PROBE, gpl=True),
    _H.copy_from_user: _s(NUMBER, *_PROBE, types=frozenset({_T.SYSCALL})),  # it sleeps: only this type may
    _H.get_stackid: _s(NUMBER, CTX, MAP, ANY, gpl=True, types=_TRACING_AND_SYSCALL),
    _H.get_stack: _s(LENGTH, CTX, OUT, SIZE_OR_ZERO, ANY, gpl=True, types=_TRACING_AND_SYSCALL),
    _H.get_func_ip: _s(NUMBER, CTX, gpl=True, types=_TRACING_AND_SYSCALL - {_T.TRACEPOINT}),
    _H.get_attach_cookie: _s(NUMBER, CTX, types=_TRACING),
    # Strings.
    _H.strtol: _s(NUMBER, IN, SIZE, ANY, OUT_LONG),
    _H.strtoul: _s(NUMBER, IN, SIZE, ANY, OUT_LONG),
    _H.strncmp: _s(NUMBER, IN, SIZE, TEXT),
    _H.snprintf: _s(NUMBER, OUT, SIZE_OR_ZERO, TEXT, IN_OR_NULL, SIZE_OR_ZERO, gpl=True),
    # Packets.
    _H.csum_diff: _s(NUMBER, IN_OR_NULL, SIZE_OR_ZERO, IN_OR_NULL, SIZE_OR_ZERO, ANY, types=_TC | _XDP, packet=True),
    _H.redirect: _s(NUMBER, ANY, ANY, types=_TC | _XDP),
    _H.redirect_map: _s(NUMBER, MAP, ANY, ANY, types=_XDP),
    _H.skb_load_bytes: _s(NUMBER, CTX, ANY, OUT, SIZE, types=_SKB),
    _H.skb_load_bytes_relative: _s(NUMBER, CTX, ANY, OUT, SIZE, ANY, types=_SKB),
    _H.skb_store_bytes: _s(NUMBER, CTX, ANY, IN, SIZE, ANY, types=_TC, moves=True),
    _H.l3_csum_replace: _s(NUMBER, CTX, ANY, ANY, ANY, ANY, types=_TC, moves=True),
    _H.l4_csum_replace: _s(NUMBER, CTX, ANY, ANY, ANY, ANY, types=_TC, moves=True),
    _H.clone_redirect: _s(NUMBER, CTX, ANY, ANY, types=_TC, moves=True),
    _H.skb_vlan_push: _s(NUMBER, CTX, ANY, ANY, types=_TC, moves=True),
    _H.skb_vlan_pop: _s(NUMBER, CTX, types=_TC, moves=True),
    _H.skb_change_proto: _s(NUMBER, CTX, ANY, ANY, types=_TC, moves=True),
    _H.skb_change_type: _s(NUMBER, CTX, ANY, types=_TC),
    _H.skb_change_tail: _s(NUMBER, CTX, ANY, ANY, types=_TC, moves=True),
    _H.skb_change_head: _s(NUMBER, CTX, ANY, ANY, types=_TC, moves=True),
    _H.skb_pull_data: _s(NUMBER, CTX, ANY, types=_TC, moves=True),
    _H.skb_adjust_room: _s(NUMBER, CTX, ANY, ANY, ANY, types=_TC, moves=True),
    _H.csum_update: _s(NUMBER, CTX, ANY, types=_TC),
    _H.csum_level: _s(NUMBER, CTX, ANY, types=_TC),
    _H.get_hash_recalc: _s(NUMBER, CTX, types=_TC),
    _H.set_hash: _s(NUMBER, CTX, ANY, types=_TC),
    _H.set_hash_invalid: _s(NUMBER, CTX, types=_TC),
    _H.get_socket_cookie: _s(NUMBER, CTX, types=_SKB),
    _H.get_socket_uid: _s(NUMBER, CTX, types=_SKB),
    _H.xdp_adjust_head: _s(NUMBER, CTX, ANY, types=_XDP, moves=True),
    _H.xdp_adjust_meta: _s(NUMBER, CTX, ANY, types=_XDP, moves=True),
    _H.xdp_adjust_tail: _s(NUMBER, CTX, ANY, types=_XDP, moves=True),
    _H.xdp_get_buff_len: _s(NUMBER, CTX, types=_XDP),
    _H.xdp_load_bytes: _s(NUMBER, CTX, ANY, OUT, SIZE, types=_XDP),
    _H.xdp_store_bytes: _s(NUMBER, CTX, ANY, IN, SIZE, types=_XDP),
}  # fmt: skip

# Helpers whose call needs what this verifier does not follow, with the words for it.
UNSUPPORTED: dict[int, str] = {
    _H.loop: "bpf_loop: callbacks are",
    _H.for_each_map_elem: "bpf_for_each_map_elem: callbacks are",
    _H.find_vma: "bpf_find_vma: callbacks are",
    _H.user_ringbuf_drain: "bpf_user_ringbuf_drain: callbacks are",
    _H.spin_lock: "bpf_spin_lock: locks in map values are",
    _H.spin_unlock: "bpf_spin_unlock: locks in map values are",
    _H.timer_init: "bpf_timer_init: timers are",
    _H.timer_set_callback: "bpf_timer_set_callback: timers are",
    _H.timer_start: "bpf_timer_start: timers are",
    _H.timer_cancel: "bpf_timer_cancel: timers are",
    _H.kptr_xchg: "bpf_kptr_xchg: kernel pointers in map values are",
    _H.dynptr_from_mem: "bpf_dynptr_from_mem: dynptrs are",
    _H.dynptr_read: "bpf_dynptr_read: dynptrs are",
    _H.dynptr_write: "bpf_dynptr_write: dynptrs are",
    _H.dynptr_data: "bpf_dynptr_data: dynptrs are",
    _H.ringbuf_reserve_dynptr: "bpf_ringbuf_reserve_dynptr: dynptrs are",
    _H.ringbuf_submit_dynptr: "bpf_ringbuf_submit_dynptr: dynptrs are",
    _H.ringbuf_discard_dynptr: "bpf_ringbuf_discard_dynptr: dynptrs are",
    _H.get_current_task_btf: "bpf_get_current_task_btf: typed kernel pointers are",
}

GPL_COMPATIBLE = frozenset(
    {"GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"}
)


def argument_count(number: int) -> int:
    """How many arguments a helper reads (5 where it is not known)."""
    signature = SIGNATURES.get(number)
    return len(signature.arguments) if signature else 5

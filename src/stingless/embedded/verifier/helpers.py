"""The table of all helpers of Linux 6.18: arguments, return value, effects, who may call them, and whether they are
implemented here or meaningful only in a kernel.

Names and numbers are those of `stingless._gen.helpers`.  Program types are what Linux's verifier answered when asked.
"""

from __future__ import annotations

from stingless._gen.helpers import Helper
from stingless._gen.uapi import ProgramType
from stingless.embedded.verifier.helper_kinds import (
    A_SOCK_COMMON,
    A_SOCKET,
    A_TASK,
    ALLOC,
    AN_OBJECT,
    ANY,
    BPRM,
    CALLBACK_CTX,
    CGROUP,
    CTX,
    DATA,
    DYNPTR,
    FILE,
    FUNCTION,
    IN,
    IN_20,
    IN_40,
    IN_OR_NULL,
    IN_OUT,
    IN_OUT_INT,
    INODE,
    ITS_SOCKET,
    ITS_TCP_SOCK,
    KERNEL_SOCK,
    KEY,
    KPTR,
    LENGTH,
    LOCK,
    MAP,
    MAP_VALUE,
    NEW_DYNPTR,
    NOTHING,
    NUMBER,
    OBJECT,
    OUT,
    OUT_LONG,
    OUT_OR_NULL,
    OUT_VALUE,
    PATH,
    PERCPU,
    PERCPU_MEMORY,
    PERCPU_MEMORY_OR_NULL,
    PT_REGS,
    RECORD,
    RECORD_DYNPTR,
    RESERVED,
    SEQ,
    SIZE,
    SIZE_OR_ZERO,
    SK_BUFF,
    SOCK_COMMON,
    STORAGE,
    TASK,
    TCP_SOCK,
    TEXT,
    TIMER,
    VALUE,
    VALUE_OR_NULL,
    XDP_BUFF,
    Signature,
)

_T = ProgramType
_Types = frozenset[ProgramType]
_EVERY: _Types = frozenset(ProgramType)
_TRAMPOLINE: _Types = frozenset({_T.TRACING, _T.LSM})
_TRACED: _Types = _TRAMPOLINE | {
    _T.KPROBE, _T.TRACEPOINT, _T.PERF_EVENT, _T.RAW_TRACEPOINT, _T.RAW_TRACEPOINT_WRITABLE,
}  # fmt: skip
_TRACED_AND_SYSCALL = _TRACED | {_T.SYSCALL}
_BY_BTF = _TRAMPOLINE | {_T.SYSCALL}
_TC: _Types = frozenset({_T.SCHED_CLS, _T.SCHED_ACT})
_XDP: _Types = frozenset({_T.XDP})
_LWT: _Types = frozenset({_T.LWT_IN, _T.LWT_OUT, _T.LWT_XMIT, _T.LWT_SEG6LOCAL})
_XMIT: _Types = _TC | {_T.LWT_XMIT}
_SK_SKB: _Types = frozenset({_T.SK_SKB})
_SK_MSG: _Types = frozenset({_T.SK_MSG})
_SOCK_OPS: _Types = frozenset({_T.SOCK_OPS})
_SEG6: _Types = frozenset({_T.LWT_SEG6LOCAL})
_LIRC: _Types = frozenset({_T.LIRC_MODE2})
_LSM: _Types = frozenset({_T.LSM})
_ITERATOR: _Types = frozenset({_T.TRACING})
_SYSCALL: _Types = frozenset({_T.SYSCALL})
_SYSCTL: _Types = frozenset({_T.CGROUP_SYSCTL})
_SKB: _Types = _TC | {_T.SOCKET_FILTER, _T.CGROUP_SKB}
_INGRESS_OR_EGRESS = _TC | {_T.CGROUP_SKB}
_CGROUP: _Types = frozenset(
    {_T.CGROUP_DEVICE, _T.CGROUP_SOCK, _T.CGROUP_SOCKOPT, _T.CGROUP_SOCK_ADDR, _T.CGROUP_SYSCTL}
)
_SOCKET_OPTIONS: _Types = frozenset({_T.CGROUP_SOCKOPT, _T.CGROUP_SOCK_ADDR, _T.SOCK_OPS, _T.LSM})
_SK_LOOKUPS: _Types = _INGRESS_OR_EGRESS | {_T.CGROUP_SOCK_ADDR, _T.SK_SKB, _T.XDP, _T.TRACING}
_KERNEL_SOCKS = _EVERY - _CGROUP - _TRACED - {_T.NETFILTER, _T.SK_REUSEPORT} | {_T.CGROUP_SOCK_ADDR} | _TRAMPOLINE
_SK_STORAGE: _Types = _INGRESS_OR_EGRESS | _BY_BTF | {
    _T.CGROUP_SOCKOPT, _T.CGROUP_SOCK_ADDR, _T.SK_MSG, _T.SOCK_OPS,
}  # fmt: skip

# Why a helper is meaningful only in a kernel.
_NO_ROUTES = "there are no routes with tunnels here"
_NO_TUNNELS = "there are no tunnel devices here"
_NO_INFRARED = "there are no infrared receivers here"
_NO_TCP = "there is no TCP implementation here"
_NO_SECURITY = "there is no integrity subsystem or program loader here"
_NO_SEQ_FILES = "there are no iterators over kernel objects that write files here"
_NO_KERNEL_CODE = "no code of a kernel runs here"
_NO_KERNEL_MEMORY = "there is no memory of a kernel here"
_NO_BPF = "there are no bpf(2) descriptors of a kernel here"
_NO_SOCKET_OPTIONS = "the sockets here have no options"
_NO_NETFILTER = "there are no transforms (xfrm) here"
_NO_KERNEL_OBJECTS = "objects here are not of a kernel's types"
_NO_KERNEL_BUFFERS = "there are no packet buffers of a kernel here"


def _s(
    returns: str,
    *arguments: str,
    gpl: bool = False,
    types: _Types | None = None,
    moves: bool = False,
    packet: bool = False,
    sleeps: bool = False,
    only: str = "",
) -> Signature:
    return Signature(returns, arguments, gpl, types, moves, packet, sleeps, only)


_H = Helper
_PROBE = (OUT, SIZE_OR_ZERO, ANY)
_LOOKUP = (CTX, IN, SIZE, ANY, ANY)
_SYN = (SOCK_COMMON, IN, SIZE, IN, SIZE)

SIGNATURES: dict[int, Signature] = {
    # Maps.
    _H.map_lookup_elem: _s(MAP_VALUE, MAP, KEY, packet=True),
    _H.map_update_elem: _s(NUMBER, MAP, KEY, VALUE, ANY, packet=True),
    _H.map_delete_elem: _s(NUMBER, MAP, KEY, packet=True),
    _H.map_push_elem: _s(NUMBER, MAP, VALUE, ANY, packet=True),
    _H.map_pop_elem: _s(NUMBER, MAP, OUT_VALUE),
    _H.map_peek_elem: _s(NUMBER, MAP, OUT_VALUE),
    _H.map_lookup_percpu_elem: _s(MAP_VALUE, MAP, KEY, ANY, packet=True),
    _H.for_each_map_elem: _s(NUMBER, MAP, FUNCTION, CALLBACK_CTX, ANY),
    _H.tail_call: _s(NOTHING, CTX, MAP, ANY),
    _H.task_storage_get: _s(MAP_VALUE, MAP, TASK, VALUE_OR_NULL, ANY),
    _H.task_storage_delete: _s(NUMBER, MAP, TASK),
    _H.cgrp_storage_get: _s(MAP_VALUE, MAP, CGROUP, VALUE_OR_NULL, ANY),
    _H.cgrp_storage_delete: _s(NUMBER, MAP, CGROUP),
    _H.inode_storage_get: _s(MAP_VALUE, MAP, INODE, VALUE_OR_NULL, ANY, types=_LSM),
    _H.inode_storage_delete: _s(NUMBER, MAP, INODE, types=_LSM),
    _H.sk_storage_get: _s(MAP_VALUE, MAP, SOCK_COMMON, VALUE_OR_NULL, ANY, types=_SK_STORAGE | {_T.CGROUP_SOCK}),
    _H.sk_storage_delete: _s(NUMBER, MAP, SOCK_COMMON, types=_SK_STORAGE),
    _H.get_local_storage: _s(STORAGE, MAP, ANY, types=_CGROUP | {_T.CGROUP_SKB, _T.SOCK_OPS}),
    # Control: locks, timers, loops, objects.
    _H.spin_lock: _s(NOTHING, LOCK),
    _H.spin_unlock: _s(NOTHING, LOCK),
    _H.timer_init: _s(NUMBER, TIMER, MAP, ANY, gpl=True),
    _H.timer_set_callback: _s(NUMBER, TIMER, FUNCTION, gpl=True),
    _H.timer_start: _s(NUMBER, TIMER, ANY, ANY, gpl=True),
    _H.timer_cancel: _s(NUMBER, TIMER, gpl=True),
    _H.loop: _s(NUMBER, ANY, FUNCTION, CALLBACK_CTX, ANY),
    _H.kptr_xchg: _s(AN_OBJECT, KPTR, OBJECT),
    _H.per_cpu_ptr: _s(PERCPU_MEMORY_OR_NULL, PERCPU, ANY, only=_NO_KERNEL_MEMORY),
    _H.this_cpu_ptr: _s(PERCPU_MEMORY, PERCPU, only=_NO_KERNEL_MEMORY),
    # Events.
    _H.trace_printk: _s(NUMBER, IN, SIZE, gpl=True),
    _H.trace_vprintk: _s(NUMBER, IN, SIZE, IN_OR_NULL, SIZE_OR_ZERO, gpl=True),
    _H.perf_event_output: _s(
        NUMBER, CTX, MAP, ANY, IN, SIZE_OR_ZERO, gpl=True,
        types=_EVERY - {_T.FLOW_DISSECTOR, _T.NETFILTER, _T.SK_REUSEPORT},
    ),
    _H.skb_output: _s(
        NUMBER, SK_BUFF, MAP, ANY, IN, SIZE_OR_ZERO, gpl=True, types=_BY_BTF, only=_NO_KERNEL_BUFFERS
    ),
    _H.xdp_output: _s(
        NUMBER, XDP_BUFF, MAP, ANY, IN, SIZE_OR_ZERO, gpl=True, types=_BY_BTF, only=_NO_KERNEL_BUFFERS
    ),
    _H.perf_event_read: _s(NUMBER, MAP, ANY, gpl=True),
    _H.perf_event_read_value: _s(NUMBER, MAP, ANY, OUT, SIZE, gpl=True),
    _H.perf_prog_read_value: _s(
        NUMBER, CTX, OUT, SIZE, gpl=True, types=frozenset({_T.PERF_EVENT}), only="there are no hardware counters here"
    ),
    _H.read_branch_records: _s(NUMBER, CTX, OUT_OR_NULL, SIZE_OR_ZERO, ANY, gpl=True, types=frozenset({_T.PERF_EVENT})),
    _H.get_branch_snapshot: _s(NUMBER, OUT, SIZE_OR_ZERO, ANY, gpl=True),
    _H.ringbuf_output: _s(NUMBER, MAP, IN, SIZE_OR_ZERO, ANY),
    _H.ringbuf_reserve: _s(RESERVED, MAP, ALLOC, ANY),
    _H.ringbuf_submit: _s(NOTHING, RECORD, ANY),
    _H.ringbuf_discard: _s(NOTHING, RECORD, ANY),
    _H.ringbuf_query: _s(NUMBER, MAP, ANY),
    _H.ringbuf_reserve_dynptr: _s(NUMBER, MAP, ANY, ANY, NEW_DYNPTR),
    _H.ringbuf_submit_dynptr: _s(NOTHING, RECORD_DYNPTR, ANY),
    _H.ringbuf_discard_dynptr: _s(NOTHING, RECORD_DYNPTR, ANY),
    _H.user_ringbuf_drain: _s(NUMBER, MAP, FUNCTION, CALLBACK_CTX, ANY),
    # Dynptrs.
    _H.dynptr_from_mem: _s(NUMBER, IN_OUT, SIZE_OR_ZERO, ANY, NEW_DYNPTR),
    _H.dynptr_read: _s(NUMBER, OUT, SIZE_OR_ZERO, DYNPTR, ANY, ANY),
    _H.dynptr_write: _s(NUMBER, DYNPTR, ANY, IN, SIZE_OR_ZERO, ANY),
    _H.dynptr_data: _s(DATA, DYNPTR, ANY, ALLOC),
    # The task and the machine.
    _H.get_current_pid_tgid: _s(NUMBER),
    _H.get_current_uid_gid: _s(NUMBER),
    _H.get_current_comm: _s(NUMBER, OUT, SIZE),
    _H.get_current_task: _s(NUMBER, gpl=True),
    _H.get_current_task_btf: _s(A_TASK, gpl=True),
    _H.task_pt_regs: _s(PT_REGS, TASK, gpl=True),
    _H.get_current_cgroup_id: _s(NUMBER),
    _H.get_current_ancestor_cgroup_id: _s(NUMBER, ANY),
    _H.get_cgroup_classid: _s(NUMBER, CTX),
    _H.current_task_under_cgroup: _s(NUMBER, MAP, ANY),
    _H.get_ns_current_pid_tgid: _s(NUMBER, ANY, ANY, OUT, SIZE),
    _H.send_signal: _s(NUMBER, ANY),
    _H.send_signal_thread: _s(NUMBER, ANY),
    _H.get_smp_processor_id: _s(NUMBER),
    _H.get_numa_node_id: _s(NUMBER),
    _H.get_prandom_u32: _s(NUMBER),
    _H.ktime_get_ns: _s(NUMBER),
    _H.ktime_get_boot_ns: _s(NUMBER),
    _H.ktime_get_coarse_ns: _s(
        NUMBER, types=_EVERY - _TRACED_AND_SYSCALL - {_T.CGROUP_DEVICE, _T.CGROUP_SOCKOPT, _T.NETFILTER}
    ),
    _H.ktime_get_tai_ns: _s(NUMBER),
    _H.jiffies64: _s(NUMBER),
    # Memory of the kernel and of the task.
    _H.probe_read: _s(NUMBER, *_PROBE, gpl=True, types=_TRACED_AND_SYSCALL),
    _H.probe_read_str: _s(LENGTH, *_PROBE, gpl=True, types=_TRACED_AND_SYSCALL),
    _H.probe_read_user: _s(NUMBER, *_PROBE, gpl=True),
    _H.probe_read_user_str: _s(LENGTH, *_PROBE, gpl=True),
    _H.probe_read_kernel: _s(NUMBER, *_PROBE, gpl=True),
    _H.probe_read_kernel_str: _s(LENGTH, *_PROBE, gpl=True),
    _H.probe_write_user: _s(NUMBER, ANY, IN, SIZE, gpl=True, types=_TRACED_AND_SYSCALL),
    _H.copy_from_user: _s(NUMBER, *_PROBE, sleeps=True),
    _H.copy_from_user_task: _s(NUMBER, *_PROBE, TASK, ANY, gpl=True, sleeps=True),
    _H.find_vma: _s(NUMBER, TASK, ANY, FUNCTION, CALLBACK_CTX, ANY, only=_NO_KERNEL_MEMORY),
    # Calls and stacks.
    _H.get_stackid: _s(NUMBER, CTX, MAP, ANY, gpl=True, types=_TRACED_AND_SYSCALL),
    _H.get_stack: _s(LENGTH, CTX, OUT, SIZE_OR_ZERO, ANY, gpl=True, types=_TRACED_AND_SYSCALL),
    _H.get_task_stack: _s(LENGTH, TASK, OUT, SIZE_OR_ZERO, ANY),
    _H.get_func_ip: _s(NUMBER, CTX, gpl=True, types=_TRAMPOLINE | {_T.KPROBE}),
    _H.get_func_arg: _s(NUMBER, CTX, ANY, OUT_LONG, types=_TRAMPOLINE),
    _H.get_func_ret: _s(NUMBER, CTX, OUT_LONG, types=_TRAMPOLINE),
    _H.get_func_arg_cnt: _s(NUMBER, CTX, types=_TRAMPOLINE),
    _H.get_attach_cookie: _s(NUMBER, CTX, types=_TRACED),
    _H.override_return: _s(NUMBER, CTX, ANY, gpl=True, types=frozenset({_T.KPROBE}), only=_NO_KERNEL_CODE),
    _H.get_retval: _s(NUMBER, types=_CGROUP),
    _H.set_retval: _s(NUMBER, ANY, types=_CGROUP),
    # Strings.
    _H.strtol: _s(NUMBER, IN, SIZE, ANY, OUT_LONG),
    _H.strtoul: _s(NUMBER, IN, SIZE, ANY, OUT_LONG),
    _H.strncmp: _s(NUMBER, IN, SIZE, TEXT),
    _H.snprintf: _s(NUMBER, OUT, SIZE_OR_ZERO, TEXT, IN_OR_NULL, SIZE_OR_ZERO, gpl=True),
    _H.snprintf_btf: _s(NUMBER, OUT, SIZE, IN, SIZE, ANY, only=_NO_KERNEL_OBJECTS),
    _H.seq_printf: _s(
        NUMBER, SEQ, IN, SIZE, IN_OR_NULL, SIZE_OR_ZERO, gpl=True, types=_ITERATOR, only=_NO_SEQ_FILES
    ),
    _H.seq_write: _s(NUMBER, SEQ, IN, SIZE_OR_ZERO, gpl=True, types=_ITERATOR, only=_NO_SEQ_FILES),
    _H.seq_printf_btf: _s(NUMBER, SEQ, IN, SIZE, ANY, gpl=True, types=_ITERATOR, only=_NO_SEQ_FILES),
    # Of programs of type SYSCALL.
    _H.sys_bpf: _s(NUMBER, ANY, IN, SIZE, types=_SYSCALL, only=_NO_BPF),
    _H.btf_find_by_name_kind: _s(NUMBER, IN, SIZE, ANY, ANY, types=_SYSCALL, only=_NO_BPF),
    _H.sys_close: _s(NUMBER, ANY, types=_SYSCALL, only=_NO_BPF),
    _H.kallsyms_lookup_name: _s(NUMBER, IN, SIZE, ANY, OUT_LONG, types=_SYSCALL, only=_NO_KERNEL_CODE),
    # Kernel objects.
    _H.d_path: _s(NUMBER, PATH, OUT, SIZE_OR_ZERO, types=_BY_BTF, only="the files here are not of a kernel"),
    _H.sock_from_file: _s(KERNEL_SOCK, FILE, types=_BY_BTF, only="the files here are not of a kernel"),
    _H.bprm_opts_set: _s(NUMBER, BPRM, ANY, types=_LSM, only=_NO_SECURITY),
    _H.ima_inode_hash: _s(NUMBER, INODE, OUT, SIZE, types=_LSM, sleeps=True, only=_NO_SECURITY),
    _H.ima_file_hash: _s(NUMBER, FILE, OUT, SIZE, types=_LSM, sleeps=True, only=_NO_SECURITY),
    # Packets.
    _H.csum_diff: _s(
        NUMBER, IN_OR_NULL, SIZE_OR_ZERO, IN_OR_NULL, SIZE_OR_ZERO, ANY, types=_TC | _XDP | _LWT, packet=True
    ),
    _H.redirect: _s(NUMBER, ANY, ANY, types=_XMIT | _XDP),
    _H.redirect_neigh: _s(NUMBER, ANY, IN_OR_NULL, SIZE_OR_ZERO, ANY, types=_TC),
    _H.redirect_peer: _s(NUMBER, ANY, ANY, types=_TC),
    _H.redirect_map: _s(NUMBER, MAP, ANY, ANY, types=_XDP),
    _H.skb_load_bytes: _s(
        NUMBER, CTX, ANY, OUT, SIZE, types=_SKB | _LWT | {_T.FLOW_DISSECTOR, _T.SK_REUSEPORT, _T.SK_SKB}
    ),
    _H.skb_load_bytes_relative: _s(NUMBER, CTX, ANY, OUT, SIZE, ANY, types=_SKB | {_T.SK_REUSEPORT}),
    _H.skb_store_bytes: _s(NUMBER, CTX, ANY, IN, SIZE, ANY, types=_XMIT | _SK_SKB, moves=True),
    _H.l3_csum_replace: _s(NUMBER, CTX, ANY, ANY, ANY, ANY, types=_XMIT, moves=True),
    _H.l4_csum_replace: _s(NUMBER, CTX, ANY, ANY, ANY, ANY, types=_XMIT, moves=True),
    _H.clone_redirect: _s(NUMBER, CTX, ANY, ANY, types=_XMIT, moves=True),
    _H.skb_vlan_push: _s(NUMBER, CTX, ANY, ANY, types=_TC, moves=True),
    _H.skb_vlan_pop: _s(NUMBER, CTX, types=_TC, moves=True),
    _H.skb_change_proto: _s(NUMBER, CTX, ANY, ANY, types=_TC, moves=True),
    _H.skb_change_type: _s(NUMBER, CTX, ANY, types=_TC),
    _H.skb_change_tail: _s(NUMBER, CTX, ANY, ANY, types=_XMIT | _SK_SKB, moves=True),
    _H.skb_change_head: _s(NUMBER, CTX, ANY, ANY, types=_XMIT | _SK_SKB, moves=True),
    _H.skb_pull_data: _s(NUMBER, CTX, ANY, types=_TC | _LWT | _SK_SKB, moves=True),
    _H.skb_adjust_room: _s(NUMBER, CTX, ANY, ANY, ANY, types=_TC | _SK_SKB, moves=True),
    _H.skb_set_tstamp: _s(NUMBER, CTX, ANY, ANY, types=_TC),
    _H.skb_ecn_set_ce: _s(NUMBER, CTX, types=_INGRESS_OR_EGRESS),
    _H.csum_update: _s(NUMBER, CTX, ANY, types=_XMIT),
    _H.csum_level: _s(NUMBER, CTX, ANY, types=_XMIT),
    _H.get_hash_recalc: _s(NUMBER, CTX, types=_TC | _LWT),
    _H.set_hash: _s(NUMBER, CTX, ANY, types=_TC),
    _H.set_hash_invalid: _s(NUMBER, CTX, types=_XMIT),
    _H.get_route_realm: _s(NUMBER, CTX, types=_TC | _LWT),
    _H.skb_cgroup_id: _s(NUMBER, CTX, types=_INGRESS_OR_EGRESS),
    _H.skb_ancestor_cgroup_id: _s(NUMBER, CTX, ANY, types=_INGRESS_OR_EGRESS),
    _H.skb_cgroup_classid: _s(NUMBER, CTX, types=_TC),
    _H.skb_under_cgroup: _s(NUMBER, CTX, MAP, ANY, types=_TC | _LWT),
    _H.skb_get_tunnel_key: _s(NUMBER, CTX, OUT, SIZE, ANY, types=_XMIT, only=_NO_TUNNELS),
    _H.skb_set_tunnel_key: _s(NUMBER, CTX, IN, SIZE, ANY, types=_XMIT, only=_NO_TUNNELS),
    _H.skb_get_tunnel_opt: _s(NUMBER, CTX, OUT, SIZE, types=_XMIT, only=_NO_TUNNELS),
    _H.skb_set_tunnel_opt: _s(NUMBER, CTX, IN, SIZE, types=_XMIT, only=_NO_TUNNELS),
    _H.skb_get_xfrm_state: _s(NUMBER, CTX, ANY, OUT, SIZE, ANY, types=_TC, only=_NO_NETFILTER),
    _H.fib_lookup: _s(NUMBER, CTX, IN_OUT, SIZE, ANY, gpl=True, types=_TC | _XDP),
    _H.check_mtu: _s(NUMBER, CTX, ANY, IN_OUT_INT, ANY, ANY, gpl=True, types=_TC | _XDP),
    _H.xdp_adjust_head: _s(NUMBER, CTX, ANY, types=_XDP, moves=True),
    _H.xdp_adjust_meta: _s(NUMBER, CTX, ANY, types=_XDP, moves=True),
    _H.xdp_adjust_tail: _s(NUMBER, CTX, ANY, types=_XDP, moves=True),
    _H.xdp_get_buff_len: _s(NUMBER, CTX, types=_XDP),
    _H.xdp_load_bytes: _s(NUMBER, CTX, ANY, OUT, SIZE, types=_XDP),
    _H.xdp_store_bytes: _s(NUMBER, CTX, ANY, IN, SIZE, types=_XDP),
    _H.lwt_push_encap: _s(
        NUMBER, CTX, ANY, IN, SIZE, types=frozenset({_T.LWT_IN, _T.LWT_XMIT}), moves=True, only=_NO_ROUTES
    ),
    _H.lwt_seg6_store_bytes: _s(NUMBER, CTX, ANY, IN, SIZE, types=_SEG6, moves=True, only=_NO_ROUTES),
    _H.lwt_seg6_adjust_srh: _s(NUMBER, CTX, ANY, ANY, types=_SEG6, moves=True, only=_NO_ROUTES),
    _H.lwt_seg6_action: _s(NUMBER, CTX, ANY, IN, SIZE, types=_SEG6, moves=True, only=_NO_ROUTES),
    # Messages and streams between sockets.
    _H.msg_redirect_map: _s(NUMBER, CTX, MAP, ANY, ANY, types=_SK_MSG),
    _H.msg_redirect_hash: _s(NUMBER, CTX, MAP, KEY, ANY, types=_SK_MSG),
    _H.msg_apply_bytes: _s(NUMBER, CTX, ANY, types=_SK_MSG),
    _H.msg_cork_bytes: _s(NUMBER, CTX, ANY, types=_SK_MSG),
    _H.msg_pull_data: _s(NUMBER, CTX, ANY, ANY, ANY, types=_SK_MSG, moves=True),
    _H.msg_push_data: _s(NUMBER, CTX, ANY, ANY, ANY, types=_SK_MSG, moves=True),
    _H.msg_pop_data: _s(NUMBER, CTX, ANY, ANY, ANY, types=_SK_MSG, moves=True),
    _H.sk_redirect_map: _s(NUMBER, CTX, MAP, ANY, ANY, types=_SK_SKB),
    _H.sk_redirect_hash: _s(NUMBER, CTX, MAP, KEY, ANY, types=_SK_SKB),
    # Sockets.
    _H.get_socket_cookie: _s(
        NUMBER, CTX,
        types=_SKB | _BY_BTF | {_T.CGROUP_SOCK, _T.CGROUP_SOCK_ADDR, _T.SK_REUSEPORT, _T.SK_SKB, _T.SOCK_OPS},
    ),
    _H.get_socket_uid: _s(NUMBER, CTX, types=_SKB | _SK_SKB),
    _H.get_netns_cookie: _s(
        NUMBER, CTX,
        types=_SKB | {_T.CGROUP_SOCK, _T.CGROUP_SOCKOPT, _T.CGROUP_SOCK_ADDR, _T.SK_MSG, _T.SOCK_OPS},
    ),
    _H.sk_lookup_tcp: _s(A_SOCKET, *_LOOKUP, types=_SK_LOOKUPS, packet=True),
    _H.sk_lookup_udp: _s(A_SOCKET, *_LOOKUP, types=_SK_LOOKUPS, packet=True),
    _H.skc_lookup_tcp: _s(A_SOCK_COMMON, *_LOOKUP, types=_SK_LOOKUPS, packet=True),
    _H.sk_release: _s(NUMBER, SOCK_COMMON, types=_SK_LOOKUPS | {_T.SK_LOOKUP}),
    _H.sk_assign: _s(NUMBER, CTX, SOCK_COMMON, ANY, types=_TC | {_T.SK_LOOKUP}),
    _H.sk_select_reuseport: _s(
        NUMBER, CTX, MAP, KEY, ANY, types=frozenset({_T.SK_REUSEPORT}), only="there are no groups of listeners here"
    ),
    _H.sk_fullsock: _s(ITS_SOCKET, SOCK_COMMON, types=_INGRESS_OR_EGRESS),
    _H.tcp_sock: _s(ITS_TCP_SOCK, SOCK_COMMON, types=_INGRESS_OR_EGRESS | {_T.CGROUP_SOCKOPT, _T.SOCK_OPS}),
    _H.get_listener_sock: _s(ITS_SOCKET, SOCK_COMMON, types=_INGRESS_OR_EGRESS),
    _H.sk_cgroup_id: _s(NUMBER, SOCK_COMMON, types=frozenset({_T.CGROUP_SKB})),
    _H.sk_ancestor_cgroup_id: _s(NUMBER, SOCK_COMMON, ANY, types=frozenset({_T.CGROUP_SKB})),
    _H.skc_to_tcp6_sock: _s(KERNEL_SOCK, SOCK_COMMON, types=_KERNEL_SOCKS),
    _H.skc_to_tcp_sock: _s(KERNEL_SOCK, SOCK_COMMON, types=_KERNEL_SOCKS),
    _H.skc_to_tcp_timewait_sock: _s(KERNEL_SOCK, SOCK_COMMON, types=_KERNEL_SOCKS),
    _H.skc_to_tcp_request_sock: _s(KERNEL_SOCK, SOCK_COMMON, types=_KERNEL_SOCKS),
    _H.skc_to_udp6_sock: _s(KERNEL_SOCK, SOCK_COMMON, types=_KERNEL_SOCKS),
    _H.skc_to_unix_sock: _s(KERNEL_SOCK, SOCK_COMMON, types=_KERNEL_SOCKS),
    _H.skc_to_mptcp_sock: _s(KERNEL_SOCK, SOCK_COMMON, types=_KERNEL_SOCKS),
    _H.tcp_check_syncookie: _s(NUMBER, *_SYN, gpl=True, types=_TC | _XDP, packet=True, only=_NO_TCP),
    _H.tcp_gen_syncookie: _s(NUMBER, *_SYN, gpl=True, types=_TC | _XDP, packet=True, only=_NO_TCP),
    _H.tcp_raw_gen_syncookie_ipv4: _s(
        NUMBER, IN_20, IN, SIZE_OR_ZERO, gpl=True, types=_TC | _XDP, packet=True, only=_NO_TCP
    ),
    _H.tcp_raw_gen_syncookie_ipv6: _s(
        NUMBER, IN_40, IN, SIZE_OR_ZERO, gpl=True, types=_TC | _XDP, packet=True, only=_NO_TCP
    ),
    _H.tcp_raw_check_syncookie_ipv4: _s(NUMBER, IN_20, IN_20, gpl=True, types=_TC | _XDP, packet=True, only=_NO_TCP),
    _H.tcp_raw_check_syncookie_ipv6: _s(NUMBER, IN_40, IN_20, gpl=True, types=_TC | _XDP, packet=True, only=_NO_TCP),
    _H.tcp_send_ack: _s(NUMBER, TCP_SOCK, ANY, types=frozenset({_T.STRUCT_OPS}), only=_NO_TCP),
    # Hooks of control groups.
    _H.setsockopt: _s(NUMBER, CTX, ANY, ANY, IN, SIZE, types=_SOCKET_OPTIONS, only=_NO_SOCKET_OPTIONS),
    _H.getsockopt: _s(NUMBER, CTX, ANY, ANY, OUT, SIZE, types=_SOCKET_OPTIONS, only=_NO_SOCKET_OPTIONS),
    _H.bind: _s(NUMBER, CTX, IN, SIZE, types=frozenset({_T.CGROUP_SOCK_ADDR})),
    _H.sysctl_get_name: _s(NUMBER, CTX, OUT, SIZE, ANY, types=_SYSCTL),
    _H.sysctl_get_current_value: _s(NUMBER, CTX, OUT, SIZE, types=_SYSCTL),
    _H.sysctl_get_new_value: _s(NUMBER, CTX, OUT, SIZE, types=_SYSCTL),
    _H.sysctl_set_new_value: _s(NUMBER, CTX, IN, SIZE, types=_SYSCTL),
    _H.sock_ops_cb_flags_set: _s(NUMBER, CTX, ANY, types=_SOCK_OPS, only=_NO_TCP),
    _H.sock_map_update: _s(NUMBER, CTX, MAP, KEY, ANY, types=_SOCK_OPS, only=_NO_TCP),
    _H.sock_hash_update: _s(NUMBER, CTX, MAP, KEY, ANY, types=_SOCK_OPS, only=_NO_TCP),
    _H.load_hdr_opt: _s(NUMBER, CTX, IN_OUT, SIZE, ANY, types=_SOCK_OPS, only=_NO_TCP),
    _H.store_hdr_opt: _s(NUMBER, CTX, IN, SIZE, ANY, types=_SOCK_OPS, only=_NO_TCP),
    _H.reserve_hdr_opt: _s(NUMBER, CTX, ANY, ANY, types=_SOCK_OPS, only=_NO_TCP),
    # Infrared.
    _H.rc_repeat: _s(NUMBER, CTX, gpl=True, types=_LIRC, only=_NO_INFRARED),
    _H.rc_keydown: _s(NUMBER, CTX, ANY, ANY, ANY, gpl=True, types=_LIRC, only=_NO_INFRARED),
    _H.rc_pointer_rel: _s(NUMBER, CTX, ANY, ANY, gpl=True, types=_LIRC, only=_NO_INFRARED),
}  # fmt: skip

GPL_COMPATIBLE = frozenset(
    {"GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"}
)


def argument_count(number: int) -> int:
    """How many arguments a helper reads (5 where it is not known)."""
    signature = SIGNATURES.get(number)
    return len(signature.arguments) if signature else 5

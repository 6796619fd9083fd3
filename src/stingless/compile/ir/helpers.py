"""What the helpers give back, and which of them write to memory that they are given."""

from __future__ import annotations

from stingless._gen.helpers import Helper as H
from stingless.compile.ir.places import Kind

PROBE_READ, PROBE_READ_KERNEL = H.probe_read, H.probe_read_kernel

# Only those whose result may be read through; every other result is a number, or an address for a probing read.
RETURNS: dict[int, Kind] = {
    H.map_lookup_elem: Kind.MAP_VALUE,
    H.map_lookup_percpu_elem: Kind.MAP_VALUE,
    H.get_local_storage: Kind.MAP_VALUE,
    H.sk_storage_get: Kind.MAP_VALUE,
    H.inode_storage_get: Kind.MAP_VALUE,
    H.task_storage_get: Kind.MAP_VALUE,
    H.cgrp_storage_get: Kind.MAP_VALUE,
    H.ringbuf_reserve: Kind.RECORD,
    H.dynptr_data: Kind.RECORD,
    H.per_cpu_ptr: Kind.RECORD,
    H.this_cpu_ptr: Kind.RECORD,
    H.sk_lookup_tcp: Kind.SOCKET,
    H.sk_lookup_udp: Kind.SOCKET,
    H.skc_lookup_tcp: Kind.SOCKET,
    H.sk_fullsock: Kind.SOCKET,
    H.tcp_sock: Kind.SOCKET,
    H.get_listener_sock: Kind.SOCKET,
    H.skc_to_tcp6_sock: Kind.BTF,
    H.skc_to_tcp_sock: Kind.BTF,
    H.skc_to_tcp_timewait_sock: Kind.BTF,
    H.skc_to_tcp_request_sock: Kind.BTF,
    H.skc_to_udp6_sock: Kind.BTF,
    H.skc_to_unix_sock: Kind.BTF,
    H.skc_to_mptcp_sock: Kind.BTF,
    H.sock_from_file: Kind.BTF,
    H.get_current_task_btf: Kind.BTF,
    H.task_pt_regs: Kind.BTF,
    H.kptr_xchg: Kind.BTF,
}

# They read what their pointers point to, and change nothing there.
READ_ONLY: frozenset[int] = frozenset(
    {
        H.map_lookup_elem,
        H.map_lookup_percpu_elem,
        H.map_update_elem,
        H.map_delete_elem,
        H.map_push_elem,
        H.trace_printk,
        H.trace_vprintk,
        H.perf_event_output,
        H.ringbuf_output,
        H.skb_output,
        H.xdp_output,
        H.skb_store_bytes,
        H.probe_write_user,
        H.seq_write,
        H.seq_printf,
        H.get_stackid,
    }
)

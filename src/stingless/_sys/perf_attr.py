"""`struct perf_event_attr` of linux/perf_event.h, with its fields by name, as bcc's `Perf.perf_event_attr` has it."""

from __future__ import annotations

import ctypes
from typing import Any

_SIZE = 120  # PERF_ATTR_SIZE_VER6

_FLAGS = (
    "disabled inherit pinned exclusive exclude_user exclude_kernel exclude_hv exclude_idle mmap comm freq inherit_stat "
    "enable_on_exec task watermark precise_ip:2 mmap_data sample_id_all exclude_host exclude_guest "
    "exclude_callchain_kernel exclude_callchain_user mmap2 comm_exec use_clockid context_switch write_backward "
    "namespaces ksymbol bpf_event aux_output cgroup text_poke"
)


def _flags() -> list[tuple[str, Any, int]]:
    found = []
    for word in _FLAGS.split():
        name, _, bits = word.partition(":")
        found.append((name, ctypes.c_uint64, int(bits or 1)))
    return found


class _Sample(ctypes.Union):
    _fields_ = (("sample_period", ctypes.c_uint64), ("sample_freq", ctypes.c_uint64))


class _Wakeup(ctypes.Union):
    _fields_ = (("wakeup_events", ctypes.c_uint32), ("wakeup_watermark", ctypes.c_uint32))


class _Config1(ctypes.Union):
    _fields_ = tuple((name, ctypes.c_uint64) for name in ("bp_addr", "kprobe_func", "uprobe_path", "config1"))


class _Config2(ctypes.Union):
    _fields_ = tuple((name, ctypes.c_uint64) for name in ("bp_len", "kprobe_addr", "probe_offset", "config2"))


class PerfEventAttr(ctypes.Structure):
    """`size` is set; everything else is 0."""

    _anonymous_ = ("_sample", "_wakeup", "_config1", "_config2")
    _fields_ = (
        ("type", ctypes.c_uint32),
        ("size", ctypes.c_uint32),
        ("config", ctypes.c_uint64),
        ("_sample", _Sample),
        ("sample_type", ctypes.c_uint64),
        ("read_format", ctypes.c_uint64),
        *_flags(),
        ("_wakeup", _Wakeup),
        ("bp_type", ctypes.c_uint32),
        ("_config1", _Config1),
        ("_config2", _Config2),
        ("branch_sample_type", ctypes.c_uint64),
        ("sample_regs_user", ctypes.c_uint64),
        ("sample_stack_user", ctypes.c_uint32),
        ("clockid", ctypes.c_int32),
        ("sample_regs_intr", ctypes.c_uint64),
        ("aux_watermark", ctypes.c_uint32),
        ("sample_max_stack", ctypes.c_uint16),
        ("__reserved_2", ctypes.c_uint16),
        ("aux_sample_size", ctypes.c_uint32),
        ("__reserved_3", ctypes.c_uint32),
    )

    def __init__(self) -> None:
        super().__init__()
        self.size = _SIZE

    def __setattr__(self, name: str, value: Any) -> None:
        if not hasattr(type(self), name):
            raise AttributeError(f"struct perf_event_attr has no field {name!r}")
        super().__setattr__(name, value)

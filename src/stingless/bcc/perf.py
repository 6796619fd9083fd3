"""Perf events by their whole `struct perf_event_attr`."""

from __future__ import annotations

from stingless._sys.perf_attr import PerfEventAttr
from stingless.cpus import online_cpus

_open: list[object] = []  # until the process ends


class Perf:
    """`Perf.perf_event_attr()` is for `BPF.attach_perf_event_raw()`."""

    perf_event_attr = PerfEventAttr

    PERF_TYPE_HARDWARE = 0
    PERF_TYPE_SOFTWARE = 1
    PERF_TYPE_TRACEPOINT = 2
    PERF_TYPE_HW_CACHE = 3
    PERF_SAMPLE_RAW = 1 << 10
    PERF_FLAG_FD_CLOEXEC = 8

    @staticmethod
    def perf_event_open(tpoint_id: int, pid: int = -1, ptype: int = PERF_TYPE_TRACEPOINT, freq: int = 0) -> None:
        """Open an event on every CPU and let it run, for nobody to read.  Raises `OSError`."""
        from stingless._sys import perf_event

        for cpu in online_cpus():
            period, frequency = (0, freq) if freq > 0 else (1, 0)
            opened = perf_event.perf_event_open(
                ptype,
                tpoint_id,
                pid=pid,
                cpu=cpu,
                sample_period=period,
                sample_freq=frequency,
                sample_type=Perf.PERF_SAMPLE_RAW,
            )
            perf_event.enable(opened)
            _open.append(opened)

"""BPF_PERF_OUTPUT and BPF_PERF_ARRAY."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import Any

from stingless.bcc.constants import PerfHWConfig, PerfType
from stingless.bcc.tables.events import EventTable
from stingless.bcc.tables.objects import DescriptorArray
from stingless.cpus import online_cpus
from stingless.errors import ClosedError, NotSupportedError, PrivilegeError
from stingless.kernel import EventOptions
from stingless.streams.records import Run


class PerfEventArray(EventTable, DescriptorArray):
    """A buffer of records for each CPU, or a counter of each CPU that programs read."""

    # As bcc's reference guide writes it: table.open_perf_event(table.HW_CPU_CYCLES).
    HW_CPU_CYCLES = PerfHWConfig.CPU_CYCLES
    HW_INSTRUCTIONS = PerfHWConfig.INSTRUCTIONS
    HW_CACHE_REFERENCES = PerfHWConfig.CACHE_REFERENCES
    HW_CACHE_MISSES = PerfHWConfig.CACHE_MISSES
    HW_BRANCH_INSTRUCTIONS = PerfHWConfig.BRANCH_INSTRUCTIONS
    HW_BRANCH_MISSES = PerfHWConfig.BRANCH_MISSES
    HW_BUS_CYCLES = PerfHWConfig.BUS_CYCLES
    HW_REF_CPU_CYCLES = PerfHWConfig.REF_CPU_CYCLES

    def open_perf_buffer(
        self,
        callback: Callable[[int, int, int], Any],
        page_cnt: int = 8,
        lost_cb: Callable[[int], Any] | None = None,
        wakeup_events: int = 1,
    ) -> None:
        """Read with `BPF.perf_buffer_poll()`: `callback(cpu, data, size)` a record, `lost_cb(count)` a gap; without it,
        gaps are told on stderr.

        `data` is an address, for `event(data)` or `ctypes.cast()`, valid until the callback returns.  `page_cnt` pages
        (a power of two) are the buffer of each CPU; the reader is woken after `wakeup_events` records.
        """
        if page_cnt <= 0 or page_cnt & (page_cnt - 1):
            raise ValueError(f"page_cnt is {page_cnt}; it must be a power of two")
        self._listen(callback, lost_cb, EventOptions(page_cnt, wakeup_events))

    def _firsts(self, run: Run) -> Iterable[int]:
        return run.cpus()

    def open_perf_event(self, typ: int, config: int | None = None, pid: int = -1) -> None:
        """Count an event (`PerfType`, `PerfHWConfig`, ...) on each CPU, of all tasks or of one, for programs to read
        with `perf_read(CUR_CPU_IDENTIFIER)`.  One number alone is a hardware event's (`HW_CPU_CYCLES`).

        Raises `NotSupportedError` where this machine has no such counter, `PrivilegeError`.
        """
        from stingless._sys.perf_event import enable, perf_event_open

        if self.bpf is not None and self.bpf.kernel.name != "linux":
            raise NotSupportedError("a perf counter", advice=f"table {self.name!r} is of the embedded kernel")
        self._register()
        if config is None:
            typ, config = PerfType.HARDWARE, typ
        what = f"perf event type {int(typ)}, config {int(config):#x}"
        for cpu in online_cpus():
            self._close_counter(cpu)
            try:
                counter = perf_event_open(int(typ), int(config), pid=pid, cpu=cpu, what=f"{what} on CPU {cpu}")
            except PermissionError as error:
                raise PrivilegeError(f"{what} needs CAP_PERFMON", error.errno or 0) from None
            except OSError as error:
                raise NotSupportedError(what, advice=error.strerror or "", errno=error.errno or 0) from None
            self._counters[cpu] = counter
            enable(counter)
            self[cpu] = counter

    @property
    def _counters(self) -> dict[int, Any]:
        found: dict[int, Any] = self.__dict__.setdefault("_open_counters", {})
        return found

    def close_perf_event(self) -> None:
        """Stop counting.  Idempotent."""
        for cpu in list(self._counters):
            self._close_counter(cpu)

    def _close_counter(self, cpu: int) -> None:
        counter = self._counters.pop(cpu, None)
        if counter is not None:
            with contextlib.suppress(KeyError, ClosedError):
                super().__delitem__(cpu)  # the table would keep it counting
            counter.close()

    def __delitem__(self, key: Any) -> None:
        if self._index(key) in self._counters:
            self._close_counter(self._index(key))
        else:
            super().__delitem__(key)

    def close(self) -> None:
        super().close()
        self.close_perf_event()

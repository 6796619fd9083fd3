"""Perf events: clocks and counters of the kernel and the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stingless._gen.uapi import ProgramType
from stingless.bcc.attaching import Attaching
from stingless.bcc.names import Name
from stingless.cpus import online_cpus
from stingless.errors import UnknownNameError
from stingless.events import PerfEvent, RawPerfEvent

if TYPE_CHECKING:
    from typing import Self


class PerfEvents(Attaching):
    def attach_perf_event(
        self,
        ev_type: int = -1,
        ev_config: int = -1,
        fn_name: Name = b"",
        sample_period: int = 0,
        sample_freq: int = 0,
        pid: int = -1,
        cpu: int = -1,
        group_fd: int = -1,
    ) -> Self:
        """Run a function on samples of a perf event (`PerfType`, `PerfSWConfig`, `PerfHWConfig`): after each
        `sample_period` events, or `sample_freq` times a second.  `cpu` -1 means all; `pid` and the processes that it
        starts from then on, -1 all; `group_fd` the leader of the event's group.

        Raises `AttachError`, `NotSupportedError` for counters that are not there, `PrivilegeError`."""
        kind, config = int(ev_type), int(ev_config)
        place = f"{kind}:{config}"
        if pid == -1 and cpu == -1 and group_fd == -1:  # one event of all CPUs
            event = PerfEvent(kind, config, sample_period, sample_freq)
            self._attach(event, fn_name, ProgramType.PERF_EVENT, "perf_event", place)
            return self
        for each in online_cpus() if cpu < 0 else [cpu]:
            event = PerfEvent(kind, config, sample_period, sample_freq, pid, each, inherit=pid > 0, group_fd=group_fd)
            self._attach(event, fn_name, ProgramType.PERF_EVENT, "perf_event", place)
        return self

    def attach_perf_event_raw(
        self, attr: Any = -1, fn_name: Name = b"", pid: int = -1, cpu: int = -1, group_fd: int = -1
    ) -> Self:
        """The same for a whole `struct perf_event_attr` (`Perf.perf_event_attr()`, or its bytes)."""
        data = bytes(attr)
        event_type, config = int.from_bytes(data[:4], "little"), int.from_bytes(data[8:16], "little")
        for each in online_cpus() if cpu < 0 else [cpu]:
            event = RawPerfEvent(data, pid, each, group_fd)
            self._attach(event, fn_name, ProgramType.PERF_EVENT, "perf_event", f"{event_type}:{config}")
        return self

    def detach_perf_event(self, ev_type: int = -1, ev_config: int = -1) -> None:
        """Raises `UnknownNameError` when it is not attached."""
        place = f"{int(ev_type)}:{int(ev_config)}"
        if ("perf_event", place) not in self._attached:
            raise UnknownNameError(
                "attached perf event", place, advice=f"type {ev_type} config {ev_config} is not attached"
            )
        self._detach("perf_event", place)

    @property
    def open_perf_events(self) -> dict[tuple[int, int], dict[int, int]]:
        """File descriptors by (type, config), then in the order of the CPUs."""
        found = {}
        for kind, place in self._attached:
            if kind == "perf_event":
                event_type, _, config = place.partition(":")
                there = self._attached[kind, place]
                found[int(event_type), int(config)] = {i: getattr(each.link, "fd", -1) for i, each in enumerate(there)}
        return found

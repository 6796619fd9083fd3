"""What a program can be attached to: one frozen dataclass an event.

Pure descriptions; a `Kernel` turns one into a `Link`.  Names are the kernel's own.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kprobe:
    """Entry (or, with `ret`, return) of a kernel function."""

    function: str
    offset: int = 0
    ret: bool = False

    def __str__(self) -> str:
        return f"{'kretprobe' if self.ret else 'kprobe'}:{self.function}" + (f"+{self.offset}" if self.offset else "")


@dataclass(frozen=True)
class Uprobe:
    """Entry (or return) of a user function: `path` is an absolute file, `offset` the offset in that file (not an
    address).  `pid` -1 means every process."""

    path: str
    offset: int
    ret: bool = False
    pid: int = -1
    symbol: str = ""

    def __str__(self) -> str:
        return f"{'uretprobe' if self.ret else 'uprobe'}:{self.path}:{self.symbol or hex(self.offset)}"


@dataclass(frozen=True)
class Tracepoint:
    """A tracepoint by category and name, as under tracefs events/."""

    category: str
    name: str

    def __str__(self) -> str:
        return f"tracepoint:{self.category}:{self.name}"


@dataclass(frozen=True)
class RawTracepoint:
    """A raw tracepoint: the arguments as the kernel passes them."""

    name: str

    def __str__(self) -> str:
        return f"raw_tracepoint:{self.name}"


@dataclass(frozen=True)
class PerfEvent:
    """A perf event: `type` and `config` of perf_event_open(2).  Exactly one of `sample_period` and `sample_freq` (Hz).
    `pid` -1 with `cpu` -1 means every online CPU."""

    type: int
    config: int
    sample_period: int = 0
    sample_freq: int = 0
    pid: int = -1
    cpu: int = -1

    def __str__(self) -> str:
        rate = f"{self.sample_freq}Hz" if self.sample_freq else f"1/{self.sample_period}"
        return f"perf_event:{self.type}:{self.config}@{rate}"


@dataclass(frozen=True)
class Xdp:
    """Packets that arrive at a network interface of the caller's network namespace, before the stack.
    `flags` are XDP_FLAGS_* of linux/if_link.h."""

    interface: str
    flags: int = 0

    def __str__(self) -> str:
        return f"xdp:{self.interface}"


@dataclass(frozen=True)
class SocketFilter:
    """Copies of packets at an interface ("" = all), through a raw packet socket that the program filters."""

    interface: str = ""

    def __str__(self) -> str:
        return f"socket_filter:{self.interface or 'any'}"


@dataclass(frozen=True)
class Tracing:
    """fentry, fexit and BPF LSM: the target was named when the program was loaded."""

    def __str__(self) -> str:
        return "tracing"


Event = Kprobe | Uprobe | Tracepoint | RawTracepoint | PerfEvent | Xdp | SocketFilter | Tracing

PERF_TYPE_SOFTWARE = 1
PERF_COUNT_SW_CPU_CLOCK = 0
PERF_COUNT_SW_TASK_CLOCK = 1

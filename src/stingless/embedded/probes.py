"""What the embedded kernel can do here, each found by trying: maps are made, programs verified, and hooks attached to a
command or a network namespace of our own."""

from __future__ import annotations

from collections.abc import Callable

from stingless._gen.uapi import MapType, ProgramType
from stingless._sys import namespace
from stingless._sys.rtnetlink import Rtnetlink
from stingless.asm.instruction import encode, exit_, mov_imm
from stingless.embedded.kernel import EmbeddedKernel
from stingless.embedded.map_rules import SUPPORTED as MAP_TYPES
from stingless.embedded.map_smallest import smallest
from stingless.embedded.programs import SUPPORTED as PROGRAM_TYPES
from stingless.errors import StinglessError
from stingless.events import (
    PERF_TYPE_SOFTWARE,
    Event,
    Kprobe,
    PerfEvent,
    RawTracepoint,
    SocketFilter,
    Tc,
    Tracepoint,
    Uprobe,
    Xdp,
)
from stingless.kernel import Probe
from stingless.obj.spec import ProgramSpec
from stingless.symbols.elf import function_offset
from stingless.symbols.libraries import resolve_binary

_PTRACE = "ptrace(2), process_vm_readv(2) and seccomp(2) must be allowed to this process"

_NAMESPACE = "a network namespace of one's own: start the command with `unshare -Urn`, or as root"


def probes() -> list[Probe]:
    with EmbeddedKernel() as kernel:
        return [
            *(_tried(f"map {kind.name}", lambda kind=kind: _create(kernel, kind)) for kind in sorted(MAP_TYPES)),  # type: ignore[misc]
            *(_tried(f"program {kind.name}", lambda kind=kind: _load(kernel, kind)) for kind in sorted(PROGRAM_TYPES)),  # type: ignore[misc]
            *_hooks(),
        ]


def _tried(name: str, attempt: Callable[[], object], fix: str = "") -> Probe:
    try:
        attempt()
    except (StinglessError, PermissionError) as error:
        return Probe(name, False, str(error), fix)
    except OSError as error:
        return Probe(name, None, str(error), fix)
    return Probe(name, True)


def _create(kernel: EmbeddedKernel, kind: MapType) -> None:
    kernel.create_map(smallest(kind)).close()


def _load(kernel: EmbeddedKernel, kind: ProgramType) -> None:
    section = "syscall" if kind is ProgramType.SYSCALL else "probe"
    kernel.load_program(ProgramSpec("probe", section, kind, encode([mov_imm(0, 0), exit_()])), {}).close()


def _hooks() -> list[Probe]:
    def traced(kind: ProgramType, event: Event) -> None:
        with EmbeddedKernel() as kernel:
            program = kernel.load_program(ProgramSpec("probe", "probe", kind, encode([mov_imm(0, 0), exit_()])), {})
            command = kernel.spawn(["true"])
            kernel.attach(program, event)
            command.release()
            command.wait()

    def uprobe() -> None:
        libc = str(resolve_binary("c"))
        traced(ProgramType.KPROBE, Uprobe(libc, function_offset(libc, "exit")))

    def on_packets(kind: ProgramType, event: Event) -> None:
        def inside() -> None:
            namespace.unshare(namespace.CLONE_NEWNET)
            with Rtnetlink() as netlink, EmbeddedKernel() as kernel:
                if isinstance(event, Xdp | Tc):
                    netlink.add_veth(event.interface, "peer")
                program = kernel.load_program(ProgramSpec("probe", "probe", kind, encode([mov_imm(0, 2), exit_()])), {})
                kernel.attach(program, event)

        namespace.in_thread(inside)

    hooks: list[tuple[str, ProgramType, Event]] = [
        ("hook kprobe on a system call", ProgramType.KPROBE, Kprobe("sys_execve")),
        ("hook kretprobe on a system call", ProgramType.KPROBE, Kprobe("sys_execve", ret=True)),
        ("hook tracepoint of a system call", ProgramType.TRACEPOINT, Tracepoint("syscalls", "sys_enter_execve")),
        ("hook tracepoint of the scheduler", ProgramType.TRACEPOINT, Tracepoint("sched", "sched_process_exec")),
        ("hook raw tracepoint sys_enter", ProgramType.RAW_TRACEPOINT, RawTracepoint("sys_enter")),
        (
            "hook perf event (software clock)",
            ProgramType.PERF_EVENT,
            PerfEvent(PERF_TYPE_SOFTWARE, 0, sample_freq=99),
        ),
    ]
    return [
        *(_tried(name, lambda kind=kind, event=event: traced(kind, event), _PTRACE) for name, kind, event in hooks),  # type: ignore[misc]
        _tried("hook uprobe", uprobe, _PTRACE),
        _tried("hook XDP", lambda: on_packets(ProgramType.XDP, Xdp("veth0")), _NAMESPACE),
        _tried("hook tc", lambda: on_packets(ProgramType.SCHED_CLS, Tc("veth0")), _NAMESPACE),
        _tried("hook socket filter", lambda: on_packets(ProgramType.SOCKET_FILTER, SocketFilter("lo")), _NAMESPACE),
    ]

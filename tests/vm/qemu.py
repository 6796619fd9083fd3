"""QEMU's command line."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .missing import QEMU

# mitigations, self-tests and zeroing of memory cost boot time and protect nothing here. The console is for panics.
_KERNEL_ARGUMENTS = (
    "console=ttyS0 quiet loglevel=1 panic=-1 nokaslr mitigations=off init_on_alloc=0 tsc=reliable cryptomgr.notests "
    "no_timer_check "  # the check panics when the host is too busy to deliver the timer's interrupts
    "lsm=landlock,lockdown,yama,bpf"
)


@dataclass(frozen=True)
class Machine:
    image: Path
    initramfs: Path
    console: Path
    memory_mib: int
    cpus: int = 2
    ports: Mapping[str, int] = field(default_factory=dict)
    """The guest's virtio ports by name, each with the file descriptor of a socket."""
    shares: Sequence[tuple[str, Path]] = ()
    """Writable directories of the host with their mount tags; `/` is shared read-only as `root` in any case."""


def accelerator() -> str:
    """Emulation, which works in a container and in a VM; STINGLESS_VM_ACCEL=kvm is faster where it works."""
    accel = os.environ.get("STINGLESS_VM_ACCEL", "tcg")
    return "tcg,thread=multi,tb-size=256" if accel == "tcg" else accel


def command(machine: Machine) -> list[str]:
    # setpriv: whatever ends this process, even SIGKILL, ends QEMU with it.
    arguments = ["setpriv", "--pdeathsig", "KILL", QEMU]
    arguments += ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
    arguments += ["-machine", "q35,hpet=off,smm=off,vmport=off,i8042=off", "-accel", accelerator(), "-cpu", "max"]
    arguments += ["-smp", str(machine.cpus), "-m", str(machine.memory_mib)]
    arguments += ["-kernel", str(machine.image), "-initrd", str(machine.initramfs), "-append", _KERNEL_ARGUMENTS]
    arguments += ["-serial", f"file:{_escape(machine.console)}", "-device", "virtio-serial-pci"]
    for name, fd in machine.ports.items():
        arguments += ["-chardev", f"socket,id={name},fd={fd}", "-device", f"virtserialport,chardev={name},name={name}"]
    for tag, path, readonly in (("root", Path("/"), "on"), *((tag, path, "off") for tag, path in machine.shares)):
        device = f"local,id={tag},path={_escape(path)},security_model=none,multidevs=remap,readonly={readonly}"
        arguments += ["-fsdev", device, "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]
    return arguments


def _escape(path: Path) -> str:
    """QEMU splits its options at commas; a doubled one stands for itself."""
    return str(path).replace(",", ",,")

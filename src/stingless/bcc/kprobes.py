"""Kprobes and kretprobes: one function of the kernel, or all that match a regular expression."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from stingless._gen.uapi import ProgramType
from stingless.bcc.attaching import Attaching
from stingless.bcc.names import Name, bytes_of, text_of
from stingless.errors import AttachError, StinglessError
from stingless.events import Kprobe

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self


class Kprobes(Attaching):
    def attach_kprobe(self, event: Name = b"", event_off: int = 0, fn_name: Name = b"", event_re: Name = b"") -> Self:
        """Run a function at the entry of the kernel function `event`, or `event_off` bytes into it; or at the entry of
        each whose name matches `event_re`.  `sys_NAME` means the system call on every architecture.

        Raises `AttachError`, `UnknownNameError`, `PrivilegeError`; of a regular expression, when none can be attached.
        """
        if event_re:
            return self._attach_matching(event_re, fn_name, ret=False)
        if isinstance(event_off, str | bytes):  # what bcc has there is a number
            raise TypeError(f"event_off is a number, not {event_off!r}; name the arguments: fn_name={event_off!r}")
        self._kprobe(text_of(event), fn_name, event_off, ret=False)
        return self

    def attach_kretprobe(
        self, event: Name = b"", fn_name: Name = b"", event_re: Name = b"", maxactive: int = 0
    ) -> Self:
        """Run a function when a kernel function, or each that matches `event_re`, returns.  `maxactive` is how many
        calls are followed at once; here the kernel's default is."""
        if event_re:
            return self._attach_matching(event_re, fn_name, ret=True)
        self._kprobe(text_of(event), fn_name, 0, ret=True)
        return self

    def _kprobe(self, event: str, fn_name: Name, offset: int, ret: bool) -> None:
        if not event:
            raise ValueError("a kprobe needs event= or event_re=")
        where = Kprobe(self._kernel_function(event), offset, ret)
        self._attach(where, fn_name, ProgramType.KPROBE, "kprobe", _place(event, ret))

    def _kernel_function(self, event: str) -> str:
        """`sys_clone` is another function on most kernels."""
        if event.startswith(("sys_", "SyS_")):
            from stingless.syscalls import syscall_of

            if call := syscall_of(event):
                return self.get_syscall_fnname(call).decode()
        return event

    def _attach_matching(self, event_re: Name, fn_name: Name, ret: bool) -> Self:
        from stingless.bcc.kernel_functions import kprobe_functions

        matches = sorted(kprobe_functions(bytes_of(event_re)))
        what = "kretprobe" if ret else "kprobe"
        pattern = text_of(event_re)
        if not matches:
            raise AttachError(
                f"Failed to attach BPF program {text_of(fn_name)} to {what} {pattern}: no function of the kernel that "
                "can be probed matches it",
                2,
            )
        self._check_probe_quota(len(matches))
        names = [name.decode() for name in matches]
        from stingless.bcc.many import kprobes

        names = kprobes(self, names, fn_name, ret, [_place(name, ret) for name in names])
        failures = self._attach_each(names, fn_name, ret)
        if len(failures) == len(matches):
            raise _none_attached(f"Failed to attach BPF program {text_of(fn_name)} to {what} {pattern}", failures)
        return self

    def _attach_each(self, names: list[str], fn_name: Name, ret: bool) -> dict[str, StinglessError]:
        """Attach to each that can be; why the others cannot."""
        failures: dict[str, StinglessError] = {}
        if names:
            self.load_func(fn_name, ProgramType.KPROBE)  # its errors are not of a place
        for name in names:
            try:
                self._kprobe(name, fn_name, 0, ret)
            except StinglessError as error:
                failures[name] = error
        return failures

    def detach_kprobe(self, event: Name, fn_name: Name | None = None) -> None:
        """Raises `UnknownNameError` when it is not attached."""
        self._detach("kprobe", _place(text_of(event), False), fn_name)

    def detach_kretprobe(self, event: Name, fn_name: Name | None = None) -> None:
        self._detach("kprobe", _place(text_of(event), True), fn_name)

    def detach_kprobe_event(self, ev_name: Name) -> None:
        """By the name that `kprobe_fds` has for it ("p_vfs_read", "r_vfs_read")."""
        self._detach("kprobe", text_of(ev_name))

    def detach_kprobe_event_by_fn(self, ev_name: Name, fn_name: Name) -> None:
        self._detach("kprobe", text_of(ev_name), fn_name)

    @property
    def kprobe_fds(self) -> dict[bytes, dict[bytes, int]]:
        return self._fds("kprobe")

    # bcc had these under other names too.
    open_kprobes = kprobe_fds

    def num_open_kprobes(self) -> int:
        """Entries and returns of kernel functions that something is attached to."""
        return self._count("kprobe")

    # Names of system calls

    @staticmethod
    def get_syscall_prefix() -> bytes:
        """What the kernel puts before a system call's name in that of its function."""
        from stingless.bcc.syscall_names import prefix

        return prefix()

    @staticmethod
    def get_syscall_fnname(name: Name) -> bytes:
        """The kernel function of a system call: "clone" -> b"__x64_sys_clone"."""
        return Kprobes.get_syscall_prefix() + bytes_of(name)

    @staticmethod
    def fix_syscall_fnname(name: Name) -> bytes:
        """The kernel function of the system call whose function is `name` on some kernel or other."""
        from stingless.bcc.syscall_names import PREFIXES

        given = bytes_of(name)
        for prefix in PREFIXES:
            if given.startswith(prefix):
                return Kprobes.get_syscall_fnname(given[len(prefix) :])
        return given


def _place(event: str, ret: bool) -> str:
    """bcc's name for it."""
    return ("r_" if ret else "p_") + event.replace("+", "_").replace(".", "_")


def _none_attached(what: str, failures: Mapping[str, StinglessError]) -> AttachError:
    """Of a regular expression: the kernel's words about its first function, which are about all of them where it has
    no kprobes."""
    first, why = next(iter(failures.items()))
    number = getattr(why, "errno", None) or errno.EINVAL
    reason = getattr(why, "message", str(why)).partition(f" {first}: ")[2] or str(why)
    if len(failures) > 1 and number != errno.EOPNOTSUPP:
        reason = f"none of {len(failures)} functions can be probed; {first}: {reason}"
    error = AttachError(f"{what}: {reason}", number)
    error.__cause__ = why
    return error

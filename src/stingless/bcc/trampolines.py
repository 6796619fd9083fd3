"""Functions called straight from kernel functions (fentry, fexit, fmod_ret), LSM hooks and iterators.

The name of the function in the program text says what it is for (`bcc.targets`).  Here it may be given without the
prefix.  Minimum kernel: 5.5 (iterators 5.8, LSM 5.7), with BTF.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stingless._gen.uapi import ProgramType
from stingless.bcc.attaching import Attaching
from stingless.bcc.names import Name, text_of
from stingless.bcc.targets import named
from stingless.errors import AttachError
from stingless.events import Iter, Tracing

if TYPE_CHECKING:
    from typing import Self

    from stingless.kernel import Link

_TRACING, _LSM = ProgramType.TRACING, ProgramType.LSM


class Trampolines(Attaching):
    def attach_kfunc(self, fn_name: Name = b"") -> Self:
        """At the entry of a kernel function, with its arguments by name: `kfunc__MODULE__FUNCTION`."""
        return self._trampoline("kfunc", fn_name, _TRACING)

    def attach_kretfunc(self, fn_name: Name = b"") -> Self:
        """When a kernel function returns, with arguments and result: `kretfunc__MODULE__FUNCTION`."""
        return self._trampoline("kretfunc", fn_name, _TRACING)

    def attach_fmod_ret(self, fn_name: Name = b"") -> Self:
        """Where the kernel lets programs decide a function's result: `kmod_ret__FUNCTION`."""
        return self._trampoline("kmod_ret", fn_name, _TRACING)

    def attach_lsm(self, fn_name: Name = b"") -> Self:
        """At a hook of the security modules: `lsm__HOOK`."""
        return self._trampoline("lsm", fn_name, _LSM)

    def _trampoline(self, kind: str, fn_name: Name, type: ProgramType) -> Self:
        name = self._named(kind, fn_name)
        if (kind, name) in self._attached:
            raise AttachError(f"{name} has been attached", 17)
        self._attach(Tracing(), name, type, kind, name)
        return self

    def _named(self, kind: str, fn_name: Name) -> str:
        return named(f"{kind}__", text_of(fn_name), self.spec.programs)

    def detach_kfunc(self, fn_name: Name = b"") -> None:
        """Raises `UnknownNameError` when it is not attached."""
        self._detach("kfunc", self._named("kfunc", fn_name))

    def detach_kretfunc(self, fn_name: Name = b"") -> None:
        self._detach("kretfunc", self._named("kretfunc", fn_name))

    def detach_fmod_ret(self, fn_name: Name = b"") -> None:
        self._detach("kmod_ret", self._named("kmod_ret", fn_name))

    def detach_lsm(self, fn_name: Name = b"") -> None:
        self._detach("lsm", self._named("lsm", fn_name))

    def attach_iter(self, fn_name: Name = b"", map_fd: int = 0) -> Link:
        """A walk over objects of the kernel: `bpf_iter__KIND`.  What a walk prints is what the link's `read()` gives;
        `open()` gives a file to read it from.  `map_fd`: the map to walk over, for the kinds that want one."""
        name = self._named("bpf_iter", fn_name)
        return self._attach(Iter(map_fd), name, _TRACING, "bpf_iter", name)

    def detach_iter(self, fn_name: Name = b"") -> None:
        self._detach("bpf_iter", self._named("bpf_iter", fn_name))

    @property
    def kfunc_entry_fds(self) -> dict[bytes, int]:
        return self._held("kfunc")

    @property
    def kfunc_exit_fds(self) -> dict[bytes, int]:
        return self._held("kretfunc")

    @property
    def fmod_ret_fds(self) -> dict[bytes, int]:
        return self._held("kmod_ret")

    @property
    def lsm_fds(self) -> dict[bytes, int]:
        return self._held("lsm")

    def _held(self, kind: str) -> dict[bytes, int]:
        return {place: next(iter(there.values())) for place, there in self._fds(kind).items()}

    # What the kernel has

    @staticmethod
    def support_kfunc() -> bool:
        """Whether programs can be attached to entries and returns of kernel functions by `attach_kfunc()`."""
        from stingless.bcc.supports import trampolines

        return trampolines()

    @staticmethod
    def support_fmod_ret() -> bool:
        """Whether `attach_fmod_ret()` can be used."""
        from stingless.bcc.supports import modify_return

        return modify_return()

    @staticmethod
    def support_lsm() -> bool:
        """Whether the kernel has BPF LSM."""
        from stingless.bcc.supports import lsm

        return lsm()

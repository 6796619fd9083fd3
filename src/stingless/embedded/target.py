"""`EmbeddedTarget`: what objects are resolved against on the embedded kernel."""

from __future__ import annotations

from stingless.embedded.helpers import supported_helpers, supported_kfuncs
from stingless.target.running import RunningKernel

_GET_ATTACH_COOKIE = 174


class EmbeddedTarget(RunningKernel):
    """The machine's kernel, for its types and configuration; but its functions and variables cannot be used: the
    embedded kernel has functions of its own, under names of Linux's."""

    own_symbols = False

    def kernel_function(self, name: str) -> int | None:
        from stingless.embedded.verifier.kfuncs import NUMBERS

        return NUMBERS.get(name) if name in supported_kfuncs() else None

    def has_bpf_cookie(self) -> bool:
        return _GET_ATTACH_COOKIE in supported_helpers()

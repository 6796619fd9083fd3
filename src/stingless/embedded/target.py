"""`EmbeddedTarget`: what objects are resolved against on the embedded kernel."""

from __future__ import annotations

from stingless.embedded.helpers import SUPPORTED_HELPERS
from stingless.target.running import RunningKernel

_GET_ATTACH_COOKIE = 174


class EmbeddedTarget(RunningKernel):
    """The machine's kernel, for its types and configuration; but its functions and variables cannot be used."""

    own_symbols = False

    def has_bpf_cookie(self) -> bool:
        return _GET_ATTACH_COOKIE in SUPPORTED_HELPERS

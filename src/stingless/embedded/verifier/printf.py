"""The format strings of bpf_snprintf(), which are checked when a program is loaded."""

from __future__ import annotations

import re

from stingless.embedded.verifier.rejection import Rejected, malformed
from stingless.embedded.verifier.state import Reg

_MAX_ARGUMENTS = 12
_SPECIFIER = re.compile(
    rb"%(?:(%)|[-+ 0]*(?:[1-9][0-9]*)?"
    rb"(?:l{0,2}[diuxX]|s|c|p[ku]s|p[KsSBx]|p[iI][46][A-Za-z0-9]*|p(?![A-Za-z0-9])))"
)


def check_format(text: bytes, data_size: Reg) -> None:
    """`text` uses only what the kernel formats, and as many 8-byte arguments as `data_size` says."""
    if data_size.var.mask:
        raise Rejected("R5 is not a known constant: the size of bpf_snprintf's arguments must be")
    if data_size.var.value % 8 or data_size.var.value // 8 > _MAX_ARGUMENTS:
        raise malformed("invalid size of bpf_snprintf's arguments")
    wanted = 0
    at = 0
    while (at := text.find(b"%", at)) >= 0:
        match = _SPECIFIER.match(text, at)
        if match is None:
            raise malformed(f"Invalid format string: {text[at : at + 8].decode(errors='replace')!r}")
        wanted += not match[1]
        at = match.end()
    if wanted != data_size.var.value // 8:
        raise malformed(f"Invalid format string: it takes {wanted} arguments, not {data_size.var.value // 8}")

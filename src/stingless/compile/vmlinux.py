"""The text behind `#include "vmlinux.h"`: the types of the running kernel, or of another one's BTF."""

from __future__ import annotations

import os
from pathlib import Path

from stingless.errors import NotSupportedError

_ADVICE = "compile for another kernel with its BTF file (btf=, --btf), or have a vmlinux.h beside the program"


def kernel_id(btf: Path | None) -> str:
    """What tells this kernel's types from another's: a build id, or the hash of the file `btf`."""
    if btf is not None:
        from hashlib import sha256

        return sha256(btf.read_bytes()).hexdigest()
    from stingless.btf.kernel import build_id

    return build_id() or "-".join(os.uname())


def header(btf: Path | None) -> bytes:
    """The header; kept between runs by the kernel's id.  Raises `NotSupportedError` on a kernel without BTF and
    `ObjectError` for a file that neither is BTF nor has it."""
    from stingless.btf.kernel import KernelBtf
    from stingless.btf.vmlinux import vmlinux_header

    if btf is not None:
        from stingless.btf.file import read_btf

        return vmlinux_header(KernelBtf(read_btf(btf).data, kernel_id(btf))).encode()
    try:
        return vmlinux_header().encode()
    except NotSupportedError as error:
        raise NotSupportedError('#include "vmlinux.h"', error.since, f"{error}; {_ADVICE}") from None

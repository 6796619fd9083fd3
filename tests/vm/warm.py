"""What is made of a guest's types once for each kernel, made on the host beforehand: under emulation it takes a minute.

A guest sees the cache of the user who starts it.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import NamedTemporaryFile

from stingless.btf.file import elf_section
from stingless.btf.kernel import KernelBtf, build_id
from stingless.btf.vmlinux import vmlinux_header


def warm(image: Path) -> None:
    """`image` is the kernel; nothing is done for one that is not unpacked, or has no BTF."""
    from stingless.compile.declared.store import types, uapi

    data = image.read_bytes()
    if data[:4] != b"\x7fELF":
        return
    btf, notes = elf_section(data, b".BTF"), elf_section(data, b".notes")
    if btf is None or notes is None:
        return
    with NamedTemporaryFile() as file:
        file.write(notes)
        file.flush()
        kernel = build_id(Path(file.name))
    if kernel:
        types(kernel, lambda: vmlinux_header(KernelBtf(btf, kernel)))
        uapi()

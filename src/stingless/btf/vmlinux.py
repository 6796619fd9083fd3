"""The header of the running kernel's types, `vmlinux.h`."""

from __future__ import annotations

from pathlib import Path

from stingless.btf.kernel import ROOM, KernelBtf, kernel_btf
from stingless.private_cache import PrivateCache


def vmlinux_header(btf: KernelBtf | None = None) -> str:
    """C text that declares all types of the kernel (of the running one unless told); kept between processes by its
    build id.  Raises `NotSupportedError` on a kernel without BTF."""
    btf = btf or kernel_btf()
    if not btf.build_id:
        return _made(btf)
    key = f"header-{_writer_stamp():08x}-{btf.build_id}"
    with PrivateCache(ROOM) as cache:
        kept = cache.get(key)
        if kept is None:
            kept = _made(btf).encode()
            cache.put(key, kept)
    return kept.decode()


def _made(btf: KernelBtf) -> str:
    from stingless.btf.cdecl import declarations

    return declarations(btf)


def _writer_stamp() -> int:
    """Changes with the code that writes the header."""
    import zlib

    from stingless import __version__

    files = sorted(Path(__file__).parent.glob("*.py"))
    stamps = [f"{path.name}:{(status := path.stat()).st_mtime_ns}:{status.st_size}" for path in files]
    return zlib.crc32("\n".join([__version__, *stamps]).encode())

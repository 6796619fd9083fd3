"""Decompression of what Debian kernels are packed with: xz and gzip by Python, zstd and lz4 by their commands."""

from __future__ import annotations

import lzma
import subprocess
import zlib

_MAGIC = {
    b"\xfd7zXZ\0": "xz",
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x02\x21\x4c\x18": "lz4",
}


def compression_of(data: bytes) -> str | None:
    return next((name for magic, name in _MAGIC.items() if data.startswith(magic)), None)


def decompress(data: bytes) -> bytes:
    """The plain form of `data`, which may be plain already. Bytes after the end of the stream are ignored: the kernel's
    build appends the size to all but xz, and the commands write out everything before they complain about that.
    """
    match compression_of(data):
        case None:
            return data
        case "xz":
            return lzma.LZMADecompressor().decompress(data)
        case "gzip":
            return zlib.decompressobj(wbits=31).decompress(data)
        case command:
            done = subprocess.run([command, "-dcq"], input=data, capture_output=True, check=False)
            if not done.stdout:
                raise ValueError(f"{command}: {done.stderr.decode(errors='replace').strip()}")
            return done.stdout

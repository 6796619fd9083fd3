"""`stingless btf minimal`: what objects need of a kernel's types, to be shipped with them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from stingless.btf.types import Btf


def register(commands: Any, source: argparse.ArgumentParser, read: Callable[[argparse.Namespace], Btf]) -> None:
    """Add the command.  `source` has the options that tell which BTF, `read` reads it."""
    parser = commands.add_parser(
        "minimal", parents=[source], help="the part of a kernel's BTF that objects' CO-RE relocations need"
    )
    parser.add_argument("objects", nargs="+", metavar="OBJECT", type=Path, help="an ELF object of clang -target bpf")
    parser.add_argument("-o", "--output", required=True, metavar="FILE", type=Path)
    parser.set_defaults(make=lambda options: minimal(options, read(options)))


def minimal(options: argparse.Namespace, target: Btf) -> str:
    """Write the file; returns what to print."""
    from stingless.btf.minimal import minimal_btf
    from stingless.btf.types import Btf
    from stingless.cli.output import write
    from stingless.object import open_object

    data = minimal_btf([open_object(path) for path in options.objects], target)
    write(options.output, data)
    return f"{options.output}: {len(Btf(data)) - 1} of {len(target) - 1} types, {len(data)} of {len(target.data)} bytes"

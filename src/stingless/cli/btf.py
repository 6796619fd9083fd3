"""`stingless btf`: the types of a kernel or of an object file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stingless.cli import btf_minimal, output
from stingless.errors import StinglessError

if TYPE_CHECKING:
    from stingless.btf.types import Btf, Type


def main(argv: Sequence[str]) -> int:
    """Returns the exit status."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.base is not None and options.btf is None:
        parser.error("--base tells of what --btf is split BTF: give --btf too")
    try:
        text = options.make(options)
    except (StinglessError, OSError) as error:
        print(f"stingless btf: {error}", file=sys.stderr)
        return 1
    return output.show(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="stingless btf", description=__doc__)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    source = argparse.ArgumentParser(add_help=False)
    source.add_argument(
        "--btf", metavar="FILE", type=Path, help="BTF, or an ELF file with a section .BTF (default: the running kernel)"
    )
    source.add_argument("--base", metavar="FILE", type=Path, help="the kernel's BTF, when FILE is a module's")
    c = commands.add_parser("c", parents=[source], help="C declarations (vmlinux.h), of all types or of those named")
    c.add_argument("names", nargs="*", metavar="NAME", help='a type or function: task_struct, "union bpf_attr"')
    c.add_argument("--asserts", action="store_true", help="and _Static_asserts of all sizes and offsets")
    c.set_defaults(make=_c)
    show = commands.add_parser("show", parents=[source], help="a type with the offset and size of each member")
    show.add_argument("names", nargs="+", metavar="NAME")
    show.set_defaults(make=_show)
    btf_minimal.register(commands, source, _btf)
    return parser


def _btf(options: argparse.Namespace) -> Btf:
    from stingless.btf.file import read_btf
    from stingless.btf.kernel import DIRECTORY, VMLINUX, kernel_btf

    if options.btf is None:
        return kernel_btf()
    base = read_btf(options.base) if options.base else None
    if base is None and options.btf.parent == DIRECTORY and options.btf != VMLINUX:
        base = kernel_btf()
    return read_btf(options.btf, base)


def _c(options: argparse.Namespace) -> str:
    if options.btf is None and not options.names and not options.asserts:
        from stingless.btf.vmlinux import vmlinux_header

        return vmlinux_header()
    from stingless.btf.cdecl import Header

    header = Header(_btf(options), options.names or None)
    text = header.text()
    if options.asserts:
        from stingless.btf.cdecl_asserts import asserts

        text += "\n" + asserts(header)
    return text


def _show(options: argparse.Namespace) -> str:
    from stingless.btf.show import show

    btf = _btf(options)
    return "\n\n".join(show(btf, found) for name in options.names for found in _named(btf, name))


def _named(btf: Btf, name: str) -> Sequence[Type]:
    """All types of that name, or the one that is meant by `struct name`."""
    return btf.find_all(name) or [btf[name]]

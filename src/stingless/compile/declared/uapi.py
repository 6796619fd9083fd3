"""Macros, types and constants of the UAPI headers that come with the compiler."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from stingless.compile.declared.c_text import macros_and_declarations
from stingless.compile.declared.index import Declaration
from stingless.compile.toolchain import Compiler

_INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.M)
# The commonest first: of two headers' macros of one name, the first counts for a program that includes neither.
_FIRST_TEXT = (
    "linux/types.h linux/const.h linux/stddef.h linux/errno.h linux/bpf.h linux/bpf_common.h linux/fs.h "
    "linux/fcntl.h linux/stat.h linux/limits.h linux/socket.h linux/in.h linux/in6.h linux/if.h linux/if_ether.h "
    "linux/ip.h linux/ipv6.h linux/tcp.h linux/udp.h linux/icmp.h linux/icmpv6.h linux/if_packet.h linux/if_arp.h "
    "linux/net.h linux/pkt_cls.h linux/sched.h linux/signal.h linux/time.h linux/mman.h linux/perf_event.h "
    "linux/capability.h linux/ptrace.h linux/futex.h linux/magic.h linux/un.h"
)
_FIRST = _FIRST_TEXT.split()
_ROOMS = ("linux", "asm", "asm-generic", "rdma", "scsi", "mtd", "xen")


def uapi_declarations(compiler: Compiler) -> list[Declaration]:
    """Empty where the compiler has no UAPI headers."""
    files: dict[str, Path] = {}
    for base in compiler.includes:
        for room in _ROOMS:
            for path in sorted((base / room).rglob("*.h")):
                files.setdefault(str(path.relative_to(base)), path)
    if not files:
        return []
    order = [name for name in _FIRST if name in files] + [name for name in files if name not in _FIRST]
    with TemporaryDirectory() as directory:
        for missing in _missing(files, compiler):
            place = Path(directory, missing)
            if not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                place.touch()
        paths = [*compiler.own, *compiler.includes, Path(directory)]
        text = "".join(f"#include <{name}>\n" for name in order)
        arguments = ["-target", "bpfel", "-nostdinc", *(f for path in paths for f in ("-isystem", str(path)))]
        arch = {"x86_64": "-D__x86_64__", "aarch64": "-D__aarch64__"}.get(os.uname().machine, "-D__unknown__")
        command = [*compiler.argv, *arguments, arch, "-E", "-dD", "-w", "-x", "c", "-", "-o", "-"]
        # Some headers refuse to be included; the others are there nevertheless.
        done = subprocess.run(command, input=text.encode(), capture_output=True, check=False)
    text = done.stdout.decode("utf-8", "replace")
    for path in paths:
        text = text.replace(f' "{path}/', ' "')
    return [e for e in macros_and_declarations(text) if not _means_itself(e) and not e.header.startswith("<")]


def _missing(files: dict[str, Path], compiler: Compiler) -> set[str]:
    """Headers of a C library that those of the kernel include."""
    wanted = set()
    for name, path in files.items():
        for other in _INCLUDE.findall(path.read_text("utf-8", "replace")):
            beside = os.path.normpath(Path(name).parent / other)
            if other not in files and beside not in files and not any((own / other).exists() for own in compiler.own):
                wanted.add(other)
    return {name for name in wanted if not name.startswith((".", "/"))}


def _means_itself(each: Declaration) -> bool:
    """`#define IPPROTO_TCP IPPROTO_TCP`, beside an enumerator; and guards."""
    words = each.text.split()
    return (words[0] == "#define" and len(words) < 3 and "(" not in words[1]) or words[1:2] == words[2:]

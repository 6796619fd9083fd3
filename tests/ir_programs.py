"""Programs of bcc's dialect that read memory through bare pointers: compiled, run as raw tracepoints are tested, and
asked what they saw.  The memory is this process's own: a probing read takes any address."""

from __future__ import annotations

import ctypes
import struct
from functools import cache

from stingless._gen.uapi import ProgramType
from stingless.compile import compile_bcc, translate_bcc
from stingless.compile.dialect.tracepoints import Field
from stingless.compile.driver import start_ir
from stingless.compile.toolchain import find_compiler
from stingless.errors import UnknownNameError
from stingless.kernel import Kernel
from stingless.obj.reader import read_object
from stingless.obj.spec import ObjectSpec
from stingless.programs import LoadedObject

HEAD = """
struct pair { short x, y; };
struct node {
    u32 number;
    u8 small;
    char name[16];
    struct node *next;
    struct pair inner;
    union { u32 whole; u8 parts[4]; };
    u32 low : 3, middle : 7, high : 22;
    s32 minus : 5;
    u64 list[4];
    int (*call)(void);
    struct node **table;
};
struct slot { u64 filler; struct node *node; };
BPF_ARRAY(out, u64, 16);
BPF_HASH(kept, u32, struct slot);
static inline void put(int at, u64 value) { out.update(&at, &value); }
"""


class Pair(ctypes.Structure):
    _fields_ = (("x", ctypes.c_int16), ("y", ctypes.c_int16))


class Node(ctypes.Structure):
    """`struct node`, with its bit-fields as the words that they are in."""

    _fields_ = (
        ("number", ctypes.c_uint32),
        ("small", ctypes.c_uint8),
        ("name", ctypes.c_char * 16),
        ("next", ctypes.c_uint64),
        ("inner", Pair),
        ("whole", ctypes.c_uint32),
        ("bits", ctypes.c_uint32),
        ("minus", ctypes.c_int32),
        ("list", ctypes.c_uint64 * 4),
        ("call", ctypes.c_uint64),
        ("table", ctypes.c_uint64),
    )


class Nodes:
    """Three nodes, each of which points to the next; the last points nowhere.  `table` has their addresses."""

    def __init__(self) -> None:
        self.nodes = (Node * 3)()
        self.table = (ctypes.c_uint64 * 3)(*(self.address(i) for i in range(3)))
        for i, node in enumerate(self.nodes):
            node.number = 100 + i
            node.small = 7 + i
            node.name = f"node number {i}".encode()
            node.next = self.address(i + 1) if i < 2 else 0
            node.inner.x, node.inner.y = 10 + i, -20 - i
            node.whole = 0x04030201 + i
            node.bits = (5 + i & 7) | (70 + i) << 3 | (300000 + i) << 10
            node.minus = -3 & 31
            node.list = (11 + i, 22 + i, 33 + i, 44 + i)
            node.call = 0x1234567890 + i
            node.table = ctypes.addressof(self.table)

    def address(self, index: int) -> int:
        return ctypes.addressof(self.nodes) + index * ctypes.sizeof(Node)


def no_tracepoints(category: str, event: str) -> list[Field]:
    raise UnknownNameError("tracepoint", f"{category}:{event}", ())


@cache
def compiled(text: str) -> ObjectSpec:
    return read_object(compile_bcc(text, no_tracepoints))


@cache
def ir_of(text: str) -> str:
    """Plain C, with the UAPI's headers at hand, to the IR that implicit reads are looked for in."""
    headers = [flag for path in find_compiler().includes for flag in ("-isystem", str(path))]
    flags = ["-U__KERNEL__", *headers, "-include", "linux/types.h", "-include", "short_types.h", "-Wno-everything"]
    return start_ir(text, "main.c", flags, text).output().decode()


@cache
def ir_of_dialect(text: str) -> str:
    translation = translate_bcc(text, no_tracepoints)
    return start_ir(translation.text, "main.c", translation.flags, text).output().decode()


def function(body: str, name: str = "probe") -> str:
    """A raw tracepoint's program with `n`, the first node, and `m`, the second argument."""
    return (
        f"int {name}(struct bpf_raw_tracepoint_args *ctx) {{\n"
        f"struct node *n = (struct node *)ctx->args[0]; u64 m = ctx->args[1];\n{body}\nreturn 0;\n}}\n"
    )


def program(body: str, head: str = HEAD) -> str:
    return f"{head}\n{function(body)}"


def seen(kernel: Kernel, text: str, *arguments: int, count: int = 1, name: str = "probe") -> list[int]:
    """What the program `name` of `text` put into the table `out`."""
    loaded = LoadedObject(kernel, compiled(text))
    try:
        loaded.program(name, ProgramType.RAW_TRACEPOINT).run(ctx=struct.pack(f"{len(arguments)}Q", *arguments))
        entries = [loaded.maps["out"].lookup(struct.pack("I", i)) for i in range(count)]
        return [int.from_bytes(entry or b"", "little") for entry in entries]
    finally:
        loaded.close()

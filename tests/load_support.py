"""Compile, resolve and load small C sources on the Linux kernel, for tests."""

from __future__ import annotations

from dataclasses import dataclass, field

from stingless.compile.plain import compile_text
from stingless.kernel import Map, Program
from stingless.linux.kernel import LinuxKernel
from stingless.obj.reader import read_object
from stingless.obj.spec import ObjectSpec

PREAMBLE = """\
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
char LICENSE[] SEC("license") = "GPL";
"""

# Without the kernel's own types, which take long to make in a guest.
BARE = """\
typedef signed char __s8; typedef unsigned char __u8, u8; typedef short __s16; typedef unsigned short __u16, u16;
typedef int __s32; typedef unsigned int __u32, u32; typedef long long __s64; typedef unsigned long long __u64, u64;
typedef __u16 __be16, __le16; typedef __u32 __be32, __le32, __wsum; typedef __u64 __be64, __le64;
typedef _Bool bool; typedef __u64 size_t;
enum { BPF_MAP_TYPE_HASH = 1 };
enum { XDP_DROP = 1, XDP_PASS, XDP_TX };
struct xdp_md { __u32 data, data_end; };
#include <bpf/bpf_helpers.h>
char LICENSE[] SEC("license") = "GPL";
"""


def compiled(text: str, preamble: str = PREAMBLE) -> ObjectSpec:
    """The text after `PREAMBLE`, which has 4 lines, as an object's spec."""
    return read_object(compile_text(preamble + text, "prog.bpf.c"))


@dataclass
class Loaded:
    """All of an object's programs (but those with a "?") and maps in the kernel."""

    kernel: LinuxKernel
    spec: ObjectSpec
    maps: dict[str, Map] = field(default_factory=dict)
    programs: dict[str, Program] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.spec = self.kernel.resolve(self.spec)
        for name, map_spec in self.spec.maps.items():
            self.maps[name] = self.kernel.create_map(map_spec)
        for name, program in self.spec.programs.items():
            if program.autoload:
                self.programs[name] = self.kernel.load_program(program, self.maps)

    def values(self) -> dict[str, int]:
        """The global variables of whole numbers, by name."""
        found = {}
        for name, variable in self.spec.variable_specs.items():
            if self.spec.maps[variable.map].struct_ops is not None:
                continue
            content = self.maps[variable.map].lookup(bytes(4))
            assert content is not None
            found[name] = int.from_bytes(content[variable.offset : variable.offset + variable.size], "little")
        return found


def run(kernel: LinuxKernel, text: str) -> dict[str, int]:
    """Run the SEC("syscall") program `probe` of the text once; its variables after that."""
    loaded = Loaded(kernel, compiled(text))
    assert loaded.programs["probe"].run(ctx=bytes(8)).retval == 0
    return loaded.values()

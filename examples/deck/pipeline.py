"""The pipeline by hand: C, LLVM IR, an ELF object of eBPF code; then the object is loaded with no source at hand."""

import tempfile
from pathlib import Path

from stingless import BPF
from stingless.compile import c_to_ir, ir_to_object

source = r"""
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("kprobe/sys_clone") int hello(void *ctx) {
    bpf_printk("Hello from an object file\n");
    return 0;
}

char _license[] SEC("license") = "GPL";
"""

ir = c_to_ir(source, "hello.c")  # clang -target bpf -O2 -emit-llvm -S
print("LLVM IR:  ", next(line for line in ir.splitlines() if line.startswith("define")))
elf = ir_to_object(ir)  # code generation
print("ELF object:", len(elf), "bytes, starting with", elf[:4])

with tempfile.TemporaryDirectory() as directory:
    path = Path(directory) / "hello.o"
    path.write_bytes(elf)
    del source, ir, elf
    b = BPF(object_file=path)

b.attach_kprobe(event="sys_clone", fn_name="hello")
b.trace_print()

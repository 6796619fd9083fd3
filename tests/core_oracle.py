"""libbpf as the judge of CO-RE: what it does to each instruction, read from its debug output.

`python -m tests.core_oracle OBJECT...` compares objects that are not part of the tests.
"""

from __future__ import annotations

import re
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stingless.asm.instruction import Instruction, decode
from stingless.btf.core import Relocator
from stingless.btf.core_patch import POISON, apply
from stingless.btf.kernel import kernel_btf
from stingless.btf.types import Btf
from stingless.obj.elf import parse_elf
from stingless.obj.spec import CoreRelocation

_SECTION = re.compile(r"libbpf: sec '(.+)': found \d+ CO-RE relocations")
_PATCHED = re.compile(
    r"libbpf: prog '.+': relo #(\d+): patched insn #\d+ \((?:ALU/ALU64|LDX/ST/STX|LDIMM64)\) (?:imm64|imm|off)"
    r" -?\d+ -> (-?\d+)"
)
_RESIZED = re.compile(r"libbpf: prog '.+': relo #(\d+): patched insn #\d+ \(LDX/ST/STX\) mem_sz (\d+) -> (\d+)")
_POISONED = re.compile(r"libbpf: prog '.+': relo #(\d+): substituting insn #\d+ w/ invalid insn")
# Loads (or tries to) an object against the BTF in a file, "" for the kernel's own.
_LOADER = r"""
#include <bpf/libbpf.h>
#include <stdarg.h>
#include <stdio.h>
static int print(enum libbpf_print_level level, const char *format, va_list arguments)
{
    return vprintf(format, arguments);
}
int main(int argc, char **argv)
{
    LIBBPF_OPTS(bpf_object_open_opts, options, .btf_custom_path = argv[2][0] ? argv[2] : NULL);
    struct bpf_object *object;
    struct bpf_map *map;
    libbpf_set_print(print);
    object = bpf_object__open_file(argv[1], &options);
    if (!object)
        return 2;
    bpf_object__for_each_map(map, object) { /* what the tool would have set */
        if (!bpf_map__max_entries(map))
            bpf_map__set_max_entries(map, 1);
        if (bpf_map__type(map) == BPF_MAP_TYPE_STACK_TRACE)
            bpf_map__set_value_size(map, 8);
    }
    bpf_object__load(object);
    bpf_object__close(object);
    return 0;
}
"""


@dataclass(frozen=True)
class Verdict:
    """Of one relocation: the new number, None when poisoned, and the new size of its load, None when as before."""

    value: int | None
    size: int | None = None


Verdicts = dict[tuple[str, int], Verdict]  # by section and number of the record in it


class Libbpf:
    """The loader, built once in `directory`.  Raises `FileNotFoundError` or `CalledProcessError` without a C compiler
    or libbpf's headers."""

    def __init__(self, directory: Path) -> None:
        self._loader = directory / "loader"
        self._target = directory / "target.btf"
        command = ["cc", "-w", "-x", "c", "-", "-o", str(self._loader), "-lbpf"]
        subprocess.run(command, input=_LOADER, text=True, check=True, capture_output=True)

    def log(self, path: Path, target: Btf | None = None) -> str:
        if target is not None:
            self._target.write_bytes(target.data)
        command = [str(self._loader), str(path), str(self._target) if target else ""]
        return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False).stdout

    def verdicts(self, path: Path, target: Btf | None = None) -> Verdicts:
        """Also of objects that libbpf then fails to load."""
        return _parse(self.log(path, target))


def _parse(log: str) -> Verdicts:
    found: Verdicts = {}
    section = ""
    for line in log.splitlines():
        if match := _SECTION.match(line):
            section = match[1]
        elif match := _PATCHED.match(line):
            # It prints what it has put into 32 bits as it is, and into 64 as unsigned.
            found[section, int(match[1])] = Verdict(int(match[2]))
        elif match := _RESIZED.match(line):
            found[section, int(match[1])] = Verdict(found[section, int(match[1])].value, int(match[3]))
        elif match := _POISONED.match(line):
            found[section, int(match[1])] = Verdict(None)
    return found


def _records(btf: Btf, ext: bytes) -> Iterator[tuple[str, list[CoreRelocation]]]:
    """The CO-RE records of `.BTF.ext` by section, in the order in which libbpf counts them."""
    if len(ext) < 32:
        return
    (header, at, length) = (struct.unpack_from(f"{btf.order}I", ext, where)[0] for where in (4, 24, 28))
    at, end = header + at + 4, header + at + length
    while at < end:
        section, count = struct.unpack_from(f"{btf.order}II", ext, at)
        rows = struct.iter_unpack(f"{btf.order}IIII", ext[at + 8 : at + 8 + 16 * count])
        yield btf.string(section), [CoreRelocation(place // 8, t, btf.string(text), k) for place, t, text, k in rows]
        at += 8 + 16 * count


def our_verdicts(data: bytes, target: Btf | None = None) -> Verdicts:
    elf = parse_elf(data)
    section = elf.section(".BTF")
    if section is None:
        return {}
    btf, ext = Btf(section.data), elf.section(".BTF.ext")
    relocator = Relocator(btf, target or kernel_btf())
    found: Verdicts = {}
    for name, records in _records(btf, ext.data if ext else b""):
        text = elf.section(name)
        assert text is not None
        code = bytearray(text.data)
        before = decode(text.data)
        for number, record in enumerate(records):
            apply(code, record.insn, relocator.decide(record.type, record.access, record.kind))
            after = decode(bytes(code[record.insn * 8 : record.insn * 8 + 16]))
            found[name, number] = _verdict(before[record.insn], after)
    return found


def _verdict(before: Instruction, after: Sequence[Instruction]) -> Verdict:
    insn = after[0]
    if insn.opcode == 0x85 and insn.imm == POISON:
        return Verdict(None)
    if insn.opcode == 0x18:
        return Verdict((after[1].imm & 0xFFFFFFFF) << 32 | (insn.imm & 0xFFFFFFFF))
    if insn.cls in (1, 2, 3):
        sizes = {0x00: 4, 0x08: 2, 0x10: 1, 0x18: 8}
        return Verdict(insn.off, sizes[insn.opcode & 0x18] if insn.opcode != before.opcode else None)
    return Verdict(insn.imm)


def differences(theirs: Verdicts, ours: Verdicts) -> list[str]:
    """Where the two disagree; what libbpf did not come to is not compared."""
    return [
        f"{key}: libbpf {verdict}, ours {ours.get(key)}" for key, verdict in theirs.items() if ours.get(key) != verdict
    ]


def main(paths: Sequence[str]) -> int:
    import tempfile

    total = 0
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        libbpf = Libbpf(Path(scratch))
        for path in map(Path, paths):
            theirs, ours = libbpf.verdicts(path), our_verdicts(path.read_bytes())
            if len(theirs) != len(ours):
                print(f"{path.name}: {len(theirs)} of {len(ours)} compared")
            total += len(theirs)
            wrong += [f"{path.name}: {line}" for line in differences(theirs, ours)]
    print("\n".join([*wrong, f"{total} relocations of {len(paths)} objects compared, {len(wrong)} differ"]))
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What `BPF(debug=...)` writes to standard error."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from stingless.bcc.constants import (
    DEBUG_BPF_REGISTER_STATE,
    DEBUG_BTF,
    DEBUG_LLVM_IR,
    DEBUG_PREPROCESSOR,
    DEBUG_SOURCE,
)

if TYPE_CHECKING:
    from stingless.compile.bcc import BccRun
    from stingless.kernel import Kernel, Map, Program
    from stingless.obj.spec import ObjectSpec, ProgramSpec

_LEVELS = 1, 2  # of the verifier's log: at branches, at each instruction


def show(what: str, text: str) -> None:
    print(f"stingless: {what}:\n{text.rstrip()}", file=sys.stderr, flush=True)


def show_compilation(run: BccRun, debug: int) -> None:
    """The texts between the user's and the object."""
    if debug & DEBUG_PREPROCESSOR:
        show("the C text that clang gets", run.c_text)
    if debug & DEBUG_LLVM_IR:
        show("LLVM IR, with the reads of the kernel's memory made explicit", run.ir_text)


def show_object(spec: ObjectSpec, debug: int) -> None:
    """What is in the object."""
    if debug & DEBUG_BTF and spec.btf is not None:
        from stingless.btf.kinds import Kind
        from stingless.btf.show import show as shown

        btf = spec.btf
        kinds = (Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.ENUM64, Kind.TYPEDEF, Kind.FUNC, Kind.VAR, Kind.DATASEC)
        types = [btf.type(id) for kind in kinds for id in btf.ids(kind)]
        show("the object's types (BTF)", "\n".join(shown(btf, each) for each in types if each.name))
    if debug & DEBUG_SOURCE:
        for program in spec.programs.values():
            show(f"function {program.name}", _with_source(program))


def _with_source(program: ProgramSpec) -> str:
    """Its instructions, with the C line before those that come from it."""
    from stingless.bcc.disassembler import disassemble_str

    places = {ref.insn: f"  ; map {ref.map}" for ref in program.map_refs}
    lines = []
    before = None
    for i, text in enumerate(disassemble_str(program.code)):
        source = program.source_at(i)
        if source is not None and source != before:
            lines.append(f"; {source[0]}:{source[1]}: {source[2].strip()}")
            before = source
        lines.append(text + places.get(i, ""))
    return "\n".join(lines)


def show_verification(kernel: Kernel, program: Program, maps: Mapping[str, Map], debug: int) -> None:
    """What the verifier says of a program that it has taken."""
    ask = getattr(kernel, "verifier_log", None)
    if ask is None:
        show(f"the verifier takes {program.spec.name}", f"(the {kernel.name} kernel's keeps no log of what it takes)")
        return
    log = ask(program.spec, maps, _LEVELS[bool(debug & DEBUG_BPF_REGISTER_STATE)])
    show(f"the verifier's log of {program.spec.name}", log)

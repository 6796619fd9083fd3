"""Many places in one link, where the kernel has such links and the program cannot tell the difference.

A probe of its own for each of a thousand functions takes the kernel seconds to put in, and more to take out; one link
of them all takes milliseconds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from stingless._gen.uapi import AttachType, ProgramType
from stingless.asm import opcodes as op
from stingless.asm.instruction import decode
from stingless.bcc.attaching import Attaching, Attachment
from stingless.bcc.names import Name, text_of
from stingless.errors import StinglessError
from stingless.events import Event, KprobeMulti, UprobeMulti

if TYPE_CHECKING:
    from stingless.kernel import Link, Program
    from stingless.obj.spec import ProgramSpec

_ENOUGH = 8  # below that, a probe for each is as quick
# What of `struct pt_regs` an entry by ftrace does not have as a breakpoint has it: the instruction pointer, flags and
# segments.  Offsets in bytes.
_OTHERWISE = {"x86_64": {128, 136, 144, 160}, "aarch64": {256, 264}}
# bpf_get_stackid and bpf_get_stack begin at the registers; bpf_override_return changes them.
_HELPERS = {27, 67, 58}


def same_with_many(spec: ProgramSpec) -> bool:
    """Whether a kprobe program runs in a kprobe.multi link as it does in a kprobe: it looks at arguments, the result
    and the stack pointer at most."""
    places = _OTHERWISE.get(os.uname().machine)
    if places is None:
        return False
    for insn in decode(spec.code):
        loads = insn.opcode == op.LDX | op.MEM | op.DW and insn.off in places
        points = insn.opcode == op.ALU64 | op.ADD | op.K and insn.imm in places
        calls = insn.opcode == op.JMP | op.CALL and insn.src == 0 and insn.imm in _HELPERS
        if loads or points or calls:
            return False
    return True


class _Group:
    """Places that share a link.  One of them can leave: then the others get a new link."""

    def __init__(
        self, owner: Attaching, program: Program, function: str, event: Callable[[Sequence[str]], Event]
    ) -> None:
        self._owner = owner
        self._program = program
        self._function = function
        self._event = event
        self._members: dict[str, Attachment] = {}

    def attach(self, places: Sequence[str]) -> Link:
        return self._owner._link(self._program, self._event(places), self._function)

    def keep(self, kind: str, names: dict[str, str], link: Link) -> None:
        """`names`: bcc's name of each place."""
        for place, name in names.items():
            attachment = Attachment(kind, name, self._function, link, lambda place=place: self._leave(place))  # type: ignore[misc]
            self._members[place] = attachment
            self._owner._keep(attachment)

    def _leave(self, place: str) -> None:
        self._members.pop(place).link.close()
        if self._members:
            link = self.attach(list(self._members))
            for each in self._members.values():
                each.link = link


def kprobes(owner: Attaching, functions: Sequence[str], fn_name: Name, ret: bool, names: Sequence[str]) -> list[str]:
    """Attach to as many of the functions as go in one link, under bcc's `names`; those that are left."""
    if len(functions) < _ENOUGH or not same_with_many(owner._program_spec(fn_name)):
        return list(functions)

    def event(places: Sequence[str]) -> KprobeMulti:
        return KprobeMulti(tuple(places), ret, traceable=True)

    found = _attach(owner, fn_name, AttachType.TRACE_KPROBE_MULTI, event, "kprobe", functions, names)
    return [name for name in functions if name not in found]


def uprobes(
    owner: Attaching, path: str, offsets: Sequence[int], fn_name: Name, ret: bool, names: Sequence[str]
) -> list[int]:
    """Attach to all of the places of a file in one link; those that are left, which is all or none."""
    if len(offsets) < _ENOUGH:
        return list(offsets)

    def event(places: Sequence[str]) -> UprobeMulti:
        return UprobeMulti(path, tuple(map(int, places)), ret)

    found = _attach(owner, fn_name, AttachType.TRACE_UPROBE_MULTI, event, "uprobe", list(map(str, offsets)), names)
    return [] if found else list(offsets)


def _attach(
    owner: Attaching,
    fn_name: Name,
    attach_type: AttachType,
    event: Callable[[Sequence[str]], Event],
    kind: str,
    places: Sequence[str],
    names: Iterable[str],
) -> set[str]:
    """The places that are attached: none on a kernel that cannot, or when it refuses."""
    function = text_of(fn_name)
    try:
        program = owner._object.program(function, ProgramType.KPROBE, attach_type=attach_type)
        group = _Group(owner, program, function, event)
        link = group.attach(places)
    except StinglessError:
        return set()
    done = set(link.event.functions) if isinstance(link.event, KprobeMulti) else set(places)
    group.keep(kind, {place: name for place, name in zip(places, names, strict=True) if place in done}, link)
    return done

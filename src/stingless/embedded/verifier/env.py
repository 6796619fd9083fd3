"""What the parts of one verification share."""

from __future__ import annotations

from stingless.asm.instruction import Instruction
from stingless.embedded.verifier.checkpoint import Checkpoint
from stingless.embedded.verifier.context_rule import Rule
from stingless.embedded.verifier.fields import Fields
from stingless.embedded.verifier.rejection import Rejected, malformed
from stingless.embedded.verifier.state import NOT_INIT, Reg, State, initial
from stingless.embedded.verifier.structure import Structure
from stingless.embedded.verifier.types import Types
from stingless.obj.spec import ProgramSpec

SLEEPABLE = 1 << 4  # BPF_F_SLEEPABLE


class Env:
    """One verification: the program, the state on the current path, and what was found on all paths."""

    __slots__ = (
        "_last_id",
        "called_back",
        "called_later",
        "depths",
        "embedded",
        "fields",
        "helpers",
        "history",
        "insns",
        "kfunc_calls",
        "live",
        "max_ctx_offset",
        "pc",
        "point",
        "privileged",
        "program",
        "regs",
        "roles",
        "rule",
        "spec",
        "state",
        "types",
        "uninitialised",
        "work",
        "written",
    )

    def __init__(
        self, spec: ProgramSpec, program: Structure, rule: Rule | None, helpers: frozenset[int], live: list[int],
        types: Types, embedded: bool = True, privileged: bool = True,
    ) -> None:  # fmt: skip
        self.spec = spec
        self.program = program
        self.insns: list[Instruction] = program.insns
        self.rule = rule
        self.helpers = helpers
        self.live = live
        self.pc = 0
        self.roles: dict[int, str] = {}  # instruction -> "memory" or a context field's role
        self.depths = [0] * len(program.subprogs)  # bytes of stack, by sub-program
        self.max_ctx_offset = 0
        self.types = types
        self.embedded = embedded  # by what the embedded kernel has, not by what Linux has
        self.privileged = privileged  # pointers may leak, the stack may be read before it is written
        self.fields = Fields(program.maps)
        self.called_back: dict[int, set[int]] = {}  # by sub-program: those that helpers call on its behalf
        self.called_later: set[int] = set()  # sub-programs that timers call
        self.kfunc_calls: dict[int, str] = {}
        self.uninitialised = False  # some path reads stack that nobody wrote
        self._last_id = 0
        # The current path: its state, the checkpoint it passed last, and the slots written since then.
        self.state: State = initial(bool(spec.flags & SLEEPABLE))
        self.regs: list[Reg] = self.state.frames[-1].regs
        self.point = Checkpoint(None, frozenset())
        self.written: set[tuple[int, int]] = set()
        self.history = 0  # how much Linux would have noted of the path since then
        # Paths to follow later.
        self.work: list[tuple[State, int, Checkpoint, set[tuple[int, int]], int, int]] = []

    def new_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def use(self, state: State) -> None:
        """Make `state` the current one, or notice that its running frame changed."""
        self.state = state
        self.regs = state.frames[-1].regs

    def read(self, number: int) -> Reg:
        """A register of the running frame that must be initialised."""
        reg = self.regs[number]
        if reg.kind is NOT_INIT:
            raise Rejected(f"R{number} !read_ok")
        return reg

    def take_role(self, role: str) -> None:
        """Instruction `pc` accesses the context (a field's role) or other memory; it can do only one of the two,
        because the kernel below rewrites context accesses."""
        if self.roles.setdefault(self.pc, role) != role:
            raise malformed("same insn cannot be used with different pointers")

    def push(self, state: State, pc: int) -> None:
        """Follow `state` from instruction `pc` on later."""
        if len(self.work) >= 8192:
            raise Rejected(f"The sequence of {len(self.work) + 1} jumps is too complex.", 7)
        self.point.pending += 1
        self.work.append((state, pc, self.point, self.written.copy(), self.pc, self.history))

    def slot_read(self, frame: int, base: int) -> None:
        """The slot matters to every checkpoint since it was last written."""
        key = frame, base
        if key not in self.written:
            self.point.slot_read(key)

    def slot_written(self, frame: int, base: int) -> None:
        """The whole slot was overwritten."""
        self.written.add((frame, base))

    def need_stack(self, frame: int, off: int) -> None:
        number = self.state.frames[frame].subprog
        if -off > self.depths[number]:
            self.depths[number] = -off

"""`__ksym` externs in a program's code: the kernel's variables and functions, by BTF or by address.

What a typed extern becomes: a load of a variable's address or a test for a function is a 64-bit load with the source
PSEUDO_BTF_ID, the BTF id in its first slot, and in the second the module's index in `ProgramSpec.kfunc_modules` (0:
the kernel itself), which the loader replaces by a descriptor; a call has PSEUDO_KFUNC_CALL, the id, and the same index.
"""

from __future__ import annotations

from collections.abc import Iterable

from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction, decode, encode
from stingless.btf.core_access import spell
from stingless.btf.core_names import essential_name
from stingless.btf.types import Btf, Kind, Type
from stingless.errors import NotSupportedError, ObjectError, UnknownNameError
from stingless.frozen import frozen, replace
from stingless.obj.attach_ids import need_btf, types_of
from stingless.obj.resolve import Target
from stingless.obj.spec import ExternRef, ExternSpec, Poison, ProgramSpec

# imm of a call that the verifier is to refuse when it is reached, plus its own place.
POISONED_CALL = 2002000000
_CALL = op.JMP | op.CALL


@frozen
class _Found:
    id: int
    module: str


class KernelSymbols:
    """The externs of one object, each looked up once."""

    def __init__(self, externs: Iterable[ExternSpec], local: Btf | None, target: Target) -> None:
        self._local = local
        self._target = target
        self._untyped = {each.name for each in externs if each.section == ".ksyms" and not each.type}
        self._addresses: dict[str, tuple[int, ...]] | None = None
        self._found: dict[str, _Found | None] = {}

    def apply(self, program: ProgramSpec) -> ProgramSpec:
        """The program with its externs in the code.  Raises `UnknownNameError`, `ObjectError`, `NotSupportedError`,
        `PrivilegeError`."""
        code = decode(program.code)
        modules = list(program.kfunc_modules)
        poisons = list(program.poisons)
        for ref in program.extern_refs:
            if not 0 <= ref.insn < len(code):
                raise ObjectError(f"program {program.name!r}: an extern's place {ref.insn} is not in its code")
            at, extern = code[ref.insn], ref.extern
            if at.opcode == _CALL and extern.function:
                code[ref.insn], poison = self._call(program, ref, at, modules)
                poisons += [poison] if poison else []
            elif at.opcode == op.LD_IMM64 and ref.insn + 1 < len(code):
                code[ref.insn], code[ref.insn + 1] = self._load(program, ref, at, modules)
            else:
                raise ObjectError(f"program {program.name!r}: {extern.name!r} is used by no call or 64-bit load")
        return replace(program, code=encode(code), extern_refs=(), kfunc_modules=tuple(modules), poisons=tuple(poisons))

    def _call(
        self, program: ProgramSpec, ref: ExternRef, insn: Instruction, modules: list[str]
    ) -> tuple[Instruction, Poison | None]:
        number = self._target.kernel_function(essential_name(ref.extern.name))
        if number is not None:
            return insn._replace(src=op.PSEUDO_KFUNC_CALL, off=0, imm=number), None
        found = self._typed(ref.extern, program, ref.insn)
        if found is None:
            name = ref.extern.name
            why = f"this kernel has no function {name!r} for programs, or not with those types"
            bad = Instruction(_CALL, imm=POISONED_CALL + ref.insn)
            return bad, Poison(ref.insn, f"{why}: test bpf_ksym_exists({name}) before the call")
        return insn._replace(src=op.PSEUDO_KFUNC_CALL, off=_index(found.module, modules), imm=found.id), None

    def _load(
        self, program: ProgramSpec, ref: ExternRef, insn: Instruction, modules: list[str]
    ) -> tuple[Instruction, Instruction]:
        own = self._target.kernel_function(essential_name(ref.extern.name)) if ref.extern.function else None
        if own is not None:
            address = own
        elif ref.extern.type:
            found = self._typed(ref.extern, program, ref.insn)
            if found is not None:
                first = insn._replace(src=op.PSEUDO_BTF_ID, off=0, imm=found.id)
                return first, Instruction(0, imm=_index(found.module, modules))
            address = 0
        else:
            address = self._address(program, ref)
        return insn._replace(src=0, off=0, imm=address & 0xFFFFFFFF), Instruction(0, imm=address >> 32)

    def _address(self, program: ProgramSpec, ref: ExternRef) -> int:
        extern = ref.extern
        if self._usable(program, ref):
            if self._addresses is None:
                self._addresses = dict(self._target.symbols(self._untyped | {extern.name}))
            places = self._addresses.get(extern.name, ())
            if len(places) == 1:
                return places[0]
            if places:
                shown = ", ".join(f"{each:#x}" for each in places[:4])
                raise ObjectError(f"{_use(program, ref)}: {len(places)} symbols have that name, at {shown}")
        if extern.weak:
            return 0
        raise UnknownNameError("kernel symbol", extern.name, (), f"{_use(program, ref)}; {_WEAK}")

    def _usable(self, program: ProgramSpec, ref: ExternRef) -> bool:
        """Raises for a strong extern where the kernel has no symbols for programs."""
        if not self._target.own_symbols and not ref.extern.weak:
            raise NotSupportedError(
                f"{'function' if ref.extern.function else 'variable'} {ref.extern.name!r} of the Linux kernel",
                "",
                f"{_use(program, ref)}; load it on Linux itself, or declare it __weak and test for it",
            )
        return self._target.own_symbols

    def _typed(self, extern: ExternSpec, program: ProgramSpec, insn: int) -> _Found | None:
        """Where the kernel has it; None for a weak one that it does not have."""
        ref = ExternRef(insn, extern)
        if extern.name not in self._found:
            self._found[extern.name] = self._look_up(program, ref) if self._usable(program, ref) else None
        return self._found[extern.name]

    def _look_up(self, program: ProgramSpec, ref: ExternRef) -> _Found | None:
        extern = ref.extern
        if self._target.btf is None and extern.weak:
            return None
        need_btf(self._target, _use(program, ref))
        kind = Kind.FUNC if extern.function else Kind.VAR
        name = essential_name(extern.name)
        for module, btf in types_of(self._target):
            found = btf.find(name, kind)
            if found is None:
                continue
            if self._compatible(extern, btf, found):
                return _Found(found.id, module)
            if extern.weak and extern.function:
                return None
            raise ObjectError(
                f"{_use(program, ref)}: declared as {_text(self._types(extern), extern.type)}, but the kernel has "
                f"{_text(btf, found.type)}; declare it as the kernel does"
            )
        if extern.weak:
            return None
        from stingless.btf.near import near

        known = [each for _, btf in types_of(self._target) for each in near(btf, name, kind)]
        what = "kernel function (kfunc)" if extern.function else "kernel variable (in the kernel's BTF)"
        raise UnknownNameError(what, extern.name, known, f"{_use(program, ref)}; {_WEAK}")

    def _compatible(self, extern: ExternSpec, btf: Btf, found: Type) -> bool:
        from stingless.btf.core_match import Matcher

        return Matcher(self._types(extern), btf).compatible(_prototype(self._types(extern), extern.type), found.type)

    def _types(self, extern: ExternSpec) -> Btf:
        if self._local is None:
            raise ObjectError(f"extern {extern.name!r} has no type: the object has no BTF; compile with -g")
        return self._local


_WEAK = "declare it __weak if the program can do without"


def _use(program: ProgramSpec, ref: ExternRef) -> str:
    source = program.source_at(ref.insn)
    where = f" ({source[0]}:{source[1]}: {source[2].strip()})" if source else f" at instruction {ref.insn}"
    return f"program {program.name!r} uses {ref.extern.name!r}{where}"


def _prototype(btf: Btf, type_id: int) -> int:
    """The type of a function, or of a variable: what a FUNC or VAR has in it."""
    found = btf.type(type_id)
    return found.type if found.kind in (Kind.FUNC, Kind.VAR) else type_id


def _index(module: str, modules: list[str]) -> int:
    """The module's index in fd_array; index 0 is not used, and stands for the kernel itself."""
    if not module:
        return 0
    if module not in modules:
        modules.append(module)
    return modules.index(module) + 1


def _text(btf: Btf, type_id: int) -> str:
    found = btf.resolve(_prototype(btf, type_id))
    if found.kind is not Kind.FUNC_PROTO:
        return spell(btf, _prototype(btf, type_id))
    parameters = ", ".join(spell(btf, m.type) if m.type else "..." for m in found.members)
    return f"{spell(btf, found.type)} ({parameters or 'void'})"

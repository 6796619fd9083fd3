"""The form of a program, checked before any path is followed: instructions, jumps, sub-programs, reachability."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping

from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction, decode
from stingless.embedded.verifier.callers import CALLING
from stingless.embedded.verifier.rejection import Rejected, malformed, unsupported
from stingless.frozen import frozen
from stingless.obj.spec import MapSpec, ProgramSpec

MAX_INSNS = 1_000_000
_ATOMIC_OPS = {o | f for o in (op.ADD, op.OR, op.AND, op.XOR) for f in (0, op.FETCH)} | {op.XCHG, op.CMPXCHG}
_MAP_SOURCES = (op.PSEUDO_MAP_FD, op.PSEUDO_MAP_IDX)
_VALUE_SOURCES = (op.PSEUDO_MAP_VALUE, op.PSEUDO_MAP_IDX_VALUE)
_CONDITIONS = (
    op.JEQ, op.JGT, op.JGE, op.JSET, op.JNE, op.JSGT, op.JSGE, op.JLT, op.JLE, op.JSLT, op.JSLE,
)  # fmt: skip


@frozen
class Structure:
    """A well-formed program.  `subprogs` are the first instructions of the main program and its sub-programs;
    `owner` the sub-program of each instruction; `map_loads` says which map (an index into `maps`), and which offset
    into its value if not None, a 64-bit immediate load loads; `inner` says which map describes the maps in a map;
    `functions` which sub-program a 64-bit load takes the address of; `targets` are jumped to, `loop_heads` from behind;
    at `turns` a loop's next round begins that is known to end: may_goto, an iterator's step, a call that calls back."""

    insns: list[Instruction]
    subprogs: list[int]
    owner: list[int]
    maps: list[MapSpec]
    map_loads: dict[int, tuple[int, int | None]]
    inner: dict[int, int]
    functions: dict[int, int]
    targets: frozenset[int]
    loop_heads: frozenset[int]
    turns: frozenset[int]
    kfuncs: dict[int, str]


def analyse(
    spec: ProgramSpec, maps: Mapping[str, MapSpec], kfunc_name: Callable[[int], str | None] = lambda number: None
) -> Structure:
    """`kfunc_name` names the kernel function of a call's number.  Raises `Rejected` for a malformed program."""
    if len(spec.code) % 8:
        raise malformed(f"invalid program of {len(spec.code)} bytes, not a multiple of 8")
    if not spec.code:
        raise malformed("empty program: no instructions")
    if len(spec.code) // 8 > MAX_INSNS:
        raise Rejected(f"BPF program is too large: {len(spec.code) // 8} insns (limit {MAX_INSNS})", errno.E2BIG)
    insns = decode(spec.code)
    seconds = _check_instructions(insns)
    map_list, map_loads = _map_loads(spec, maps, insns, seconds)
    inner = _inner_maps(map_list)
    subprogs = _subprograms(insns, seconds)
    number_of = {start: number for number, start in enumerate(subprogs)}
    owner = []
    bounds = [*subprogs, len(insns)]
    for number, start in enumerate(subprogs):
        owner += [number] * (bounds[number + 1] - start)
    targets, loop_heads, turns = set(), set(), set()
    functions: dict[int, int] = {}
    kfuncs: dict[int, str] = {}
    for i, insn in enumerate(insns):
        if i in seconds:
            continue
        if insn.opcode == op.LD_IMM64 and insn.src == op.PSEUDO_FUNC:
            functions[i] = number_of[i + 1 + insn.imm]
        elif insn.opcode == op.JMP | op.CALL:
            if insn.src == op.PSEUDO_KFUNC_CALL and (name := kfunc_name(insn.imm) if not insn.off else None):
                kfuncs[i] = name
                if (name.startswith("bpf_iter_") and name.endswith("_next")) or name == "bpf_rbtree_add_impl":
                    turns.add(i)
            elif not insn.src and insn.imm in CALLING:
                turns.add(i)
        elif insn.opcode == op.JMP | op.JCOND:
            turns.add(i)
        for target in jumps(i, insn):
            if not 0 <= target < len(insns) or owner[target] != owner[i]:
                raise malformed(f"jump out of range from insn {i} to {target}", i)
            if target in seconds:
                raise malformed(f"jump into the middle of ldimm64 insn {target} from insn {i}", i)
            targets.add(target)
            if target <= i:
                loop_heads.add(target)
    for end in bounds[1:]:
        last = insns[end - 1]
        if (end - 1) in seconds or not _leaves(last):
            raise malformed("last insn is not an exit or jmp", end - 1)
    _check_reachable(insns, subprogs, seconds)
    _check_no_recursion(insns, subprogs, owner)
    return Structure(
        insns, subprogs, owner, map_list, map_loads, inner, functions, frozenset(targets | turns),
        frozenset(loop_heads - turns), frozenset(turns), kfuncs,
    )  # fmt: skip


def jumps(i: int, insn: Instruction) -> Iterator[int]:
    """Where the jump instruction `i` can go besides the next instruction (not: calls)."""
    cls, operation = insn.opcode & 0x07, insn.opcode & 0xF0
    if cls == op.JMP32 and operation == op.JA:
        yield i + 1 + insn.imm
    elif cls in (op.JMP, op.JMP32) and operation not in (op.CALL, op.EXIT):
        yield i + 1 + insn.off


def is_call(insn: Instruction) -> bool:
    """A call of a sub-program."""
    return insn.opcode == op.JMP | op.CALL and insn.src == op.PSEUDO_CALL


def is_function_address(insn: Instruction) -> bool:
    return insn.opcode == op.LD_IMM64 and insn.src == op.PSEUDO_FUNC


def _leaves(insn: Instruction) -> bool:
    return insn.opcode in (op.JMP | op.EXIT, op.JMP | op.JA, op.JMP32 | op.JA)


def _check_instructions(insns: list[Instruction]) -> set[int]:
    """Check each instruction by itself; returns the indexes of second slots."""
    seconds: set[int] = set()
    for i, insn in enumerate(insns):
        if i in seconds:
            continue
        if insn.dst > 10 or insn.src > 10:
            raise malformed(f"R{insn.dst if insn.dst > 10 else insn.src} is invalid", i)
        cls = insn.opcode & 0x07
        if insn.opcode == op.LD_IMM64:
            _check_ld_imm64(i, insns)
            seconds.add(i + 1)
            writes = True
        elif cls in (op.ALU, op.ALU64):
            writes = _check_alu(i, insn)
        elif cls in (op.JMP, op.JMP32):
            writes = _check_jump(i, insn)
        else:
            writes = _check_memory(i, insn, cls)
        if writes and insn.dst == 10:
            raise Rejected("frame pointer is read only", insn=i)
    return seconds


def _check_ld_imm64(i: int, insns: list[Instruction]) -> None:
    insn = insns[i]
    second = insns[i + 1] if i + 1 < len(insns) else None
    if second is None or second.opcode or second.dst or second.src or second.off:
        raise malformed("invalid bpf_ld_imm64 insn", i)
    if insn.off:
        raise malformed("BPF_LD_IMM64 uses reserved fields", i)
    if insn.src > op.PSEUDO_MAP_IDX_VALUE:
        raise malformed("unrecognized bpf_ld_imm64 insn", i)


def _check_alu(i: int, insn: Instruction) -> bool:
    operation, is64, by_reg = insn.opcode & 0xF0, insn.opcode & 0x07 == op.ALU64, bool(insn.opcode & op.X)
    name = "BPF_END" if operation == op.END else "BPF_NEG" if operation == op.NEG else "BPF_MOV"
    if operation == op.END:
        if insn.src or insn.off or insn.imm not in (16, 32, 64) or (is64 and by_reg):
            raise malformed(f"{name} uses reserved fields", i)
    elif operation == op.NEG:
        if by_reg or insn.src or insn.off or insn.imm:
            raise malformed(f"{name} uses reserved fields", i)
    elif operation == op.MOV:
        if by_reg:
            if insn.off == 1 and is64:
                raise unsupported("addr_space_cast (arenas) is")
            if insn.imm or insn.off not in ((0, 8, 16, 32) if is64 else (0, 8, 16)):
                raise malformed(f"{name} uses reserved fields", i)
        elif insn.src or insn.off:
            raise malformed(f"{name} uses reserved fields", i)
    elif operation > op.END:
        raise malformed(f"invalid BPF_ALU opcode {operation:x}", i)
    else:
        signed_division = operation in (op.DIV, op.MOD) and insn.off == 1
        if (insn.imm if by_reg else insn.src) or (insn.off and not signed_division):
            raise malformed("BPF_ALU uses reserved fields", i)
        if not by_reg:
            if operation in (op.DIV, op.MOD) and insn.imm == 0:
                raise malformed("div by zero", i)
            if operation in (op.LSH, op.RSH, op.ARSH) and not 0 <= insn.imm < (64 if is64 else 32):
                raise malformed(f"invalid shift {insn.imm}", i)
    return True


def _check_jump(i: int, insn: Instruction) -> bool:
    cls, operation, by_reg = insn.opcode & 0x07, insn.opcode & 0xF0, bool(insn.opcode & op.X)
    if operation == op.CALL:
        if insn.opcode != op.JMP | op.CALL or insn.dst or (insn.off and insn.src != op.PSEUDO_KFUNC_CALL):
            raise malformed("BPF_CALL uses reserved fields", i)
        if insn.src not in (0, op.PSEUDO_CALL, op.PSEUDO_KFUNC_CALL):
            raise malformed("BPF_CALL uses reserved fields", i)
    elif operation == op.EXIT:
        if insn.opcode != op.JMP | op.EXIT or insn.src or insn.dst or insn.off or insn.imm:
            raise malformed("BPF_EXIT uses reserved fields", i)
    elif operation == op.JA:
        unused = insn.imm if cls == op.JMP else insn.off
        if by_reg or insn.src or insn.dst or unused:
            raise malformed("BPF_JA uses reserved fields", i)
    elif operation == op.JCOND and cls == op.JMP:
        if by_reg or insn.src or insn.dst or insn.imm:
            raise malformed("invalid may_goto imm", i)
    elif operation not in _CONDITIONS:
        raise malformed(f"invalid BPF_JMP opcode {insn.opcode:x}", i)
    elif insn.imm if by_reg else insn.src:
        raise malformed("BPF_JMP/JMP32 uses reserved fields", i)
    return False


def _check_memory(i: int, insn: Instruction, cls: int) -> bool:
    mode, size = insn.opcode & 0xE0, insn.opcode & 0x18
    if cls == op.LD and mode in (op.ABS, op.IND):
        if insn.dst or insn.off or size == op.DW or (mode == op.ABS and insn.src):
            raise malformed("BPF_LD_[ABS|IND] uses reserved fields", i)
        return False
    if cls == op.LDX and (mode == op.MEM or (mode == op.MEMSX and size != op.DW)):
        if insn.imm:
            raise malformed("BPF_LDX uses reserved fields", i)
        return True
    if cls == op.STX and mode == op.MEM:
        if insn.imm:
            raise malformed("BPF_STX uses reserved fields", i)
        return False
    if cls == op.ST and mode == op.MEM:
        if insn.src:
            raise malformed("BPF_ST uses reserved fields", i)
        return False
    if cls == op.STX and mode == op.ATOMIC:
        if insn.imm in (op.LOAD_ACQ, op.STORE_REL):
            return insn.imm == op.LOAD_ACQ
        if insn.imm not in _ATOMIC_OPS:
            raise malformed(f"BPF_ATOMIC uses invalid atomic opcode {insn.imm & 0xFF:02x}", i)
        if size not in (op.W, op.DW):
            raise malformed("invalid atomic operand size", i)
        if insn.imm & op.FETCH and insn.imm != op.CMPXCHG and insn.src == 10:
            raise Rejected("frame pointer is read only", insn=i)
        return False
    raise malformed(f"unknown opcode {insn.opcode:02x}", i)


def _map_loads(
    spec: ProgramSpec, maps: Mapping[str, MapSpec], insns: list[Instruction], seconds: set[int]
) -> tuple[list[MapSpec], dict[int, tuple[int, int | None]]]:
    used: dict[str, int] = {}
    loads: dict[int, tuple[int, int | None]] = {}
    for ref in spec.map_refs:
        i = ref.insn
        if not 0 <= i < len(insns) or i in seconds or insns[i].opcode != op.LD_IMM64:
            raise malformed(f"map {ref.map!r} is referred to by insn {i}, which loads no 64-bit immediate", i)
        if ref.map not in maps:
            raise malformed(f"insn {i} refers to map {ref.map!r}, which there is not", i)
        if i in loads:
            raise malformed(f"insn {i} refers to two maps", i)
        if insns[i].src in (_MAP_SOURCES if ref.offset is not None else _VALUE_SOURCES):
            raise malformed(f"insn {i} and its reference to map {ref.map!r} disagree on what is loaded", i)
        loads[i] = used.setdefault(ref.map, len(used)), ref.offset
        if ref.offset is not None:
            target = maps[ref.map]
            if target.type.name != "ARRAY" or target.max_entries != 1:
                raise malformed(f"map {ref.map!r} is no array of one entry: its value has no fixed address", i)
            if not 0 <= ref.offset < target.value_size:
                raise malformed(
                    f"invalid access to map value pointer, value_size={target.value_size} off={ref.offset}", i
                )
    for i, insn in enumerate(insns):
        maps_only = insn.src not in (0, op.PSEUDO_FUNC, op.PSEUDO_BTF_ID)
        if insn.opcode == op.LD_IMM64 and i not in seconds and maps_only and i not in loads:
            raise malformed(f"unrecognized bpf_ld_imm64 insn: insn {i} loads a map that is not named", i)
    return [maps[name] for name in used], loads


def _inner_maps(maps: list[MapSpec]) -> dict[int, int]:
    """Appends what describes the maps in maps of maps; returns where, by the outer map."""
    inner: dict[int, int] = {}
    for number, spec in enumerate(list(maps)):
        if spec.inner is not None:
            inner[number] = len(maps)
            maps.append(spec.inner)
    return inner


def _subprograms(insns: list[Instruction], seconds: set[int]) -> list[int]:
    starts = {0}
    for i, insn in enumerate(insns):
        if i in seconds or not (is_call(insn) or is_function_address(insn)):
            continue
        target = i + 1 + insn.imm
        if not 0 <= target < len(insns):
            raise malformed(f"invalid call destination {target} from insn {i}", i)
        if target in seconds:
            raise malformed(f"call into the middle of ldimm64 insn {target} from insn {i}", i)
        starts.add(target)
    if len(starts) > 256:
        raise Rejected("too many subprograms", errno.E2BIG)
    return sorted(starts)


def successors(i: int, insn: Instruction) -> Iterator[int]:
    """Where execution can go from instruction `i` within its sub-program."""
    yield from jumps(i, insn)
    if not _leaves(insn):
        yield i + (2 if insn.opcode == op.LD_IMM64 else 1)


def _check_reachable(insns: list[Instruction], subprogs: list[int], seconds: set[int]) -> None:
    seen = bytearray(len(insns))
    todo = [0]
    seen[0] = 1
    while todo:
        i = todo.pop()
        insn = insns[i]
        following = list(successors(i, insn))
        if is_call(insn) or is_function_address(insn):
            following.append(i + 1 + insn.imm)
        for target in following:
            if not seen[target]:
                seen[target] = 1
                todo.append(target)
    for i in range(len(insns)):
        if not seen[i] and i not in seconds:
            raise malformed(f"unreachable insn {i}", i)


def _check_no_recursion(insns: list[Instruction], subprogs: list[int], owner: list[int]) -> None:
    callees = calls(insns, subprogs, owner)
    done: set[int] = set()
    path: list[tuple[int, Iterator[tuple[int, int]]]] = [(0, iter(callees[0]))]
    on_path = {0}
    while path:
        number, rest = path[-1]
        for i, callee in rest:
            if callee in on_path:
                raise malformed(f"recursive call from subprogram {number} to {callee}", i)
            if callee not in done:
                on_path.add(callee)
                path.append((callee, iter(callees[callee])))
                break
        else:
            path.pop()
            on_path.discard(number)
            done.add(number)


def calls(insns: list[Instruction], subprogs: list[int], owner: list[int]) -> list[list[tuple[int, int]]]:
    """Of each sub-program, the calls it makes: (instruction, called sub-program)."""
    number = {start: n for n, start in enumerate(subprogs)}
    result: list[list[tuple[int, int]]] = [[] for _ in subprogs]
    for i, insn in enumerate(insns):
        if is_call(insn):
            result[owner[i]].append((i, number[i + 1 + insn.imm]))
    return result

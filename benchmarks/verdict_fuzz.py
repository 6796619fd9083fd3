"""Programs of objects with a few instructions changed: our verifier's verdict beside Linux's.

    python -m benchmarks.verdict_fuzz [--seed N] [--count N] [-o DIRECTORY] FILE|DIRECTORY...

Every disagreement is counted by both reasons; those that only we accept are the ones that matter, and are listed with
their seeds.  Programs are loaded, never attached.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

from benchmarks.objects import _with_sizes, objects_in
from benchmarks.verdicts import HELPERS, _kind, _last, _too_long, _TooLongError
from stingless import StinglessError, open_object
from stingless._gen.uapi import ProgramType
from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction, decode, encode
from stingless.embedded.verifier.verify import verify
from stingless.errors import VerifierError
from stingless.frozen import replace
from stingless.kernel import Map
from stingless.linux.kernel import LinuxKernel
from stingless.obj.resolve import resolve
from stingless.obj.spec import MapSpec, ObjectSpec, ProgramSpec
from stingless.target.running import RunningKernel

_LONGEST = 1500  # instructions
_NUMBERS = (
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    15,
    16,
    31,
    63,
    64,
    255,
    256,
    511,
    512,
    -1,
    -2,
    -8,
    -16,
    1 << 29,
    -(1 << 31),
    (1 << 31) - 1,
)
_NOT_HERE = frozenset(
    {ProgramType.TRACING, ProgramType.LSM, ProgramType.EXT, ProgramType.STRUCT_OPS, ProgramType.UNSPEC}
)


def mutated(spec: ProgramSpec, rng: random.Random) -> ProgramSpec:
    """The program with one to three instructions changed, its references left as they are."""
    insns = decode(spec.code)
    kept = {ref.insn for ref in spec.map_refs}
    kept |= {i + 1 for i, insn in enumerate(insns) if insn.opcode == op.LD_IMM64}
    free = [i for i in range(len(insns)) if i not in kept]
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        i = rng.choice(free)
        insns[i] = _changed(insns[i], insns, rng)
    return replace(spec, code=encode(insns))


def _changed(insn: Instruction, insns: list[Instruction], rng: random.Random) -> Instruction:
    wide = insn.opcode == op.LD_IMM64
    match rng.randrange(9 if not wide else 2):
        case 0:
            return insn._replace(dst=rng.randrange(11))
        case 1:
            return insn._replace(imm=rng.choice(_NUMBERS)) if insn.src == 0 else insn
        case 2:
            return insn._replace(src=rng.randrange(11)) if insn.opcode & 0x0F not in (0x05,) else insn
        case 3:
            return insn._replace(off=max(-32768, min(32767, insn.off + rng.choice((-8, -4, -1, 1, 2, 4, 8, 64)))))
        case 4:
            return insn._replace(imm=max(-(1 << 31), min((1 << 31) - 1, insn.imm + rng.choice((-1, 1, 8, -8)))))
        case 5:
            return insn._replace(opcode=insn.opcode ^ rng.choice((0x10, 0x20, 0x40, 0x80, 0x08, 0x18)))
        case 6:
            return insn._replace(opcode=insn.opcode ^ rng.choice((0x01, 0x02, 0x03)))
        case 7:
            return Instruction(op.JMP | op.JA)  # nothing
        case _:
            other = rng.choice(insns)
            return insn if other.opcode in (op.LD_IMM64, 0) else other


class Pool:
    """Programs that the host accepts, with their maps."""

    def __init__(self, paths: list[Path], kernel: LinuxKernel, target: RunningKernel) -> None:
        self.programs: list[tuple[ProgramSpec, dict[str, MapSpec], dict[str, Map]]] = []
        for path in paths:
            try:
                spec = _with_sizes(open_object(path))
            except ValueError:
                continue
            for name, each in spec.programs.items():
                self._add(spec, name, each, kernel, target)

    def _add(self, spec: ObjectSpec, name: str, each: ProgramSpec, kernel: LinuxKernel, target: RunningKernel) -> None:
        if each.type in _NOT_HERE or len(each.code) // 8 > _LONGEST:
            return
        try:
            alone = resolve(replace(spec, programs={name: replace(each, autoload=True)}), target)
            program = alone.programs[name]
            used = {ref.map for ref in program.map_refs}
            specs = {n: replace(m, pinning=type(m.pinning).NONE) for n, m in alone.maps.items() if n in used}
            if len(self.programs) > 600:
                return
            maps: dict[str, Map] = {n: kernel.create_map(m) for n, m in specs.items()}
            kernel.load_program(program, maps).close()
        except (StinglessError, OSError, ValueError):
            return
        self.programs.append((program, specs, maps))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verdict_fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("places", nargs="+", metavar="FILE|DIRECTORY")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--limit", type=float, default=5, help="seconds for one program")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after that long")
    parser.add_argument("--show", type=int, help="show the program of this seed, and both logs")
    options = parser.parse_args()
    signal.signal(signal.SIGALRM, _too_long)
    target = RunningKernel()
    with LinuxKernel() as kernel:
        pool = Pool(objects_in(options.places), kernel, target)
        print(f"{len(pool.programs)} programs", flush=True)
        counts: Counter[str] = Counter()
        reasons: Counter[tuple[str, str]] = Counter()
        seeds: dict[tuple[str, str], int] = {}
        chosen = range(options.seed, options.seed + options.count) if options.show is None else [options.show]
        stop = time.monotonic() + options.seconds
        for seed in chosen:
            if time.monotonic() > stop:
                break
            rng = random.Random(seed)
            program, specs, maps = rng.choice(pool.programs)
            spec = mutated(program, rng)
            ours, our_log = _ours(spec, specs, target, options.limit)
            theirs, their_log = _theirs(spec, maps, kernel)
            if options.show is not None:
                print(our_log[-3000:], "\n=== Linux:\n", their_log[-3000:], sep="")
            counts[f"Linux {'ok' if theirs == 'ok' else 'no'}, ours {'ok' if ours == 'ok' else 'no'}"] += 1
            if (theirs == "ok") != (ours == "ok"):
                kind = _kind(theirs), _kind(ours)
                reasons[kind] += 1
                seeds.setdefault(kind, seed)
    for what, count in counts.most_common():
        print(f"{count:6} {what}")
    for kind, count in sorted(reasons.items(), key=lambda each: (each[0][0] == "ok", -each[1])):
        print(f"{count:5} seed {seeds[kind]}: Linux: {kind[0]} | ours: {kind[1]}")
    sys.stdout.flush()


def _ours(spec: ProgramSpec, maps: dict[str, MapSpec], target: RunningKernel, limit: float) -> tuple[str, str]:
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        verify(spec, maps, HELPERS, target.btf, linux=True)
    except _TooLongError:
        return "no answer in time", ""
    except VerifierError as error:
        return _last(error.log), error.log
    except Exception as error:  # a bug of ours, which the table shows
        return f"BUG {type(error).__name__}: {error}", ""
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return "ok", "ok"


def _theirs(spec: ProgramSpec, maps: dict[str, Map], kernel: LinuxKernel) -> tuple[str, str]:
    try:
        kernel.load_program(spec, maps).close()
    except VerifierError as error:
        return _last(error.log), error.log
    except (StinglessError, OSError, ValueError) as error:
        return f"{type(error).__name__}: {error}".splitlines()[0], str(error)
    return "ok", "ok"


if __name__ == "__main__":
    main()

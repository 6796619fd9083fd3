"""The Linux verifier is the oracle of ours: what ours accepts, Linux accepts, and it runs without a crash."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stingless._gen.uapi import MapType, ProgramType
from stingless.asm.disasm import disassemble
from stingless.asm.instruction import decode
from stingless.embedded.verifier.helpers import SIGNATURES
from stingless.embedded.verifier.verify import verify
from stingless.errors import LoadError, VerifierError
from stingless.kernel import Map
from stingless.linux.kernel import LinuxKernel
from stingless.obj.spec import ProgramSpec
from tests.kernel.verifier_programs import MAPS, TYPES, branchy_program, random_program

HELPERS = frozenset(SIGNATURES)
COUNT = 2000
FIRST = int(os.environ.get("STINGLESS_ORACLE_SEED", "0"))

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="loads programs into the Linux kernel: needs root")


@pytest.fixture
def linux() -> Iterator[LinuxKernel]:
    with LinuxKernel() as kernel:
        yield kernel


def text(spec: ProgramSpec) -> str:
    insns = decode(spec.code)
    return "\n".join(f"{i}: {disassemble(insn)}" for i, insn in enumerate(insns))


@needs_root
@pytest.mark.parametrize(("make", "count"), [(random_program, COUNT), (branchy_program, COUNT // 4)])
def test_linux_accepts_what_we_accept(linux: LinuxKernel, make: Callable[[int], ProgramSpec], count: int) -> None:
    maps: dict[ProgramType, dict[str, Map]] = {}
    shared: dict[str, Map] = {name: linux.create_map(spec) for name, spec in MAPS.items()}
    for type_ in set(TYPES):
        # A program array belongs to the type of the first program that uses it.
        maps[type_] = {**shared, "progs": linux.create_map(MAPS["progs"])}
    accepted = 0
    for seed in range(FIRST, FIRST + count):
        spec = make(seed)
        try:
            verify(spec, MAPS, HELPERS)
        except VerifierError:
            continue
        accepted += 1
        try:
            linux.load_program(spec, maps[spec.type]).close()
        except LoadError as error:
            log = error.log if isinstance(error, VerifierError) else str(error)
            pytest.fail(f"seed {seed}, {spec.type.name}: we accept, Linux does not\n{text(spec)}\n{log[-2000:]}")
    # Programs that are all refused would show nothing.
    assert accepted > count // 8


_RUN = """
import struct, sys
from stingless._gen.uapi import ProgramType
from stingless.embedded.kernel import EmbeddedKernel
from stingless.embedded.programs import PACKET, SUPPORTED
from stingless.errors import VerifierError
from tests.kernel.verifier_programs import MAPS, random_program

first, count = map(int, sys.argv[1:])
ran = 0
with EmbeddedKernel() as kernel:
    maps = {name: kernel.create_map(spec) for name, spec in MAPS.items()}
    for i in range(4):
        maps["array"].update(struct.pack("<I", i), bytes(range(i, 64 + i)))
    for name in ("hash",):
        for key in (0, 1, 3):
            maps[name].update(struct.pack("<Q", key), bytes(range(48)))
    for seed in range(first, first + count):
        spec = random_program(seed)
        if spec.type not in SUPPORTED:
            continue
        try:
            program = kernel.load_program(spec, maps)
        except VerifierError:
            continue
        print(seed, flush=True)
        if spec.type in PACKET:
            for size in (14, 15, 20, 64, 1500):
                program.run(data=bytes(range(1, 15)) + bytes(size - 14))
        else:
            room = 96 if spec.type is ProgramType.RAW_TRACEPOINT else 4096
            program.run(ctx=bytes(i * 7 & 255 for i in range(room)))
        ran += 1
        program.close()
print("ran", ran)
"""


def test_what_we_accept_runs() -> None:
    """In a process of its own: a wild access would end it."""
    pytest.importorskip("stingless.embedded.kernel")
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root / "src"), str(root)])}
    done = subprocess.run(
        [sys.executable, "-c", _RUN, str(FIRST), str(COUNT // 2)],
        env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    last = done.stdout.split("\n")[-3:]
    assert done.returncode == 0, f"exit {done.returncode} after seeds {last}: {done.stderr[-2000:]}"
    assert int(done.stdout.split()[-1]) > COUNT // 20


def test_programs_are_of_every_kind() -> None:
    """The generator makes what the tests above are for."""
    names = {ref.map for seed in range(200) for ref in random_program(seed).map_refs}
    assert names == set(MAPS)
    assert MAPS["ring"].type is MapType.RINGBUF
    assert random_program(7) == random_program(7)

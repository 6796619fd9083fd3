"""CO-RE against libbpf, instruction by instruction."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from stingless.btf.minimal import minimal_btf
from stingless.btf.types import Btf
from stingless.compile import compile_object
from stingless.errors import CompileError
from stingless.obj.reader import read_object
from tests.core_oracle import Libbpf, differences, our_verdicts
from tests.core_random import Pairs
from tests.core_shapes import SHAPES, Shape, types_of

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="libbpf loads programs: needs root"),
    pytest.mark.skipif(
        shutil.which("cc") is None or not Path("/usr/include/bpf/libbpf.h").exists(),
        reason="needs a C compiler and libbpf's headers",
    ),
]


# libbpf gives the whole object up: 1.1 takes an unsigned enum's values for signed, and none poisons an access for being
# too far away.
REFUSED = ("unsigned 32 bits", "enumerator with a flavour", "load too far away")


@pytest.fixture(scope="module")
def libbpf(tmp_path_factory: pytest.TempPathFactory) -> Libbpf:
    return Libbpf(tmp_path_factory.mktemp("libbpf"))


@pytest.mark.parametrize("seed", range(12))
def test_random_types(libbpf: Libbpf, tmp_path: Path, seed: int) -> None:
    path = tmp_path / "object.o"
    while True:
        pairs = Pairs(seed, 12)
        try:
            path.write_bytes(compile_object(pairs.local))
            break
        except CompileError as error:  # a few in a hundred: code generation gives up on some bit-fields
            if "bitfield size greater than record alignment" not in str(error):
                raise
            seed += 1000
    target = types_of(pairs.target)
    theirs, ours = libbpf.verdicts(path, target), our_verdicts(path.read_bytes(), target)
    assert len(theirs) > 100
    assert not differences(theirs, ours), f"seed {seed}"


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_shape(libbpf: Libbpf, tmp_path: Path, shape: Shape) -> None:
    path = tmp_path / "object.o"
    path.write_bytes(shape.object())
    target = shape.target_btf()
    theirs, ours = libbpf.verdicts(path, target), our_verdicts(path.read_bytes(), target)
    if theirs or shape.name not in REFUSED:
        assert theirs == ours


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_libbpf_relocates_alike_against_minimal_btf(libbpf: Libbpf, tmp_path: Path, shape: Shape) -> None:
    path = tmp_path / "object.o"
    path.write_bytes(shape.object())
    target = shape.target_btf()
    small = Btf(minimal_btf([read_object(shape.object())], target))
    assert libbpf.verdicts(path, small) == libbpf.verdicts(path, target)

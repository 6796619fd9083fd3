"""CO-RE: every kind of relocation, every shape of field, and what is refused."""

from __future__ import annotations

import pytest

from stingless.btf.core_patch import POISON
from stingless.obj.reader import read_object
from tests.core_oracle import our_verdicts
from tests.core_shapes import LOCAL_ID, SHAPES, Shape


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_shape(shape: Shape) -> None:
    data = shape.object()
    (verdict,) = our_verdicts(data, shape.target_btf()).values()
    if isinstance(shape.gives, tuple):
        offset, size = shape.gives
        assert (verdict.value, verdict.size or size) == (offset, size)
    elif shape.gives == LOCAL_ID:
        btf = read_object(data).btf
        assert btf is not None
        assert verdict.value == btf["k"].id
    else:
        assert (verdict.value, verdict.size) == (shape.gives, None)


def test_poison_is_the_number_that_reads_bad_relo() -> None:
    assert POISON == 0xBAD2310

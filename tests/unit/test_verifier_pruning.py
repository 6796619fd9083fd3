"""A path is left off only where following it would find nothing: with and without that, the verdict is the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stingless.embedded.verifier.helpers import SIGNATURES
from stingless.embedded.verifier.verify import verify
from stingless.errors import VerifierError
from stingless.obj.spec import ProgramSpec
from tests.kernel.verifier_programs import MAPS, branchy_program, random_program

HELPERS = frozenset(SIGNATURES)

# 403: equal registers, one of which is bounded through the other.  2729: registers that were equal on the first path
# and are not on the second.
SEEDS = [403, 2729, *range(250)]


def verdict(spec: ProgramSpec) -> tuple[str, int]:
    """The reason of the refusal, "" when accepted, and how many instructions were followed."""
    try:
        return "", verify(spec, MAPS, HELPERS).insns_processed
    except VerifierError as error:
        return error.log.splitlines()[-2], 0


@pytest.mark.parametrize("make", [branchy_program, random_program])
def test_pruning_changes_no_verdict(make: Callable[[int], ProgramSpec], monkeypatch: pytest.MonkeyPatch) -> None:
    programs = [make(seed) for seed in SEEDS]
    pruned = [verdict(spec) for spec in programs]
    monkeypatch.setattr("stingless.embedded.verifier.visited.covers", lambda point, state, exact=False: False)
    monkeypatch.setattr("stingless.embedded.verifier.explore.MAX_PROCESSED", 20_000)
    left_off = 0
    for seed, spec, (before, short) in zip(SEEDS, programs, pruned, strict=True):
        if before:
            continue
        full, long = verdict(spec)
        assert not full or "too large" in full, f"seed {seed}: accepted, but a path that was left off fails: {full}"
        left_off += long > short
    assert left_off > len(SEEDS) // 20

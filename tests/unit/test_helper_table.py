"""The table of all helpers: complete, and true of what the runtime has."""

from __future__ import annotations

import pytest

from stingless._gen.helpers import PROTOTYPES, Helper
from stingless._gen.uapi import ProgramType
from stingless.asm.instruction import call, encode, exit_, mov_imm
from stingless.embedded.helpers import supported_helpers, supported_kfuncs
from stingless.embedded.verifier import helper_kinds
from stingless.embedded.verifier.helpers import SIGNATURES
from stingless.embedded.verifier.kfuncs import KFUNCS
from stingless.embedded.verifier.verify import verify
from stingless.errors import VerifierError
from stingless.obj.spec import ProgramSpec

HELPERS = [helper for helper in Helper if helper]
# Helpers whose prototype in bpf.h tells less, or more, than is read.
_OTHER_COUNTS = {Helper.trace_printk: 2}
_NO_RESULT = (Helper.tail_call, Helper.spin_lock, Helper.spin_unlock)
_SIZED = {getattr(helper_kinds, name) for name in ("IN", "OUT", "IN_OUT", "IN_OR_NULL", "OUT_OR_NULL")}


def test_every_helper_has_a_row() -> None:
    assert list(SIGNATURES.keys() ^ set(HELPERS)) == []
    assert len(HELPERS) == 211


@pytest.mark.parametrize("helper", HELPERS, ids=lambda helper: helper.name)
def test_rows_agree_with_the_prototypes(helper: Helper) -> None:
    returns, arguments = PROTOTYPES[helper.name]
    row = SIGNATURES[helper]
    expected = 0 if arguments == "void" else arguments.count(",") + 1
    assert len(row.arguments) == _OTHER_COUNTS.get(helper, expected)
    if row.returns == helper_kinds.NOTHING:
        assert returns == "void" or helper in _NO_RESULT
    pointers = {helper_kinds.NUMBER, helper_kinds.NOTHING, helper_kinds.LENGTH, helper_kinds.PT_REGS}
    assert ("*" in returns) == (row.returns not in pointers)
    for size, before in zip(row.arguments[1:], row.arguments, strict=False):
        if size in (helper_kinds.SIZE, helper_kinds.SIZE_OR_ZERO):
            assert before in _SIZED


def test_the_runtime_has_what_the_table_says() -> None:
    implemented = {number for number, row in SIGNATURES.items() if not row.kernel_only}
    assert {Helper(number).name for number in supported_helpers() ^ implemented} == set()
    assert len(implemented) >= 160


def test_the_verifier_knows_the_runtimes_kfuncs() -> None:
    assert set(supported_kfuncs()) <= set(KFUNCS)
    assert len(set(supported_kfuncs().values())) == len(supported_kfuncs()) >= 85


_LOADED = {ProgramType.KPROBE, ProgramType.SCHED_CLS, ProgramType.SYSCALL}
_ONLY = [helper for helper in HELPERS if SIGNATURES[helper].kernel_only]
_REFUSED = [helper for helper in _ONLY if _LOADED & (SIGNATURES[helper].types or _LOADED)]


@pytest.mark.parametrize("helper", _REFUSED, ids=lambda helper: helper.name)
def test_what_only_a_kernel_has_is_refused_with_the_reason(helper: Helper) -> None:
    row = SIGNATURES[helper]
    type_ = min(_LOADED & (row.types or _LOADED))
    spec = ProgramSpec("p", "s", type_, encode([call(helper), mov_imm(0, 0), exit_()]), license="GPL")
    with pytest.raises(VerifierError, match="meaningful only in a kernel") as caught:
        verify(spec, {}, frozenset(SIGNATURES))
    assert row.kernel_only in caught.value.log

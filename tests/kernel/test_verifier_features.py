"""Callbacks, iterators, dynptrs, locks, timers, references, kernel pointers: Linux's verdict and ours on each."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest

from stingless.compile.plain import compile_text
from stingless.embedded.verifier.helpers import SIGNATURES
from stingless.embedded.verifier.verify import verify
from stingless.errors import LoadError, VerifierError
from stingless.linux.kernel import LinuxKernel
from stingless.obj.reader import read_object
from stingless.obj.spec import ObjectSpec
from stingless.target.running import RunningKernel

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="loads programs into the Linux kernel: needs root")
SOURCE = Path(__file__).with_name("verifier_features.bpf.c")


@cache
def resolved() -> ObjectSpec:
    with LinuxKernel() as kernel:
        return kernel.resolve(read_object(compile_text(SOURCE.read_text(), SOURCE.name)))


def test_verdicts_are_those_of_linux() -> None:
    spec = resolved()
    btf = RunningKernel().btf
    wrong = []
    with LinuxKernel() as kernel:
        maps = {name: kernel.create_map(each) for name, each in spec.maps.items()}
        for name, program in spec.programs.items():
            theirs = ours = "ok"
            try:
                kernel.load_program(program, maps).close()
            except VerifierError as error:
                theirs = error.log.splitlines()[-2] if error.log.count("\n") > 1 else error.log
            except LoadError as error:
                theirs = str(error)
            try:
                verify(program, spec.maps, frozenset(SIGNATURES), btf, linux=True)
            except VerifierError as error:
                ours = error.log.splitlines()[-2]
            if (theirs == "ok", ours == "ok") != (name.startswith("ok_"),) * 2:
                wrong.append(f"{name}\n    Linux: {theirs}\n    ours:  {ours}")
    assert not wrong, "\n".join(wrong)
    assert len(spec.programs) > 70

"""CO-RE at run time on each kernel: the object and the truth are those of tests/kernel/test_core_running.py."""

from __future__ import annotations

from stingless.linux.kernel import LinuxKernel
from tests.core_running import check_reads


def test_types_of_another_kernel() -> None:
    with LinuxKernel() as kernel:
        check_reads(kernel)

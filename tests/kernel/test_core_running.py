"""CO-RE at run time: an object made for other types reads this kernel's."""

from __future__ import annotations

import pytest

from stingless.btf.kernel import VMLINUX
from stingless.linux.kernel import LinuxKernel
from tests.core_running import check_reads
from tests.linux_support import IS_ROOT

pytestmark = [
    pytest.mark.skipif(not IS_ROOT, reason="bpf(2) needs root"),
    pytest.mark.skipif(not VMLINUX.exists(), reason="this kernel has no BTF"),
]


def test_types_of_another_kernel() -> None:
    with LinuxKernel() as kernel:
        check_reads(kernel)

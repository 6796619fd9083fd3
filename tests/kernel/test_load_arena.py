"""Objects with variables in an arena."""

from __future__ import annotations

import pytest

from stingless import NotSupportedError, load
from stingless.compile.plain import compile_text
from stingless.linux.kernel import LinuxKernel
from stingless.obj.reader import read_object
from tests.linux_support import IS_ROOT
from tests.load_support import BARE

pytestmark = pytest.mark.skipif(not IS_ROOT, reason="bpf(2) needs root")

SOURCE = (
    BARE
    + """
#define __arena __attribute__((address_space(1)))
struct { __uint(type, 33); __uint(map_flags, 1 << 10); __uint(max_entries, 10); ADDRESS } arena SEC(".maps");
int __arena first = 5, second = 7; __u64 __arena table[600];
__u64 seen;
SEC("syscall") int probe(void *ctx)
{
    if (!&arena) return 1;
    seen = first * 100 + second;
    second = 8; table[599] = 0x123456789abcULL;
    return 0;
}
"""
)


@pytest.mark.parametrize("address", ["", "__ulong(map_extra, 1ULL << 44);"])
def test_variables_of_an_arena(address: str) -> None:
    """They have their first values when the programs run, and the programs' afterwards."""
    spec = read_object(compile_text(SOURCE.replace("ADDRESS", address), "arena.bpf.c"))
    with LinuxKernel() as kernel:
        try:
            object = load(spec, kernel=kernel, variables={"second": 9})
        except NotSupportedError as error:
            pytest.skip(str(error))
        with object:
            assert (object.variables["first"].value, object.variables["table"].value[599]) == (5, 0)
            assert object.programs["probe"].run(ctx=bytes(8)).retval == 0
            assert object.variables["seen"].value == 509
            assert object.variables["second"].value == 8
            assert object.variables["table"].value[599] == 0x123456789ABC

"""STRUCT_OPS maps and their programs: created and verified here, registered in guests only."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace

import pytest

from stingless._gen.uapi import MapType, ProgramType
from stingless.errors import LoadError, NotSupportedError, ObjectError, UnknownNameError
from stingless.linux.kernel import LinuxKernel
from stingless.linux.struct_ops import struct_bytes
from stingless.obj.spec import MapSpec, StructOpsSpec
from tests.btf_blobs import Blob
from tests.linux_support import IS_ROOT
from tests.load_support import Loaded, compiled

CONGESTION = """
#include <bpf/bpf_tracing.h>
SEC("struct_ops") void BPF_PROG(t_init, struct sock *sk) { }
SEC("struct_ops") __u32 BPF_PROG(t_ssthresh, struct sock *sk) { return 7; }
SEC("struct_ops") __u32 BPF_PROG(t_undo_cwnd, struct sock *sk) { return 10; }
SEC("struct_ops") void BPF_PROG(t_cong_avoid, struct sock *sk, __u32 ack, __u32 acked) { }
/* Members in another order than the kernel's, and one that it does not have. */
struct tcp_congestion_ops___mine {
    __u32 (*ssthresh)(struct sock *sk);
    char name[16];
    __u32 (*undo_cwnd)(struct sock *sk);
    void (*cong_avoid)(struct sock *sk, __u32 ack, __u32 acked);
    void (*init)(struct sock *sk);
    void (*of_a_later_kernel)(struct sock *sk);
};
SEC(".struct_ops.link") struct tcp_congestion_ops___mine calm = {
    .init = (void *)t_init, .ssthresh = (void *)t_ssthresh, .undo_cwnd = (void *)t_undo_cwnd,
    .cong_avoid = (void *)t_cong_avoid, .name = "stingless_calm",
};
"""


@pytest.fixture
def kernel() -> Iterator[LinuxKernel]:
    with LinuxKernel() as k:
        yield k


@pytest.mark.skipif(not IS_ROOT, reason="bpf(2) needs root")
def test_load(kernel: LinuxKernel) -> None:
    loaded = Loaded(kernel, compiled(CONGESTION))
    assert set(loaded.programs) == {"t_init", "t_ssthresh", "t_undo_cwnd", "t_cong_avoid"}
    assert all(p.info.type == ProgramType.STRUCT_OPS for p in loaded.programs.values())
    members = {p.spec.attach_member for p in loaded.programs.values()}
    assert len(members) == 4
    info = loaded.maps["calm"].info
    assert (info.type, info.key_size, info.max_entries) == (MapType.STRUCT_OPS, 4, 1)
    value = loaded.maps["calm"].lookup(bytes(4))
    assert value is not None
    assert len(value) == info.value_size == loaded.maps["calm"].spec.value_size  # the kernel's struct, not the object's


@pytest.mark.skipif(not IS_ROOT, reason="bpf(2) needs root")
def test_a_program_in_no_struct(kernel: LinuxKernel) -> None:
    spec = compiled('SEC("struct_ops/init") int lonely(u64 *ctx) { return 0; }')
    with pytest.raises(LoadError, match="is in no struct"):
        kernel.load_program(spec.programs["lonely"], {})


def layouts() -> tuple[MapSpec, Blob, int]:
    """An object's struct, and the kernel's of that name with its members elsewhere."""
    mine = Blob()
    number, char = mine.integer("int", 4, 1), mine.integer("char", 1, 0)
    function = mine.pointer(mine.proto(0))
    own = mine.struct("ops", 32, [("run", function, 0), ("name", mine.array(char, 8), 8), ("flags", number, 16),
                                  ("extra", number, 20), ("data", mine.pointer(0), 24)])  # fmt: skip
    content = bytes(8) + b"name\0\0\0\0" + struct.pack("<IIQ", 5, 0, 0)
    ops = StructOpsSpec("ops", (("run", "p"),))
    spec = MapSpec("m", MapType.STRUCT_OPS, 4, 32, 1, 0, 0, own, initial=content, struct_ops=ops, btf=mine.btf())
    theirs = Blob()
    number, char = theirs.integer("int", 4, 1), theirs.integer("char", 1, 0)
    function = theirs.pointer(theirs.proto(0))
    other = theirs.struct("ops", 40, [("flags", number, 4), ("name", theirs.array(char, 8), 8), ("run", function, 24),
                                      ("data", function, 32)])  # fmt: skip
    return spec, theirs, other


def test_members_go_by_name() -> None:
    spec, theirs, other = layouts()
    btf = theirs.btf()
    expected = struct.pack("<II8sQQQ", 0, 5, b"name", 0, 9, 0)
    assert struct_bytes(spec, btf, btf.type(other), {"p": 9}) == expected


def test_members_that_do_not_fit() -> None:
    spec, theirs, other = layouts()
    btf = theirs.btf()
    assert spec.initial is not None
    with pytest.raises(UnknownNameError, match="'p'"):
        struct_bytes(spec, btf, btf.type(other), {})
    unknown = replace(spec, initial=spec.initial[:20] + b"\1" + spec.initial[21:])
    with pytest.raises(NotSupportedError, match="'extra'"):
        struct_bytes(unknown, btf, btf.type(other), {"p": 9})
    pointing = replace(spec, initial=spec.initial[:24] + b"\1" + spec.initial[25:])
    with pytest.raises(ObjectError, match=r"'data'.*pointer"):
        struct_bytes(pointing, btf, btf.type(other), {"p": 9})
    wider = Blob()
    wide = wider.struct("ops", 16, [("flags", wider.integer("long", 8, 0), 0), ("run", wider.pointer(0), 8)])
    bare = replace(spec, initial=bytes(16) + spec.initial[16:])
    with pytest.raises(ObjectError, match=r"'flags'.*4 bytes.*8"):
        struct_bytes(bare, wider.btf(), wider.btf().type(wide), {"p": 9})


def test_no_map_of_that_kind() -> None:
    spec = MapSpec("m", MapType.ARRAY, 4, 4, 1)
    with pytest.raises(ObjectError, match="no content"):
        struct_bytes(spec, Blob().btf(), Blob().btf().type(0), {})

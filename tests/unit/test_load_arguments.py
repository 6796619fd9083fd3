"""What `load()` says of wrong arguments, and of things that an object has not."""

from __future__ import annotations

import copy
import gc
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stingless import ClosedError, ObjectError, UnknownNameError, load, open_object
from stingless.embedded.kernel import EmbeddedKernel
from stingless.errors import LoadError
from stingless.object import Object
from tests.leak_checks import open_files

SOURCE = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct event { int pid; };
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } events SEC(".maps");
const volatile __u8 wanted;
int seen;
SEC("xdp") int count(struct xdp_md *ctx) { seen++; return wanted; }
SEC("?xdp/nonsense") int untyped(struct xdp_md *ctx) { return 0; }
char LICENSE[] SEC("license") = "GPL";
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "count.bpf.c"
    path.write_text(SOURCE)
    return path


@pytest.fixture
def kernel() -> Iterator[EmbeddedKernel]:
    with EmbeddedKernel() as kernel:
        yield kernel


@pytest.fixture
def counter(source: Path, kernel: EmbeddedKernel) -> Iterator[Object]:
    with load(source, kernel=kernel) as counter:
        yield counter


@pytest.mark.parametrize(
    ("given", "kind", "told"),
    [
        ({"programs": "count"}, TypeError, r"programs is a list: \['count'\], not 'count'"),
        ({"programs": [3]}, TypeError, "programs: a name is needed, not int 3"),
        ({"cflags": "-DX"}, TypeError, r"cflags is a list: \['-DX'\]"),
        ({"variables": [("seen", 1)]}, TypeError, "variables is a mapping of names, not list"),
        ({"variables": {3: 1}}, TypeError, "variables: a name is needed, not int 3"),
        ({"variables": {"wanted": 256}}, ValueError, "wanted: 256 does not fit in 8 bits"),
        ({"variables": {"sean": 1}}, UnknownNameError, "no variable named 'sean'; the nearest: seen"),
        ({"maps": {"events": None}}, TypeError, r"maps\['events'\] is a map .*, not NoneType None"),
        ({"maps": {"events": "/sys/fs/bpf/events"}}, TypeError, "not str '/sys/fs/bpf/events'"),
        ({"extends": {"cuont": None}}, UnknownNameError, "no program named 'cuont'; the nearest: count"),
        ({"extends": {"count": 3}}, TypeError, r"extends\['count'\] is a loaded program .*, not int 3"),
        (
            {"kernel": "embedded"},
            TypeError,
            r"kernel is a LinuxKernel\(\) or an EmbeddedKernel\(\), not str 'embedded'",
        ),
        ({"btf": 3}, TypeError, "not int"),
        ({"btf": "/etc/passwd"}, ObjectError, "^/etc/passwd: not BTF"),
        ({"btf": "/nowhere"}, FileNotFoundError, "/nowhere"),
        ({"programs": ["untyped"]}, LoadError, "section 'xdp/nonsense' does not tell one.* as 'xdp"),
    ],
)
def test_wrong_arguments(
    given: dict[str, Any], kind: type[Exception], told: str, source: Path, kernel: EmbeddedKernel
) -> None:
    before = open_files()
    with pytest.raises(kind, match=told):
        load(source, **{"kernel": kernel, **given})
    assert open_files() == before


def test_what_is_no_source(source: Path, kernel: EmbeddedKernel, tmp_path: Path) -> None:
    broken = tmp_path / "broken.o"
    broken.write_bytes(b"text")
    with pytest.raises(ObjectError, match=f"^{broken}: not an ELF object"):
        load(broken, kernel=kernel)
    with pytest.raises(ValueError, match="a file's name, not C text"):
        load(SOURCE, kernel=kernel)
    with pytest.raises(ValueError, match="cflags are for C files; the source is a spec already"):
        load(open_object(source), kernel=kernel, cflags=["-DX"])
    with pytest.raises(ValueError, match="cflags are for C files"):
        load(b"\x7fELF", kernel=kernel, cflags=["-DX"])


def test_names_that_an_object_has_not(counter: Object) -> None:
    for things, near in ((counter.programs, "count"), (counter.maps, "events"), (counter.variables, "wanted")):
        with pytest.raises(UnknownNameError, match=f"the nearest: {near}"):
            things[near[:-1]]
        assert things.get("nothing") is None


def test_a_type_that_the_object_has_not(counter: Object) -> None:
    with pytest.raises(UnknownNameError, match="clang leaves out what no variable has"):
        counter.ring_buffer("events", "struct event")


def test_runs_and_attachments(counter: Object) -> None:
    program = counter.programs["count"]
    assert program.run(bytearray(64)).retval == program.run(memoryview(bytes(64))).retval == 0
    wrong: Any = "lo"
    with pytest.raises(TypeError, match="data is bytes, not str 'lo'"):
        program.run(wrong)
    with pytest.raises(TypeError, match=r"an event is needed, such as Xdp\('lo'\)"):
        program.attach(wrong)
    for repeat in (-1, 1 << 32):
        with pytest.raises(ValueError, match=f"repeat is {repeat}"):
            program.run(bytes(64), repeat=repeat)
    counter.close()
    with pytest.raises(ClosedError, match="program 'count' is closed"):
        _ = program.info


def test_a_ring_that_another_thread_closes(counter: Object, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = counter.ring_buffer("events", bytes)
    check = ring._check

    def close_after_the_check() -> None:
        check()
        monkeypatch.undo()
        ring.close()

    events = iter(ring)
    monkeypatch.setattr(ring, "_check", close_after_the_check)
    assert list(events) == []


def test_specs_print_and_copy(source: Path) -> None:
    spec = open_object(source)
    lines = repr(spec).splitlines()
    assert "  MapSpec(name='events', type=RINGBUF, key_size=0, value_size=0, max_entries=4096)," in lines
    assert max(map(len, lines)) < 200
    assert copy.deepcopy(spec) == spec


def test_types_are_not_kept_by_their_values(source: Path) -> None:
    spec = open_object(source)
    assert spec.variables["seen"].value == 0
    types = weakref.ref(spec.btf)
    del spec
    gc.collect()
    assert types() is None

"""What `load()` promises, on the kernel that a subclass gives."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from stingless import ClosedError, CompileError, UnknownNameError, VerifierError, load, open_object
from stingless.attach import NotBySectionError
from stingless.events import Xdp
from stingless.kernel import Kernel
from stingless.maps import QueueMap
from stingless.object import Object
from tests.leak_checks import open_files

SOURCE = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct event { __u32 size; __u16 port; char name[10]; };
struct flow { __u32 source, target; };
struct traffic { __u64 packets, bytes; };

struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } events SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, struct flow);
	__type(value, struct traffic);
} flows SEC(".maps");

const volatile __u16 wanted_port = 53;
__u64 seen;
const struct event *event_type;

SEC("xdp")
int count(struct xdp_md *ctx)
{
	struct flow flow = {1, 2};
	struct traffic first = {1, 64}, *known;
	struct event *e;

	seen++;
	known = bpf_map_lookup_elem(&flows, &flow);
	if (known)
		known->packets++, known->bytes += 64;
	else
		bpf_map_update_elem(&flows, &flow, &first, BPF_ANY);
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e)
		return XDP_DROP;
	e->size = 64;
	e->port = wanted_port;
	__builtin_memcpy(e->name, "count", 6);
	__builtin_memset(e->name + 6, 0, 4);
	bpf_ringbuf_submit(e, 0);
	return XDP_PASS;
}

SEC("?xdp")
int spare(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
"""
BROKEN = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int reads_beyond(struct xdp_md *ctx)
{
	char *data = (char *)(long)ctx->data;
	return data[3];
}
"""
PACKET = bytes(64)


class ObjectChecks:
    def make(self) -> Kernel:
        raise NotImplementedError  # each kernel is made in its own way

    @pytest.fixture
    def kernel(self) -> Iterator[Kernel]:
        kernel = self.make()
        yield kernel
        kernel.close()

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        path = tmp_path / "count.bpf.c"
        path.write_text(SOURCE)
        return path

    @pytest.fixture
    def counter(self, kernel: Kernel, source: Path) -> Iterator[Object]:
        with load(source, kernel=kernel) as counter:
            yield counter

    def test_programs_maps_variables_and_events(self, counter: Object) -> None:
        program = counter.programs["count"]
        with counter.ring_buffer("events", "struct event") as ring:
            assert [program.run(PACKET).retval for _ in range(3)] == [2, 2, 2]
            events = ring.drain()
        assert events["port"].tolist() == [53, 53, 53]
        assert events["name"][0] == b"count"
        assert counter.variables["seen"].value == 3
        flows = dict(counter.map("flows"))
        ((flow, traffic),) = flows.items()
        assert (flow.source, flow.target) == (1, 2)
        assert (traffic.packets, traffic.bytes) == (3, 192)

    def test_variables_are_set_before_the_load_and_after(self, kernel: Kernel, source: Path) -> None:
        spec = open_object(source)
        spec.variables["seen"].value = 10
        with load(spec, kernel=kernel, variables={"wanted_port": 443}) as counter:
            ring = counter.ring_buffer("events", "struct event")
            counter.programs["count"].run(PACKET)
            assert counter.variables["seen"].value == 11
            assert next(iter(ring)).port == 443
            counter.variables["seen"].value = 100
            counter.programs["count"].run(PACKET)
            assert counter.variables["seen"].value == 101
            with pytest.raises(OSError, match="before the load"):
                counter.variables["wanted_port"].value = 80
        assert spec.variables["wanted_port"].value == 53  # load() copies what it is given

    def test_lost_records_are_counted(self, counter: Object) -> None:
        with counter.ring_buffer("events", "struct event", gaps=True) as ring:
            verdicts = [counter.programs["count"].run(PACKET).retval for _ in range(400)]
            lost = verdicts.count(1)
            assert lost > 0
            assert len(ring.drain()) == 400 - lost
            assert ring.statistics().lost == lost

    def test_programs_are_chosen(self, kernel: Kernel, source: Path) -> None:
        with load(source, kernel=kernel) as usual:
            assert set(usual.programs) == {"count"}
        with load(source, kernel=kernel, programs=["spare"]) as chosen:
            assert set(chosen.programs) == {"spare"}
            assert chosen.programs["spare"].run(PACKET).retval == 2
        with pytest.raises(UnknownNameError, match="no program named 'cuont'; the nearest: count"):
            load(source, kernel=kernel, programs=["cuont"])

    def test_a_map_is_shared(self, kernel: Kernel, source: Path) -> None:
        with (
            load(source, kernel=kernel) as one,
            load(source, kernel=kernel, maps={"flows": one.maps["flows"]}) as other,
        ):
            one.programs["count"].run(PACKET)
            other.programs["count"].run(PACKET)
            other.close()
            assert [t.packets for t in one.maps["flows"].values()] == [2]
        with pytest.raises(UnknownNameError, match="no map named 'flow'"):
            load(source, kernel=kernel, maps={"flow": one.maps["flows"]})

    def test_a_map_of_another_kind(self, counter: Object) -> None:
        with pytest.raises(TypeError, match="map 'flows' is a HashMap, not a QueueMap"):
            counter.map("flows", QueueMap)
        with pytest.raises(UnknownNameError, match="no map named 'flaws'; the nearest: flows"):
            counter.map("flaws")

    def test_info_of_a_program(self, counter: Object) -> None:
        info = counter.programs["count"].info
        assert info.name == "count"
        assert info.translated
        assert info.verified_insns > 0

    def test_where_to_attach_is_missing(self, counter: Object) -> None:
        program = counter.programs["count"]
        with pytest.raises(NotBySectionError, match="interface="):
            program.attach()
        with pytest.raises(TypeError, match="not both"):
            program.attach(Xdp("lo"), interface="lo")
        assert counter.attach() == []

    def test_what_the_verifier_refuses_ends_on_the_users_line(
        self, kernel: Kernel, source: Path, tmp_path: Path
    ) -> None:
        path = tmp_path / "broken.bpf.c"
        path.write_text(BROKEN)
        load(source, kernel=kernel).close()  # the kernel object keeps the BTF of the last object
        before = open_files()
        with pytest.raises(VerifierError) as refused:
            load(path, kernel=kernel)
        assert refused.value.source.endswith("broken.bpf.c:9: return data[3];")
        assert refused.value.log
        del refused
        gc.collect()
        assert open_files() == before

    def test_c_that_does_not_compile(self, kernel: Kernel, tmp_path: Path) -> None:
        path = tmp_path / "typo.bpf.c"
        path.write_text(SOURCE.replace("seen++", "sean++"))
        with pytest.raises(CompileError) as refused:
            load(path, kernel=kernel)
        assert refused.value.diagnostics[0].source.strip() == "sean++;"

    def test_nothing_stays_open(self, kernel: Kernel, source: Path) -> None:
        counts = []
        for _ in range(6):
            with load(source, kernel=kernel) as counter:
                counter.ring_buffer("events", "struct event").drain()
                counter.programs["count"].run(PACKET)
                counter.variables["seen"].value += 1
            counter.close()
            gc.collect()
            counts.append(open_files())
        assert counts[1:] == counts[:1] * 5
        with pytest.raises(ClosedError):
            counter.ring_buffer("events")
        with pytest.raises(ClosedError):
            counter.maps["flows"].clear()

    def test_a_forgotten_object_is_told_with_its_place(self, kernel: Kernel, source: Path) -> None:
        load(source, kernel=kernel).close()
        before = open_files()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            forgotten = load(source, kernel=kernel)
            assert open_files() > before or kernel.name == "embedded"
            del forgotten
            gc.collect()
        assert open_files() == before
        (warning,) = caught
        assert warning.category is ResourceWarning
        assert f"{__file__}:" in str(warning.message)

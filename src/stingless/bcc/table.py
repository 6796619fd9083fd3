"""bcc.table: the classes of tables and the numbers of map types, under bcc's names."""

from __future__ import annotations

from typing import Any

from stingless._gen.uapi import MapType
from stingless.bcc.tables.arrays import Array as Array
from stingless.bcc.tables.arrays import ArrayBase as ArrayBase
from stingless.bcc.tables.base import TableBase as TableBase
from stingless.bcc.tables.base import opened
from stingless.bcc.tables.hashes import HashTable as HashTable
from stingless.bcc.tables.hashes import LpmTrie as LpmTrie
from stingless.bcc.tables.hashes import LruHash as LruHash
from stingless.bcc.tables.histograms import linear_index_max as linear_index_max
from stingless.bcc.tables.histograms import log2_index_max as log2_index_max
from stingless.bcc.tables.histograms import print_json as _print_json_hist
from stingless.bcc.tables.histograms import print_linear as _print_linear_hist
from stingless.bcc.tables.histograms import print_log2 as _print_log2_hist
from stingless.bcc.tables.histograms import stars as _stars
from stingless.bcc.tables.histograms import stars_max as stars_max
from stingless.bcc.tables.make import make_table
from stingless.bcc.tables.objects import CgroupArray as CgroupArray
from stingless.bcc.tables.objects import CpuMap as CpuMap
from stingless.bcc.tables.objects import DevMap as DevMap
from stingless.bcc.tables.objects import MapInMapArray as MapInMapArray
from stingless.bcc.tables.objects import MapInMapHash as MapInMapHash
from stingless.bcc.tables.objects import ProgArray as ProgArray
from stingless.bcc.tables.objects import XskMap as XskMap
from stingless.bcc.tables.percpu import LruPerCpuHash as LruPerCpuHash
from stingless.bcc.tables.percpu import PerCpuArray as PerCpuArray
from stingless.bcc.tables.percpu import PerCpuHash as PerCpuHash
from stingless.bcc.tables.perf import PerfEventArray as PerfEventArray
from stingless.bcc.tables.queues import QueueStack as QueueStack
from stingless.bcc.tables.ring import RingBuf as RingBuf
from stingless.bcc.tables.stacks import StackTrace as StackTrace

_HELPERS = (_print_json_hist, _print_linear_hist, _print_log2_hist, _stars)

# By all names: the kernel deprecated one of CGROUP_STORAGE's.
map_type_name = {
    int(kind): name for name, kind in MapType.__members__.items() if kind and not name.endswith("_DEPRECATED")
}
globals().update({f"BPF_MAP_TYPE_{name}": number for number, name in map_type_name.items()})


def __getattr__(name: str) -> int:
    raise AttributeError(f"module 'bcc.table' has no attribute {name!r}")  # the numbers above are there


def get_table_type_name(ttype: int) -> str:
    """The name of a map type: "HASH" for 1."""
    return map_type_name.get(ttype, "<unknown>")


def Table(
    bpf: Any,
    map_id: int | None,
    map_fd: int,
    keytype: Any,
    leaftype: Any,
    name: str | bytes | None = None,
    *,
    reducer: Any = None,
) -> Any:
    """The table of the map with that descriptor, of the class for its type."""
    return make_table(bpf, opened(map_fd), keytype, leaftype, reducer, name=name, map_id=map_id)

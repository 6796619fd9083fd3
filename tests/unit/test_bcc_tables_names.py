"""bcc.table has what scripts import from it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from stingless.bcc import table

BCC = Path("/usr/lib/python3/dist-packages/bcc/table.py")


def test_classes() -> None:
    assert issubclass(table.LruPerCpuHash, table.PerCpuHash) and issubclass(table.PerCpuHash, table.HashTable)
    assert issubclass(table.PerCpuArray, table.ArrayBase) and issubclass(table.PerfEventArray, table.ArrayBase)
    assert issubclass(table.RingBuf, table.TableBase) and not issubclass(table.QueueStack, table.TableBase)
    assert (table.log2_index_max, table.linear_index_max, table.stars_max) == (65, 1025, 40)
    assert (table.BPF_MAP_TYPE_HASH, table.BPF_MAP_TYPE_RINGBUF, table.BPF_MAP_TYPE_TASK_STORAGE) == (1, 27, 29)
    assert (table.get_table_type_name(6), table.get_table_type_name(999)) == ("PERCPU_ARRAY", "<unknown>")


@pytest.mark.skipif(not BCC.exists(), reason="python3-bpfcc is not installed")
def test_as_many_names_as_bcc() -> None:
    """All its constants, with their values, and all its public classes with their public methods."""
    checked = 0
    for node in ast.parse(BCC.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if isinstance(node.value, ast.Constant):
                assert getattr(table, name) == node.value.value, name
                checked += 1
        elif isinstance(node, ast.ClassDef) and node.name != "FileDesc":  # a helper of bcc's own
            cls = getattr(table, node.name)
            methods = [each.name for each in node.body if isinstance(each, ast.FunctionDef)]
            missing = [name for name in methods if not name.startswith("_") and not hasattr(cls, name)]
            assert missing == (["decode_c_struct"] if node.name == "TableBase" else []), node.name
            checked += 1
    assert checked > 50

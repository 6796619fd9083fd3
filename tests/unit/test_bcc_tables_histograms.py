"""Histograms: their form, and the same bytes as real bcc prints for the same tables."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import stingless
from stingless.bcc.table import TableBase
from stingless.bcc.tables.histograms import stars

PYTHON = "/usr/bin/python3"
BCC = Path("/usr/lib/python3/dist-packages/bcc/table.py")

# Runs under both, and prints many histograms.
SCRIPT = r"""
import ctypes as ct, random, sys
if sys.argv[1] == "ours":
    from stingless.bcc.table import TableBase
    import stingless.bcc.tables.histograms as module
else:
    import bcc.table as module
    from bcc.table import TableBase
module.strftime = lambda form: form

class Table(TableBase):
    def __init__(self, Key, pairs):
        self.Key, self.pairs = Key, pairs
    def items(self):
        return self.pairs
    def __len__(self):
        return len(self.pairs)

class Plain(ct.Structure):
    _fields_ = [("section", ct.c_ulonglong), ("slot", ct.c_ulonglong)]
class Padded(ct.Structure):
    _pack_ = 1
    _fields_ = [("section", ct.c_uint), ("__pad_1", ct.c_char * 4), ("slot", ct.c_ulonglong)]
class Text(ct.Structure):
    _fields_ = [("section", ct.c_char * 16), ("slot", ct.c_uint)]
class Two(ct.Structure):
    _fields_ = [("a", ct.c_ulonglong), ("b", ct.c_ulonglong)]
class Nested(ct.Structure):
    _fields_ = [("section", Two), ("slot", ct.c_ulonglong)]

def both(key, pairs, *arguments, **named):
    table = Table(key, pairs)
    for verb in ("log2", "linear", "json"):
        print("==", verb, arguments[:2], sorted(named))
        if verb == "json":
            named.pop("strip_leading_zero", None)
        getattr(table, "print_%s_hist" % verb)(*arguments, **named)

dice = random.Random(7)
def counts(slots, most):
    return [(slot, dice.choice([0, 0, 1, dice.randrange(most)])) for slot in range(slots) if dice.random() < 0.7]

for slots in (1, 2, 5, 20, 32, 33, 34, 40, 64, 65):
    for most in (2, 30, 1000, 1 << 40):
        pairs = [(ct.c_int(slot), ct.c_ulonglong(count)) for slot, count in counts(slots, most)]
        both(ct.c_int, pairs)
        both(ct.c_int, pairs, "usecs", strip_leading_zero=True)
        both(ct.c_int, pairs, "a long name of the numbers, longer than its column", strip_leading_zero=False)
both(ct.c_int, [])
both(ct.c_int, [(ct.c_int(0), ct.c_ulonglong(5))])
pairs = [(ct.c_int(slot), ct.c_ulonglong(count)) for slot, count in counts(1025, 50)]
Table(ct.c_int, pairs).print_linear_hist("pages")

for key in (Plain, Padded):
    pairs = [(key(section=s, slot=slot), ct.c_ulonglong(n)) for s in (9, 3, 5) for slot, n in counts(40, 99)]
    both(key, pairs, "usecs", "pid")
    both(key, pairs, "usecs", "pid", lambda pid: "<%d>" % pid)
    both(key, pairs, "usecs", "pid", section_print_fn=hex, bucket_fn=lambda pid: pid // 4, bucket_sort_fn=sorted)
    both(key, pairs, strip_leading_zero=True, bucket_sort_fn=lambda found: sorted(found, reverse=True))
pairs = [(Text(s, slot), ct.c_ulonglong(n)) for s in (b"read", b"write") for slot, n in counts(20, 9)]
both(Text, pairs, "usecs", "operation")
both(Text, pairs, "usecs", "operation", bytes.decode)
pairs = [(Nested((a, b), slot), ct.c_ulonglong(n)) for a in (1, 2) for b in (8, 7) for slot, n in counts(9, 9)]
both(Nested, pairs, "size", "k_1 & k_2", section_print_fn=lambda found: "%3d %d" % found,
     bucket_fn=lambda found: (found.a, found.b), bucket_sort_fn=sorted)
"""


def printed(python: str, which: str) -> bytes:
    environment = os.environ | {"PYTHONPATH": str(Path(stingless.__file__).parent.parent) if which == "ours" else ""}
    command = [python, "-c", SCRIPT, which]
    return subprocess.run(command, env=environment, capture_output=True, check=True).stdout


@pytest.mark.skipif(not BCC.exists(), reason="python3-bpfcc is not installed")
def test_same_bytes_as_bcc() -> None:
    ours, theirs = printed(sys.executable, "ours"), printed(PYTHON, "bcc")
    assert len(theirs) > 100_000
    assert ours == theirs


class Made(TableBase):
    def __init__(self, key: Any, pairs: list[tuple[Any, int]]) -> None:
        self.Key, self.pairs = key, pairs

    def items(self) -> Any:
        return [(key, ctypes.c_ulonglong(count)) for key, count in self.pairs]


def test_log2(capsys: pytest.CaptureFixture[str]) -> None:
    Made(ctypes.c_int, [(ctypes.c_int(slot), count) for slot, count in ((1, 3), (3, 211), (8, 800))]).print_log2_hist(
        "kbytes"
    )
    assert capsys.readouterr().out == (
        "     kbytes              : count     distribution\n"
        "         0 -> 1          : 3        |                                        |\n"
        "         2 -> 3          : 0        |                                        |\n"
        "         4 -> 7          : 211      |**********                              |\n"
        "         8 -> 15         : 0        |                                        |\n"
        "        16 -> 31         : 0        |                                        |\n"
        "        32 -> 63         : 0        |                                        |\n"
        "        64 -> 127        : 0        |                                        |\n"
        "       128 -> 255        : 800      |****************************************|\n"
    )


def test_wide_log2(capsys: pytest.CaptureFixture[str]) -> None:
    Made(ctypes.c_int, [(ctypes.c_int(33), 2)]).print_log2_hist(strip_leading_zero=True)
    assert capsys.readouterr().out == (
        "               value                         : count     distribution\n"
        "          4294967296 -> 8589934591           : 2        |********************|\n"
    )


def test_linear(capsys: pytest.CaptureFixture[str]) -> None:
    Made(ctypes.c_int, [(ctypes.c_int(1), 3), (ctypes.c_int(2), 19)]).print_linear_hist()
    assert capsys.readouterr().out == (
        "     value         : count     distribution\n"
        "        0          : 0        |                                        |\n"
        "        1          : 3        |******                                  |\n"
        "        2          : 19       |****************************************|\n"
    )


@pytest.mark.parametrize(("slot", "verb"), [(65, "log2"), (1025, "linear"), (-1, "log2"), (65, "json")])
def test_slots_out_of_range(slot: int, verb: str) -> None:
    table = Made(ctypes.c_int, [(ctypes.c_int(slot), 1)])
    with pytest.raises(IndexError, match=f"slot {slot} of the histogram"):
        getattr(table, f"print_{verb}_hist")()


def test_linear_sections_have_all_slots(capsys: pytest.CaptureFixture[str]) -> None:
    class Key(ctypes.Structure):
        _fields_ = (("cpu", ctypes.c_int), ("slot", ctypes.c_int))

    Made(Key, [(Key(1, 100), 1)]).print_linear_hist("runqlen", "cpu", strip_leading_zero=True)
    assert capsys.readouterr().out.splitlines()[1:] == [
        "cpu = 1",
        "     runqlen       : count     distribution",
        f"        100        : 1        |{'*' * 40}|",
    ]


def test_bar_above_its_column() -> None:
    assert stars(5, 10, 8) == "****"
    assert stars(11, 10, 8) == "*******+"

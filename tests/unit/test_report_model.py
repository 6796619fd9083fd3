"""The data and the text of the HTML report, without a browser."""

from __future__ import annotations

import json
import re

import pytest

from stingless.report.model import data
from stingless.report.operands import operands
from stingless.report.page import page
from tests.report_walks import FILE, NASTY, accepted, refused


@pytest.mark.parametrize(
    ("text", "reads", "sets", "target"),
    [
        ("r1 = 1", "", "R1", -1),
        ("w1 += w2", "R1 R2", "R1", -1),
        ("r3 <<= 32", "R3", "R3", -1),
        ("r3 s>>= 32", "R3", "R3", -1),
        ("r1 = -r1", "R1", "R1", -1),
        ("r2 = (s8)r4", "R4", "R2", -1),
        ("r0 = *(u64 *)(r1 +8)", "R1", "R0", -1),
        ("r0 = *(u32 *)(r10 -12)", "R10 fp-16", "R0", -1),
        ("*(u64 *)(r10 -8) = r1", "R10 R1", "fp-8", -1),
        ("*(u32 *)(r10 - 4) = 0", "R10", "fp-8", -1),
        ("*(u64 *)(r6 +0) = r1", "R6 R1", "", -1),
        ("lock *(u64 *)(r0 +0) += r1", "R0 R1", "", -1),
        ("if r1 == 0x0 goto pc+5", "R1", "", 16),
        ("if w1 s> w10 goto pc-3", "R1 R10", "", 8),
        ("goto pc-11", "", "", 0),
        ("may_goto pc+1", "", "", 12),
        ("call pc+7", "R1 R2 R3 R4 R5", "", 18),
        ("call bpf_map_lookup_elem#1", "R1 R2 R3 R4 R5", "R0 R1 R2 R3 R4 R5", -1),
        ("exit", "R0", "", -1),
        ("r1 = 0xffff88810439e400", "", "R1", -1),
    ],
)
def test_report_operands(text: str, reads: str, sets: str, target: int) -> None:
    found = operands(10, text)
    assert (" ".join(found.reads), " ".join(found.sets), found.target) == (reads, sets, target)


def test_report_data_has_only_what_changed() -> None:
    made = data(refused())
    assert made["steps"][0] == [0, -1, 0, {"R1": "ctx()", "R10": "fp0"}]
    assert made["steps"][1] == [1, 0, 0, {"R6": "ctx()"}]
    assert made["steps"][8] == [6, 7, 0, {"R0": "map_value_or_null(id=1,map=counts,ks=4,vs=8)", "R1": None}]
    assert made["source"][0] == [FILE, 0, ""]
    row = made["insns"][3][2]
    assert made["source"][row] == [FILE, 12, f"loop(); // {NASTY}"]


def test_report_data_of_two_paths() -> None:
    made = data(accepted())
    assert made["steps"][4] == [3, 1, 0, {"R1": "0"}]  # against the branch, not against the step before it
    assert made["source"] == [] and made["insns"][0][2] == -1


def test_report_text_is_escaped() -> None:
    text = page(NASTY, [refused(name=NASTY)])
    assert NASTY not in text and text.count("</script>") == 2  # the data's and the script's own
    block = re.search(r'<script type="application/json"[^>]*>(.*?)</script>', text)
    assert block is not None
    assert json.loads(block[1])["name"] == NASTY


def test_report_asks_for_nothing_outside() -> None:
    text = page("x", [refused()])
    assert "default-src 'none'" in text
    assert re.findall(
        r'\b(?:src|href|url)\b[=(]"?([^">]*)', re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    ) == ["data:,"]


def test_report_needs_a_program() -> None:
    with pytest.raises(ValueError, match="at least one program"):
        page("x", [])

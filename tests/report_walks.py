"""Walks of a verifier, made up for tests of the report."""

from __future__ import annotations

from stingless.report.model import Place, Reason, Step, Walk

FILE = "/home/someone/prog.bpf.c"
NASTY = "</script><img src=x onerror=document.title='run'><b>"
_INSNS = {
    0: "r6 = r1",
    1: "*(u64 *)(r10 -8) = r6",
    2: "r0 = 0",
    3: "r0 += 1",
    4: "if r0 != 0xc8 goto pc-2",
    5: "call bpf_map_lookup_elem#1",
    6: "r1 = *(u64 *)(r0 +0)",
    7: "exit",
}
_LINES = {0: 10, 1: 11, 2: 12, 3: 12, 4: 12, 5: 13, 6: 14, 7: 15}


def refused(steps: int = 9, name: str = "count") -> Walk:
    """A loop of two instructions, then a lookup whose result is not checked: `steps` steps (odd, at least 7)."""
    walk: list[Step] = []
    state = {"R1": "ctx()", "R10": "fp0"}
    rounds = (steps - 5) // 2
    for insn in [0, 1, 2, *[3, 4] * rounds, 5, 6]:
        walk.append(Step(insn, len(walk) - 1, state))
        state = dict(state)
        if insn == 0:
            state["R6"] = "ctx()"
        elif insn == 1:
            state["fp-8"] = "ctx()"
        elif insn in (2, 3):
            state["R0"] = str(int(state.get("R0", -1)) + 1)
        elif insn == 5:
            state["R0"] = "map_value_or_null(id=1,map=counts,ks=4,vs=8)"
            del state["R1"]
    reason = Reason(
        f"R0 may be NULL {NASTY}",
        Place(FILE, 14, 6),
        [("R0 comes from bpf_map_lookup_elem", Place(FILE, 13, 5))],
        hint="check it before it is used",
        edit=[(" ", "value = lookup();"), ("+", "if (!value) return 0;")],
    )
    source = {(FILE, line): f"statement({line});" for line in range(1, 40)} | {(FILE, 12): f"loop(); // {NASTY}"}
    lines = {insn: (FILE, line) for insn, line in _LINES.items()}
    return Walk(
        name,
        "Linux 6.18",
        False,
        "R0 invalid mem access 'map_value_or_null'",
        _INSNS,
        lines,
        source,
        walk,
        range(len(walk)),
        [("instructions processed", str(len(walk)))],
        reason,
    )


def accepted() -> Walk:
    """Two branches, none of them failing: the second step's instruction is where both paths part."""
    insns = {0: "r0 = 0", 1: "if r1 == 0x0 goto pc+1", 2: "r0 = 1", 3: "exit"}
    steps = [
        Step(0, -1, {"R1": "scalar()"}),
        Step(1, 0, {"R0": "0", "R1": "scalar()"}),
        Step(2, 1, {"R0": "0", "R1": "scalar(umin=1)"}),
        Step(3, 2, {"R0": "1", "R1": "scalar(umin=1)"}),
        Step(3, 1, {"R0": "0", "R1": "0"}),
    ]
    return Walk("pass", "embedded", True, "", insns, {}, {}, steps)

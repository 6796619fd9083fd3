"""Programs in bcc's dialect that count, for this process alone, how often they ran."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stingless import BPF

MINE = "if ((bpf_get_current_pid_tgid() >> 32) != ME) return 0;"
COUNT = f"""
BPF_ARRAY(n, u64, 4);
static inline void count(int k) {{ u64 *v = n.lookup(&k); if (v) __sync_fetch_and_add(v, 1); }}
int f(struct pt_regs *ctx) {{ {MINE} count(0); return 0; }}
int g(struct pt_regs *ctx) {{ {MINE} count(1); return 0; }}
"""


@contextmanager
def bpf(text: str, me: int | None = None, **others: Any) -> Iterator[BPF]:
    """`ME` in the text is the process `me`, or this one."""
    b = BPF(text=text.replace("ME", str(me or os.getpid())), **others)
    try:
        yield b
    finally:
        b.cleanup()


def counts(b: BPF) -> list[int]:
    return [value.value for value in b["n"].values()]

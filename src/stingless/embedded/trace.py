"""Records of runs, one an instruction, as NumPy arrays."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

STEP: Final = np.dtype(
    [("program", "<u8"), ("insn", "<u4"), ("depth", "<u4"), ("registers", "<u8", (11,))]  # struct st_step
)
"""One instruction, before it is executed: the address of the program (another after a tail call), the index of the
instruction, how many functions wait for the one that it is in, and R0 to R10."""


def steps(records: bytes) -> NDArray[Any]:
    return np.frombuffer(records, STEP)

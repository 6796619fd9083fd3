"""The verifier's own way out: raised at the refused instruction, turned into a `VerifierError` by `verify()`."""

from __future__ import annotations

import errno


class Rejected(Exception):
    """The program is refused.  `text` is the end of the log: one or more lines, worded as Linux words them.
    `insn` is the refused instruction (None: the one being verified)."""

    def __init__(self, text: str, errno: int = errno.EACCES, insn: int | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.errno = errno
        self.insn = insn


def malformed(text: str, insn: int | None = None) -> Rejected:
    """A refusal of the program's form, for which Linux returns EINVAL."""
    return Rejected(text, errno.EINVAL, insn)


def unsupported(what: str) -> Rejected:
    """A refusal of what Linux may allow and this verifier does not follow."""
    return Rejected(f"{what} not supported yet by the embedded kernel", errno.EOPNOTSUPP)

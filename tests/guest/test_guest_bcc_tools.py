"""Debian's bcc tools as they are, on a kernel with kprobes: what they say of a workload is as their manuals show."""

from __future__ import annotations

import pytest

from benchmarks.bcc_tools import DEBIAN, load_tools, run

TOOLS, _ = load_tools()
pytestmark = pytest.mark.skipif(
    not (DEBIAN / "opensnoop-bpfcc").exists(), reason="no /usr/sbin/opensnoop-bpfcc: apt-get install bpfcc-tools"
)


@pytest.mark.parametrize(
    "name",
    (
        *("opensnoop", "execsnoop", "exitsnoop", "killsnoop", "mountsnoop", "capable", "filelife"),
        *("bindsnoop", "tcpconnect", "tcplife", "gethostlatency", "funclatency", "trace", "argdist"),
    ),
)
def test_tool(name: str) -> None:
    said = run(TOOLS[name], "stingless", DEBIAN, host=False)
    assert not said.missing, f"ended: {said.ended}, status {said.status}\n{said.out}\n{said.err}"
    assert said.ended in ("ctrl-c", "itself")
    assert "Traceback" not in said.err

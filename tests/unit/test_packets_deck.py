"""The packet examples on the embedded kernel: real packets, no privileges."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab_checks import USERS, run_script

DECK = Path(__file__).parents[2] / "examples" / "deck"

SAYS = {
    "drop": """\
before: got through (ping: answered)
with the program: dropped (ping: answered)
after: got through (ping: answered)
""",
    "socket_filter": """\
UDP datagram of 5 bytes: hello
UDP datagram of 3 bytes: bye
""",
    "xdp": """\
PROTOCOL   PACKETS
ICMP       1
TCP        3
UDP        3
""",
}


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("name", SAYS)
def test_example(name: str, user: str) -> None:
    assert run_script(DECK / f"{name}.py", user, "embedded").startswith(SAYS[name])

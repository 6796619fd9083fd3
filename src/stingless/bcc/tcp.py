"""TCP's states and flags by name, as bcc's tools print them."""

from __future__ import annotations

# net/tcp_states.h, from 1 on.
_STATES = (
    *("ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT"),
    *("CLOSE", "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING", "NEW_SYN_RECV"),
)
tcpstate = dict(enumerate(_STATES, 1))

# The flags of a TCP header, from bit 0 on.
_FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR")
TCPHDR_FIN, TCPHDR_SYN, TCPHDR_RST, TCPHDR_PSH, TCPHDR_ACK, TCPHDR_URG, TCPHDR_ECE, TCPHDR_CWR = (
    1 << bit for bit in range(8)
)


def state2str(state: int) -> str:
    """ "ESTABLISHED" and the like, and the number of one that has no name."""
    return tcpstate.get(state, str(state))


def flags2str(flags: int) -> str:
    """ "SYN|ACK" and the like."""
    return "|".join(name for bit, name in enumerate(_FLAGS) if flags >> bit & 1)

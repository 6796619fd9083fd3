"""Frames as they come, of an interface and of a TAP device, in a network namespace of the test's own."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import tempfile
import threading
import time
from pathlib import Path

import pytest

from stingless._sys.rtnetlink import Rtnetlink
from stingless.cli import main
from stingless.embedded.sources import live
from stingless.embedded.sources.pcap import read
from stingless.errors import UnknownNameError
from stingless.testing import net
from tests.helper_programs import HEAD
from tests.lab_checks import run_check

ANSWER = """
SEC("xdp") int prog(struct xdp_md *ctx) {
    unsigned char *data = (void *)(long)ctx->data;
    if (data + 43 > (void *)(long)ctx->data_end || data[12] != 8 || data[23] != 17) return 1;
    data[42] = 'T';
    return 3;
}
"""


def _send(index: int) -> None:
    with Rtnetlink() as netlink:
        netlink.add_address(index, "10.77.0.1", 24)
        netlink.add_neighbour(index, "10.77.0.2", b"\x02\0\0\0\0\x09")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"hello", ("10.77.0.2", 99))


def check_tap_and_interface() -> None:
    with net.lab(), live.Tap("tap9") as tap, live.Interface("tap9") as watch:
        _send(tap.index)
        frames = [frame for frame in tap.frames(seconds=1) if frame.data[-5:] == b"hello"]
        assert len(frames) == 1 and frames[0].length == len(frames[0].data)
        tap.send(frames[0].data[:-5] + b"again")
        seen = [frame.data[-5:] for frame in watch.frames(seconds=0.3)]
        assert b"hello" in seen and b"again" in seen
        assert list(tap.frames(count=0)) == []
        tap.close()
        assert "tap9" not in [name for _, name in socket.if_nameindex()]


def _send_when_there(name: str) -> None:
    while name not in [each for _, each in socket.if_nameindex()]:
        time.sleep(0.01)
    _send(socket.if_nametoindex(name))


def check_command_line() -> None:
    with net.lab(), tempfile.TemporaryDirectory() as scratch:
        program, out = Path(scratch, "answer.bpf.c"), Path(scratch, "out.pcapng")
        program.write_text(HEAD + ANSWER)
        told = io.StringIO()
        sender = threading.Thread(target=_send_when_there, args=("tap7",))
        sender.start()
        with contextlib.redirect_stdout(told):
            assert main(["packets", str(program), "tap:tap7", "-s", "1", "-w", str(out)]) == 0
        sender.join()
        assert "1 XDP_TX" in told.getvalue()
        assert [frame.data[42:47] for frame in read(out)] == [b"Tello"]


@pytest.mark.skipif(os.geteuid() != 0, reason="/dev/net/tun is root's here")
@pytest.mark.parametrize("check", [check_tap_and_interface, check_command_line])
def test_live(check: object) -> None:
    run_check(check, "self")  # type: ignore[arg-type]


def test_sources_by_name() -> None:
    for text in ("pipe:x", "if:", "tap"):
        with pytest.raises(ValueError, match="is no source of packets"):
            live.source(text)
    with pytest.raises(UnknownNameError, match="no network interface named 'nowhere0'"):
        live.Interface("nowhere0")

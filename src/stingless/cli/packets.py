"""`stingless packets`: run a packet program over a capture, or over packets as they come."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from typing import TYPE_CHECKING

from stingless.cli.output import show
from stingless.errors import StinglessError

if TYPE_CHECKING:
    from stingless.embedded.kernel import EmbeddedKernel
    from stingless.embedded.sources import pcap
    from stingless.embedded.sources.live import Source
    from stingless.linux.kernel import LinuxKernel


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="stingless packets",
        description="Run a packet program (XDP, tc, socket filter, cgroup_skb, lightweight tunnel) on every frame of a "
        "capture or as they come, and count what it says. Without root this is the embedded kernel; with --kernel "
        "linux, BPF_PROG_TEST_RUN. The exit status is 2 when the program or the capture is not usable.",
    )
    parser.add_argument("program", help="a C source or an object file")
    parser.add_argument(
        "capture",
        help="a pcap or pcapng file of Ethernet frames; if:NAME for those at an interface, which are seen and not "
        "taken; tap:NAME for a TAP device of its own, to which XDP_TX sends back",
    )
    parser.add_argument("-c", "--count", type=int, metavar="N", help="stop after N frames")
    parser.add_argument("-s", "--seconds", type=float, metavar="N", help="if: and tap: stop after N seconds")
    parser.add_argument("-n", "--name", help="which program, when the file has more than one")
    parser.add_argument(
        "-w",
        "--write",
        metavar="FILE",
        help="write the frames that go on, as the program left them, to a pcap (or, by its name, pcapng) file; in "
        "pcapng with the verdict as a comment",
    )
    parser.add_argument("-l", "--list", action="store_true", help="tell the verdict on each frame")
    parser.add_argument(
        "-i",
        "--ifindex",
        type=int,
        metavar="N",
        help="the interface that frames arrive at (default: 1, or that of NAME)",
    )
    parser.add_argument("--kernel", choices=("embedded", "linux"), default="embedded", help="(default: %(default)s)")
    return parser


def main(argv: Sequence[str]) -> int:
    options = _parser().parse_args(argv)
    from stingless.embedded.sources import live, pcap, verdicts

    try:
        from stingless.object import load

        with (
            _kernel(options.kernel) as kernel,
            load(options.program, kernel=kernel) as object,
            _source(options.capture) as source,
        ):
            frames: Iterator[pcap.Frame]
            if source is None:
                frames = islice(pcap.read(options.capture), options.count)
            else:
                frames = source.frames(options.count, options.seconds)
            ifindex = options.ifindex or (1 if source is None else source.index)
            program = _choose(list(object.programs), options.name)
            counts: Counter[str] = Counter()
            took = 0

            def left() -> Iterator[tuple[pcap.Frame, str]]:
                nonlocal took
                found = verdicts.apply(object.programs[program].program, frames, ifindex)
                for number, verdict in enumerate(found, 1):
                    counts[verdict.name] += 1
                    took += verdict.ns
                    if options.list:
                        after = "" if verdict.left is None else f", {len(verdict.left.data)} bytes go on"
                        print(f"{number}: {len(verdict.frame.data)} bytes: {verdict.name}{after}")
                    if verdict.left is not None:
                        if verdict.name == "XDP_TX" and isinstance(source, live.Tap):
                            source.send(verdict.left.data)
                        yield verdict.left, verdict.name

            if options.write:
                written = pcap.write(options.write, left())
            else:
                written = sum(1 for _ in left())
    except (OSError, StinglessError, ValueError) as error:
        rendered = error.render() if hasattr(error, "render") else error
        print(f"stingless packets: {rendered}", file=sys.stderr)
        return 2
    total = sum(counts.values())
    lines = [f"{program}: {total} frames, {written} go on" + (f", {took / total:.0f} ns each" if total else "")]
    lines += [f"  {count:>8} {name}" for name, count in counts.most_common()]
    return show("\n".join(lines))


def _source(text: str) -> AbstractContextManager[Source | None]:
    if not text.startswith(("if:", "tap:")):
        return nullcontext()
    from stingless.embedded.sources import live

    return live.source(text)


def _kernel(name: str) -> LinuxKernel | EmbeddedKernel:
    if name == "linux":
        from stingless.linux.kernel import LinuxKernel

        return LinuxKernel()
    from stingless.embedded.kernel import EmbeddedKernel

    return EmbeddedKernel()


def _choose(names: list[str], wanted: str | None) -> str:
    if wanted is None:
        if len(names) != 1:
            raise ValueError(f"there are the programs {', '.join(names)}: choose one by --name")
        return names[0]
    if wanted not in names:
        from stingless.errors import UnknownNameError

        raise UnknownNameError("program", wanted, names)
    return wanted

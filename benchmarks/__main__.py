"""`python -m benchmarks [start] [tools] [ptrace] [uprobes] [memory] [load] [hash] [ring] [vm]`: those named, or all."""

from __future__ import annotations

import argparse
import os
import platform
from pathlib import Path

from benchmarks import bcc_start, bulk, load, ptrace_events, start, uprobe_events, vm
from tests.vm.kernels import default_kernel, load_kernels

NAMES = ("start", "tools", "ptrace", "uprobes", "memory", "load", "hash", "ring", "vm")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="What stingless costs, next to its peers."
    )
    parser.add_argument("names", nargs="*", metavar="|".join(NAMES), help="default: all")
    parser.add_argument("--pairs", type=int, default=10, help="counted runs of each on the host (%(default)s)")
    parser.add_argument("--guest-pairs", type=int, default=3, help="counted runs of each in the guest (%(default)s)")
    parser.add_argument("--calls", type=int, default=20_000, help="traced calls of one loop (%(default)s)")
    parser.add_argument("-k", "--kernel", default=default_kernel(), choices=load_kernels(), help="the guest's kernel")
    options = parser.parse_args()
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(NAMES)}")
    names = options.names or NAMES
    busy = Path("/proc/loadavg").read_text().split()[0]
    print(
        f"{os.cpu_count()} CPUs, {platform.machine()}, Linux {os.uname().release}, Python {platform.python_version()}, "
        f"load average {busy} before the start"
    )
    if "start" in names:
        start.report(options.pairs, options.guest_pairs, options.kernel)
    if "tools" in names:
        bcc_start.report(options.guest_pairs, options.kernel)
    if "ptrace" in names:
        ptrace_events.report(options.pairs, options.calls)
    if "uprobes" in names:
        uprobe_events.report(options.pairs, options.calls)
    if "memory" in names:
        uprobe_events.report_memory(options.pairs)
    if "load" in names:
        load.report(options.pairs)
    if "hash" in names:
        bulk.report_hash(options.pairs, options.kernel)
    if "ring" in names:
        bulk.report_ring(options.pairs, options.kernel)
    if "vm" in names:
        vm.report(10 * options.pairs)


if __name__ == "__main__":
    main()

"""`stingless doctor`: what this machine can do, each thing found by trying, and for each no: why, and what to do."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
from collections.abc import Callable, Sequence

from stingless.cli.output import show
from stingless.errors import StinglessError
from stingless.kernel import Kernel, Probe

_MARK = {True: "yes", False: "no", None: "?"}


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="stingless doctor", description=__doc__)
    parser.add_argument("--json", action="store_true", help="for programs: {section: [{name, supported, why, fix}]}")
    options = parser.parse_args(argv)
    report = examine()
    if options.json:
        found = {k: [dataclasses.asdict(p) for p in probes] for k, probes in report.items()}
        return show(json.dumps(found, indent=1))
    return show(render(report))


def examine() -> dict[str, list[Probe]]:
    """Section -> answers."""
    return {
        "machine": machine_probes(),
        "compiler": compiler_probes(),
        "linux": kernel_probes(_linux),
        "embedded": kernel_probes(_embedded),
    }


def machine_probes() -> list[Probe]:
    uname = os.uname()
    root = os.geteuid() == 0
    return [
        Probe(f"{uname.sysname} {uname.release} on {uname.machine}, Python {platform.python_version()}", True),
        Probe("root", root, "" if root else f"user id {os.geteuid()}", "" if root else "sudo, or --kernel embedded"),
    ]


def compiler_probes() -> list[Probe]:
    """The compiler in use, tried on a one-line program, and the system's."""
    from stingless.compile import compile_object
    from stingless.compile.toolchain import MIN_CLANG, find_compiler, system_compiler

    try:
        compiler = find_compiler()
        compile_object("int f(void) { return 0; }")
        used = Probe(f"clang with the BPF back end ({compiler.origin}: {compiler.version()})", True)
    except StinglessError as error:
        used = Probe("clang with the BPF back end", False, str(error), "pip install 'stingless[compile]'")
    system = system_compiler()
    if system is not None:
        return [used, Probe(f"system clang ({system.version()})", True)]
    why, fix = (
        f"no clang >= {MIN_CLANG} in PATH",
        "not needed: the wheel's is used" if used.supported else "apt-get install clang",
    )
    return [used, Probe("system clang", False, why, fix)]


def kernel_probes(make: Callable[[], Kernel]) -> list[Probe]:
    try:
        kernel = make()
    except (StinglessError, ImportError, OSError) as error:
        return [Probe("this kernel", False, str(error))]
    try:
        return kernel.probes()
    finally:
        kernel.close()


def _linux() -> Kernel:
    from stingless.linux.kernel import LinuxKernel

    return LinuxKernel()


def _embedded() -> Kernel:
    from stingless.embedded.kernel import EmbeddedKernel

    return EmbeddedKernel()


def render(report: dict[str, list[Probe]]) -> str:
    lines = []
    for section, probes in report.items():
        lines.append(f"{section}:")
        for probe in probes:
            lines.append(f"  {_MARK[probe.supported]:<4}{probe.name}")
            if probe.supported is not True and probe.why:
                lines.append(f"        why: {probe.why}")
            if probe.supported is not True and probe.fix:
                lines.append(f"        fix: {probe.fix}")
    return "\n".join(lines)

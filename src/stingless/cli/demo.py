"""`stingless demo`: the example programs, one after another, on this machine's best kernel."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from stingless.choice import KERNELS
from stingless.cli.run import CANNOT
from stingless.frozen import frozen

_LOOP = ("bash", "-c", "for i in 1 2 3; do /bin/true; done")
_FAMILY = ("bash", "-c", "ls / | head -n 1; true")
_BUSY = (sys.executable, "-c", "sum(i * i for i in range(6_000_000))")


@frozen
class Part:
    title: str
    script: str
    command: tuple[str, ...] = ()


PARTS = (
    Part("1. hello: a program on a system call", "deck/hello.py", _LOOP),
    Part("2. attached by the function's name", "deck/auto_attach.py", _LOOP),
    Part("3. a map shared with Python", "deck/count.py", ("ls", "/")),
    Part("4. the verifier says no", "deck/verifier.py"),
    Part("5. the pipeline by hand: C, LLVM IR, ELF object, load", "deck/pipeline.py", _LOOP),
    Part("6. triggers: a kernel function (kprobe, kretprobe)", "deck/kprobe.py", ("cat", "/etc/hostname")),
    Part("6. triggers: a user function (uprobe)", "deck/uprobe.py", ("ls", "/")),
    Part("6. triggers: a tracepoint", "deck/tracepoint.py", _LOOP),
    Part("6. triggers: network packets (XDP)", "deck/xdp.py"),
    Part("6. triggers: network packets (socket filter)", "deck/socket_filter.py"),
    Part("6. triggers: a perf event (CPU clock)", "deck/perf_event.py", _BUSY),
    Part("7. a program that drops packets", "deck/drop.py"),
    Part("8. a libbpf-style object: types from BTF, typed records", "objects/opens.py", ("cat", "/etc/hostname")),
    Part("9. a bcc tool: a histogram", "bcc/latency.py", ("cat", "/etc/hostname", "/etc/passwd")),
    Part("9. a bcc tool: the kernel's structures, with no headers", "bcc/family.py", _FAMILY),
    Part("10. a packet program tested without root, at native speed", "embedded/firewall.py"),
)


def examples() -> Path:
    """Where the examples are: in the package when it was installed from a wheel, else in the source tree."""
    package = Path(__file__).resolve().parents[1]
    for path in (package / "_examples", package.parents[1] / "examples"):
        if path.is_dir():
            return path
    raise FileNotFoundError(f"the examples are neither in {package / '_examples'} nor beside the sources")


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="stingless demo", description=__doc__)
    parser.add_argument("--kernel", choices=KERNELS, default="auto")
    parser.add_argument("parts", nargs="*", help="only the parts whose title contains one of these words")
    options = parser.parse_args(argv)
    chosen = [p for p in PARTS if not options.parts or any(word in p.title for word in options.parts)]
    failed = []
    for part in chosen:
        words = [
            "--kernel",
            options.kernel,
            str(examples() / part.script),
            *(["--", *part.command] if part.command else []),
        ]
        print(f"\n== {part.title}\n$ stingless run {' '.join(_quoted(w) for w in words)}", flush=True)
        status = subprocess.run([sys.executable, "-m", "stingless", "run", *words], check=False).returncode
        if status == CANNOT:
            print("(this machine cannot show it; the reason stands above)")
        elif status:
            failed.append(part.title)
    print(f"\n{len(chosen) - len(failed)} of {len(chosen)} examples ran", flush=True)
    for title in failed:
        print(f"failed: {title}", file=sys.stderr)
    return 1 if failed else 0


def _quoted(word: str) -> str:
    import shlex

    return shlex.quote(word)

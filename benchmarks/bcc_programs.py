"""Compiles the programs that `benchmarks.bcc_corpus` recorded, and has the running kernel verify them.

`python -m benchmarks.bcc_programs CORPUS [--load] [--times] [--only NAME] [--failures FILE]` prints counts by group
and the failures by cause.  With --load each function is loaded for the type that the script asks for, and never
attached; the whole runs in a mount namespace with a bpffs of its own, for programs with pinned tables.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

GROUPS = ("tools", "examples", "tests")
LIMIT_S = 120
_NAMESPACE = "STINGLESS_BENCHMARK_NAMESPACE"
_TYPES = {  # how a function is loaded that a verb attaches
    "attach_perf_event": "PERF_EVENT",
    "attach_perf_event_raw": "PERF_EVENT",
    "attach_tracepoint": "TRACEPOINT",
    "attach_raw_tracepoint": "RAW_TRACEPOINT",
    "attach_raw_socket": "SOCKET_FILTER",
    "attach_xdp": "XDP",
    "attach_fmod_ret": "TRACING",
}
_PREFIXES = {
    "tracepoint__": "TRACEPOINT",
    "raw_tracepoint__": "RAW_TRACEPOINT",
    "kfunc__": "TRACING",
    "kretfunc__": "TRACING",
    "kmod_ret__": "TRACING",
    "bpf_iter__": "TRACING",
    "lsm__": "LSM",
}
_CONTEXTS = {"__sk_buff": "SCHED_CLS", "xdp_md": "XDP", "bpf_perf_event_data": "PERF_EVENT"}


@dataclass
class Outcome:
    """What became of one program.  `stage` is where it ended: "compile", "object", "load", or "" for success."""

    group: str
    name: str
    stage: str = ""
    cause: str = ""
    message: str = ""
    milliseconds: float = 0.0
    functions: int = 0
    loaded: int = 0
    answers: str = "real"
    to_fail: bool = False
    refused: list[str] = field(default_factory=list)


def function_type(record: dict[str, Any], name: str) -> str:
    """The program type that the script loads a function for."""
    for verb, args, named in record["calls"]:
        if verb == "load_func" and args[0] == name:
            return _type_name(int(args[1]))
        if name in args or named.get("fn_name") == name or named.get("fn") == name:
            return _TYPES.get(verb, "KPROBE")
    for prefix, kind in _PREFIXES.items():
        if name.startswith(prefix):
            return kind
    head = re.search(rf"\b{re.escape(name)}\s*\(\s*(?:const\s+)?(?:struct\s+)?(\w+)", record["text"])
    return _CONTEXTS.get(head[1], "KPROBE") if head else "KPROBE"


def _type_name(number: int) -> str:
    from stingless._gen.uapi import ProgramType

    return ProgramType(number).name


def argument_readers(probes: Iterable[Sequence[str]]) -> str:
    """The functions that read the arguments of static probes, which BPF(usdt_contexts=) would put first."""
    from stingless.bcc.usdt_text import Location, Probe, probe_text
    from stingless.symbols.operands import Operand

    operands = tuple(Operand(size=8, base=name) for name in ("di", "si", "dx", "cx", "r8", "r9") * 2)
    place = Location("/nowhere", 0, 0, 0, 0, True, ("",) * len(operands), operands)
    functions = dict.fromkeys(function for _, function in probes)
    return "".join(probe_text(Probe("provider", "probe", [place], name), -1) for name in functions)


def check(path: Path, load: bool = False) -> Outcome:
    """Compile one program, and load its functions."""
    from stingless.errors import StinglessError

    record = json.loads(path.read_text())
    outcome = Outcome(path.parent.name, path.stem, answers=record["answers"], to_fail=record.get("to_fail", False))
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(LIMIT_S)
    try:
        os.chdir(Path(record["src_file"]).parent if record["src_file"] else "/")
        _compile_and_load(record, outcome, load)
    except StinglessError as error:
        outcome.cause = cause(str(error))
        outcome.message = str(error)
    except TimeoutError:
        outcome.cause = outcome.message = f"not done in {LIMIT_S} s"
    except Exception as error:
        import traceback

        outcome.cause = f"{type(error).__name__}: {error}"[:160]
        outcome.message = traceback.format_exc()
    else:
        outcome.stage = "load" if outcome.refused else ""
    finally:
        signal.alarm(0)
    if outcome.to_fail and load:
        outcome.cause = outcome.message = "" if outcome.stage else "the script expects it to fail, and it does not"
        outcome.stage = "" if outcome.stage else "load"
    return outcome


def _too_long(*_: Any) -> None:
    raise TimeoutError


def _compile_and_load(record: dict[str, Any], outcome: Outcome, load: bool) -> None:
    from stingless.bcc.module import Module
    from stingless.errors import StinglessError

    module = Module(0, None)
    name = record["src_file"] or "main.c"
    source = record["text"].replace("/sys/fs/bpf/", f"/sys/fs/bpf/{outcome.name}/")
    if record["usdt_probes"]:
        source = (
            f'#include <uapi/linux/ptrace.h>\n{argument_readers(record["usdt_probes"])}\n#line 1 "{name}"\n{source}'
        )
    outcome.stage = "compile"
    begin = time.perf_counter()
    data = module._run_clang(source, name, record["cflags"]) if source.strip() else None
    outcome.milliseconds = (time.perf_counter() - begin) * 1000
    outcome.stage = "object"
    spec = module._read(data, name, source)
    outcome.functions = len(spec.programs)
    if not load:
        return
    outcome.stage = "load"
    sharing = [_sharing(text) for text in record.get("before", [])]
    module._load(spec)
    try:
        for function in spec.programs:
            try:
                _load_one(module, record, function)
                outcome.loaded += 1
            except StinglessError as error:
                outcome.refused.append(function)
                outcome.cause = cause(str(error))
                outcome.message = f"{function}: {error}"
    finally:
        module._object.close()
        for other in sharing:
            other._object.close()


def _sharing(text: str) -> Any:
    """Another program of the same script, whose tables this one uses."""
    from stingless.bcc.module import Module

    module = Module(0, None)
    module._load(module._read(module._run_clang(text, "main.c", []), "main.c", text))
    return module


def _load_one(module: Any, record: dict[str, Any], function: str) -> None:
    from stingless._gen.uapi import ProgramType

    module.load_func(function, ProgramType[function_type(record, function)])


_COMPILER = re.compile(r"(?:fatal )?error: (.*)")
_NAMED = re.compile(r"'[^']*'|\"[^\"]*\"")


def cause(message: str) -> str:
    """One line that tells failures apart: the first error of the compiler, or the verifier's last word."""
    if match := _COMPILER.search(message):
        return match[1].strip()[:200]
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return re.sub(r"^[\w./-]+: ", "", lines[0])[:200] if lines else "no message"


def owner(outcome: Outcome) -> str:
    """Whose part a failure seems to be in."""
    text = f"{outcome.cause}\n{outcome.message}"
    rules = {
        "host": r"EPERM|Operation not permitted|PrivilegeError|fentry|may not be attached",
        "kernel": r"no tracepoint|no member|has no field|unknown func|kernel lacks|no such",
        "ir": r"IR that is not understood|ir/|LLVM ERROR|stack|invalid mem access|scalar|BPF_PROG_LOAD|verifier|R\d",
        "ctables": r"table|map\b|lookup|perf_submit|ringbuf|cursor|load_(?:byte|half|word)|BPF_[A-Z_]+\b.*undeclared",
        "text": r"undeclared|unknown type|incomplete|redefinition|file not found|expected|conflicting",
    }
    return next((name for name, pattern in rules.items() if re.search(pattern, text)), "?")


def report(outcomes: Sequence[Outcome], load: bool, times: bool) -> str:
    lines = []
    for group in GROUPS:
        for kinds in (("real", "fentry"), ("all", "none")):
            mine = [one for one in outcomes if one.group == group and one.answers in kinds]
            if not mine:
                continue
            compiled = sum(one.stage not in ("compile", "object") for one in mine)
            text = f"{group} ({'/'.join(kinds)}): {len(mine)} programs, {compiled} compiled"
            if load:
                text += f", {sum(not one.stage for one in mine)} loaded whole"
                text += f"; functions: {sum(one.loaded for one in mine)} of {sum(one.functions for one in mine)} loaded"
            lines.append(text)
    if times:
        values = sorted(one.milliseconds for one in outcomes if one.stage not in ("compile", "object"))
        p90 = values[int(len(values) * 0.9)]
        lines.append(f"text to object: median {statistics.median(values):.1f} ms, p90 {p90:.1f}, most {values[-1]:.1f}")
    return "\n".join(lines)


def failures(outcomes: Iterable[Outcome]) -> str:
    """By owner and cause, the most frequent first, with one whole message each."""
    groups: dict[tuple[str, str, str], list[Outcome]] = defaultdict(list)
    for one in outcomes:
        if one.stage:
            groups[owner(one), one.stage, one.cause].append(one)
    lines = []
    for (who, stage, why), members in sorted(groups.items(), key=lambda item: (item[0][0], -len(item[1]))):
        unlikely = all(one.answers in ("all", "none") for one in members)
        note = "  (only with answers about the kernel that are not true here)" if unlikely else ""
        lines.append(f"## [{who}] {stage}: {why}  x{len(members)}{note}")
        lines.append("   " + " ".join(f"{one.group}/{one.name}" for one in members[:12]))
        shown = [line for line in members[0].message.splitlines() if line.strip()]
        lines += [
            f"     | {line[:220]}" for line in (shown[:6] + (["...", *shown[-8:]] if len(shown) > 14 else shown[6:]))
        ]
    return "\n".join(lines)


def programs(corpus: Path, only: str) -> list[Path]:
    return [path for group in GROUPS for path in sorted((corpus / group).glob("*.json")) if only in path.name]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bcc_programs", description=__doc__)
    parser.add_argument("corpus", type=Path, help="what benchmarks.bcc_corpus wrote")
    parser.add_argument("--load", action="store_true", help="have the kernel verify each function, too")
    parser.add_argument("--times", action="store_true", help="measure compiling, one at a time")
    parser.add_argument("--only", default="", help="only programs with this in their name")
    parser.add_argument("--failures", type=Path, help="write the failures there instead of printing them")
    options = parser.parse_args()
    if options.load and _NAMESPACE not in os.environ:
        inside = ["unshare", "-m", "sh", "-c", 'mount -t bpf bpf /sys/fs/bpf; exec "$@"', "sh"]
        argv = [*inside, sys.executable, "-m", "benchmarks.bcc_programs", *sys.argv[1:]]
        sys.exit(subprocess.run(argv, env=os.environ | {_NAMESPACE: "1"}, check=False).returncode)
    paths = [path.resolve() for path in programs(options.corpus, options.only)]
    with ProcessPoolExecutor(1 if options.times else os.cpu_count()) as pool:
        outcomes = list(pool.map(partial(check, load=options.load), paths, chunksize=4))
    summary = report(outcomes, options.load, options.times)
    print(summary)
    found = failures(outcomes)
    if options.failures:
        options.failures.write_text(f"{time.strftime('%H:%M:%S')}\n{summary}\n\n{found}\n")
    else:
        print(found)


if __name__ == "__main__":
    main()

"""bcc's tools under bcc and under stingless, on the same workload: what each says, compared in form.

    python -m benchmarks.bcc_tools [-k KERNEL] [--tools DIR] [--only NAME,...] [--results FILE]
    python -m benchmarks.bcc_tools --host ...
    python -m benchmarks.bcc_tools --table --results FILE

The first runs Debian's tools (`apt-get install bpfcc-tools`), or those of bcc's sources in DIR, in one guest, a process
each: start it, wait until it has attached, run the workload, Ctrl-C, collect.  The second runs under stingless on this
host what needs neither kprobes nor fentry, confined to the workload.  Results are kept by tool and subject in FILE, so
that one side can be run again; the table is made of that.  `bcc_tools.toml` says how a tool is run.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
DEBIAN = Path("/usr/sbin")
PYTHON = "/usr/bin/python3"  # bcc is a package of Debian's own Python
SUBJECTS = ("bcc", "stingless")
_DIRECT = "dd bs=64k 2>/dev/null"
DISK = (
    f"{_DIRECT} if=/dev/zero of=/mnt/ext4/direct count=16 oflag=direct; "
    f"{_DIRECT} if=/mnt/ext4/direct of=/dev/null iflag=direct; sync"
)
ATTACH_S = 240  # bcc may take minutes in an emulated guest on a busy machine
WORKLOAD_S = 60
LATE_S = 15
END_S = 60
KEPT = 12_000


@dataclass(frozen=True)
class Tool:
    """A row of bcc_tools.toml."""

    name: str
    arguments: str = ""
    target: str = ""
    workload: str = "{work} files"
    line: Sequence[str] = ()
    needs: Sequence[str] = ()
    ends: bool = False
    seconds: float = 1.0
    tty: bool = False
    script: str = ""
    upstream: str = ""
    absent: str = ""
    host: bool = False

    def command(self, tools: Path) -> list[str]:
        """The script and its first arguments, in Debian's directory or in that of bcc's sources."""
        if tools == DEBIAN:
            words = (self.script or f"{self.name}-bpfcc").split()
            if self.script and not (tools / words[0]).exists():
                words[0] += "-bpfcc"
        else:
            words = (self.upstream or self.script or self.name).split()
            words[0] += ".py"
        return [str(tools / words[0]), *words[1:]]


@dataclass
class Said:
    """One run.  `ended` tells how: "ctrl-c", "itself", "killed", "not attached"."""

    tool: str
    subject: str
    out: str = ""
    err: str = ""
    status: int | None = None
    ended: str = ""
    attached_s: float = 0.0
    missing: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not self.missing and self.ended not in ("killed", "not attached")


def load_tools() -> tuple[dict[str, Tool], dict[str, str]]:
    """The tools by name, and the commands that prepare what some need."""
    with (HERE / "bcc_tools.toml").open("rb") as file:
        rows = tomllib.load(file)
    setup = rows.pop("setup")
    tools = {}
    for name, row in rows.items():
        lines = row.pop("line", [])
        tools[name] = Tool(name, line=[lines] if isinstance(lines, str) else lines, **row)
    return tools, setup


def filled(text: str, pid: int = 0) -> str:
    """A command of the table with its names replaced."""
    names = {"work": f"{PYTHON} {HERE}/programs/work.py", "here": str(HERE), "disk": DISK, "pid": str(pid)}
    return re.sub(r"\{(work|here|disk|pid)\}", lambda match: names[match[1]], text)


# Where the tools run


def run_here(names: Sequence[str], subjects: Sequence[str], tools: Path, host: bool) -> None:
    """Run tools on this kernel; prints a line of JSON for each run."""
    table, setup = load_tools()
    ready: dict[str, bool] = {}
    if "stingless" in subjects:  # a guest reads the compiler from the host for the first time
        warm = "from stingless.bcc import BPF; BPF(text='int f(void *ctx) { return 0; }')"
        subprocess.run([sys.executable, "-c", warm], check=False)
    for name in names:
        tool = table[name]
        for part in tool.needs:
            if part not in ready:
                done = subprocess.run(["sh", "-c", filled(setup[part])], capture_output=True, text=True, check=False)
                ready[part] = not done.returncode
                if done.returncode:
                    print(f"setup of {part}: {done.stderr.strip() or done.stdout.strip()}", file=sys.stderr, flush=True)
        for subject in subjects:
            print(json.dumps(asdict(run(tool, subject, tools, host))), flush=True)


def run(tool: Tool, subject: str, tools: Path, host: bool) -> Said:
    """Start a tool, let it see the workload, end it."""
    said = Said(tool.name, subject)
    target = _start_target(tool) if tool.target else None
    try:
        if target is not None:
            time.sleep(6 if tool.needs else 2)
        argv = tool.command(tools)
        argv += shlex.split(filled(tool.arguments, target.pid if target else 0))
        if not Path(argv[0]).exists():
            said.ended = "no such tool"
            said.missing = list(tool.line)
            return said
        if subject == "bcc":
            argv = [PYTHON, *argv]
        else:
            argv = [sys.executable, "-m", "stingless", "run", *(["--kernel", "linux"]), *argv]
        if host:
            argv += ["--", "sh", "-c", filled(tool.workload)]
        _watch(tool, argv, said, host)
    finally:
        if target is not None:
            with suppress(ProcessLookupError):
                os.killpg(target.pid, signal.SIGKILL)
            target.wait()
    said.missing = [line for line in tool.line if not re.search(line, said.out, re.MULTILINE)]
    return said


def _start_target(tool: Tool) -> subprocess.Popen[bytes]:
    argv = ["sh", "-c", f"exec {filled(tool.target)}"]
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)


def _watch(tool: Tool, argv: Sequence[str], said: Said, host: bool) -> None:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        terminal, pseudo = pty.openpty() if tool.tty else (-1, -1)
        stdout: Any = pseudo if tool.tty else out
        env = os.environ | {"PYTHONUNBUFFERED": "1", "TERM": "xterm", "COLUMNS": "200", "LINES": "50"}
        if said.subject == "stingless":
            env["PYTHONPATH"] = os.pathsep.join([str(HERE.parent / "src"), env.get("PYTHONPATH", "")])
        begin = time.monotonic()
        stdin = pseudo if tool.tty else subprocess.DEVNULL
        process = subprocess.Popen(argv, stdin=stdin, stdout=stdout, stderr=err, env=env, start_new_session=True)
        if tool.tty:
            os.close(pseudo)
            threading.Thread(target=_drain, args=(terminal, out.fileno()), daemon=True).start()
        try:
            if not host:
                _await_attached(process, out.fileno())
                said.attached_s = time.monotonic() - begin
                if process.poll() is None:
                    _workload(tool)
                    time.sleep(0 if tool.ends else tool.seconds)
                    if not tool.ends:
                        _await_lines(tool, out)
            _end(process, said, WORKLOAD_S + ATTACH_S if host else END_S if tool.ends else 0)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if tool.tty:
                time.sleep(0.2)
                os.close(terminal)
        said.status = process.returncode
        said.out, said.err = (_text(file) for file in (out, err))


def _drain(terminal: int, to: int) -> None:
    with suppress(OSError):
        while data := os.read(terminal, 4096):
            os.write(to, data)


def _text(file: Any) -> str:
    file.seek(0)
    text: str = file.read().decode(errors="replace")
    return text if len(text) <= 2 * KEPT else f"{text[:KEPT]}\n[...]\n{text[-KEPT:]}"


def _await_attached(process: subprocess.Popen[bytes], out: int) -> None:
    """Until it has programs and opens no more files, no compiler is at work, and it sleeps or goes on telling: a tool
    that sees how files are opened also sees us looking here."""
    deadline = time.monotonic() + ATTACH_S
    calm, before = 0, (0, 0)
    while process.poll() is None and calm < 4 and time.monotonic() < deadline:
        files, sleeps = _look_at(process.pid)
        now = files, os.fstat(out).st_size
        calm = calm + 1 if files and files == before[0] and (sleeps or now[1] > before[1]) else 0
        before = now
        time.sleep(0.3)


def _look_at(pid: int) -> tuple[int, bool]:
    """How many files it has open, 0 while it has no programs or a child is at work; whether it sleeps."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        files = [str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return 0, False
    loaded = any("bpf" in file or "perf_event" in file for file in files)
    return len(files) if loaded and not children else 0, state == "S"


def _await_lines(tool: Tool, out: Any) -> None:
    """A busy machine tells late; a tool that tells only at its end is given this time for nothing."""
    deadline = time.monotonic() + LATE_S
    while time.monotonic() < deadline:
        text = os.pread(out.fileno(), 2 * KEPT, 0).decode(errors="replace")
        if all(re.search(line, text, re.MULTILINE) for line in tool.line):
            return
        time.sleep(0.5)


def _workload(tool: Tool) -> None:
    with suppress(subprocess.TimeoutExpired):
        argv = ["sh", "-c", filled(tool.workload)]
        subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=WORKLOAD_S, check=False)


def _end(process: subprocess.Popen[bytes], said: Said, patience: float) -> None:
    """Ctrl-C, and again; some tools end by themselves."""
    try:
        process.wait(patience or 0.01)
    except subprocess.TimeoutExpired:
        said.ended = "ctrl-c"
    else:
        said.ended = "itself"
        return
    for _ in range(2):
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(END_S)
            return
    said.ended = "killed"


# Results


def read_results(path: Path) -> dict[tuple[str, str], Said]:
    if not path.exists():
        return {}
    runs = (Said(**json.loads(line)) for line in path.read_text().splitlines())
    table, _ = load_tools()
    found = {}
    for said in runs:
        if said.tool in table:  # what a good line is like may have been refined since
            said.missing = [line for line in table[said.tool].line if not re.search(line, said.out, re.MULTILINE)]
        found[said.tool, said.subject] = said
    return found


_NUMBER = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{12,16}\b|-?\d+(?:[.:]\d+)*")


def form(line: str) -> str:
    """A line with its numbers and times generalised, and its spaces single."""
    return " ".join(_NUMBER.sub("#", line).split())


def heads(tool: Tool, out: str) -> list[str]:
    """The forms of the lines before the first one of data: banner and columns."""
    found: list[str] = []
    for line in out.splitlines():
        if any(re.search(pattern, line) for pattern in tool.line):
            break
        if line.strip() and re.search(r"[A-Za-z]", line):
            found.append(form(line))
    return list(dict.fromkeys(found))


def same_form(tool: Tool, one: Said, other: Said) -> bool:
    """Do both begin with the same banner and columns?  Lines of data that came before the first good one are not
    compared: they are what the machine happened to do."""
    ours, theirs = (heads(tool, said.out) for said in (one, other))
    columns = [[line for line in head if _is_fixed(line)] for head in (ours, theirs)]
    return columns[0] == columns[1]


def _is_fixed(line: str) -> bool:
    words = line.split()
    return "#" not in line and (
        line.startswith("Tracing") or sum(word.isupper() or "(" in word for word in words) * 2 >= len(words)
    )


def verdict(tool: Tool, theirs: Said | None, ours: Said | None) -> str:
    if ours is None:
        return "not run"
    if ours.ended == "no such tool":
        return "not in this bcc"
    if tool.absent:
        quiet = ours.good and "Traceback" not in ours.err
        return "absent, told so" if quiet or (theirs and not theirs.good) else "absent, ours fails"
    if theirs is None:
        return "ours works" if ours.good else "OURS FAILS"
    if theirs.good and ours.good:
        return "same" if same_form(tool, ours, theirs) else "both work, other head"
    if theirs.good:
        return "OURS FAILS"
    return "only ours works" if ours.good else "neither"


def show(results: Mapping[tuple[str, str], Said], names: Iterable[str]) -> str:
    """A Markdown table, tool by tool, and counts."""
    table, _ = load_tools()
    lines = ["| tool | bcc | stingless | |", "| --- | --- | --- | --- |"]
    counts: dict[str, int] = {}
    for name in names:
        theirs, ours = (results.get((name, subject)) for subject in SUBJECTS)
        if theirs is None and ours is None:
            continue
        word = verdict(table[name], theirs, ours)
        counts[word] = counts.get(word, 0) + 1
        lines.append(f"| {name} | {_outcome(theirs)} | {_outcome(ours)} | {word} |")
    return "\n".join([*lines, "", *(f"- {word}: {count}" for word, count in sorted(counts.items()))])


def _outcome(said: Said | None) -> str:
    if said is None:
        return ""
    if said.good:
        return f"works, attached after {said.attached_s:.0f} s" if said.attached_s else "works"
    last = [line for line in said.err.splitlines() if line.strip()]
    why = last[-1] if last and said.status else f"no line like {said.missing[0]}" if said.missing else ""
    return f"{said.ended}: {why}"[:150].replace("|", "\\|")


def failures(results: Mapping[tuple[str, str], Said]) -> str:
    """What stingless does not do, with what it said, those first that bcc does."""
    table, _ = load_tools()
    parts = []
    for (name, subject), ours in sorted(results.items()):
        if subject != "stingless" or name not in table:
            continue
        theirs = results.get((name, "bcc"))
        word = verdict(table[name], theirs, ours)
        if word in ("same", "only ours works", "ours works", "absent, told so"):
            continue
        known = f"bcc: {'works' if theirs.good else theirs.err.strip()[-300:]}" if theirs else "bcc: not run"
        text = [f"## {name}: {word}; ended: {ours.ended}, status {ours.status}; missing {ours.missing}", known]
        text += [
            "--- ours, standard error",
            ours.err.strip()[-2500:],
            "--- ours, standard output",
            ours.out.strip()[-800:],
        ]
        if theirs is not None and theirs.good:
            text += ["--- bcc's standard output", theirs.out.strip()[-800:]]
        parts.append((word != "OURS FAILS", "\n".join(text)))
    return "\n\n".join(text for _, text in sorted(parts))


def run_in_guest(kernel: str, argv: Sequence[str], results: Path) -> None:
    """Run tools in a guest; what comes is written to the results at once."""
    from benchmarks.headers import headers_for
    from tests.vm.guest import GuestError
    from tests.vm.run import run_guest

    _, headers = headers_for(kernel)
    env = {"BCC_KERNEL_SOURCE": str(headers), "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    rest = b""

    def keep(data: bytes) -> None:
        nonlocal rest
        *lines, rest = (rest + data).split(b"\n")
        with results.open("ab") as file:
            file.writelines(line + b"\n" for line in lines)
        for line in lines:
            said = Said(**json.loads(line))
            print(f"{said.tool} ({said.subject}): {_outcome(said)}", flush=True)

    def tell(data: bytes) -> None:
        sys.stderr.write(data.decode(errors="replace"))

    try:
        run_guest(kernel, argv, cwd=HERE.parent, env=env, timeout=7200, memory_mib=3072, on_stdout=keep, on_stderr=tell)
    except GuestError as error:
        sys.exit(f"the guest: {error}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bcc_tools", description="bcc's tools, side by side.")
    parser.add_argument("-k", "--kernel", default="6.1", help="the guest's kernel (%(default)s)")
    parser.add_argument("--tools", type=Path, default=DEBIAN, help="where the tools are (%(default)s)")
    parser.add_argument("--only", default="", help="tools, with commas between")
    parser.add_argument("--subjects", default=",".join(SUBJECTS), help="%(default)s")
    parser.add_argument("--results", type=Path, default=Path("bcc_tools.jsonl"), help="%(default)s")
    parser.add_argument("--host", action="store_true", help="on this host, under stingless, scoped to the workload")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--table", action="store_true", help="of the results only")
    parser.add_argument("--failures", type=Path, help="write what stingless does not do there")
    options = parser.parse_args()
    table, _ = load_tools()
    names = options.only.split(",") if options.only else list(table)
    if options.host:
        names = [name for name in names if table[name].host and not table[name].target]
    subjects = options.subjects.split(",")
    if options.here:
        run_here(names, subjects, options.tools, False)
        return
    if not options.table:
        argv = ["--here", "--only", ",".join(names), "--subjects", options.subjects, "--tools", str(options.tools)]
        if options.host:
            _run_on_host(names, options.tools, options.results)
        else:
            run_in_guest(options.kernel, [sys.executable, "-m", "benchmarks.bcc_tools", *argv], options.results)
    results = read_results(options.results)
    print(show(results, table))
    if options.failures:
        options.failures.write_text(f"{time.strftime('%H:%M:%S')}\n{failures(results)}\n")


def _run_on_host(names: Sequence[str], tools: Path, path: Path) -> None:
    table, _ = load_tools()
    for name in names:
        said = run(table[name], "stingless", tools, host=True)
        print(f"{name}: {_outcome(said)}", flush=True)
        with path.open("a") as file:
            file.write(json.dumps(asdict(said)) + "\n")


if __name__ == "__main__":
    main()

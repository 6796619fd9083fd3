"""bcc's tools without privileges: on the embedded kernel as an ordinary user, and on this host's Linux as root, under
the same command; what both say, compared.

    python -m benchmarks.embedded_tools [--tools DIR] [--only NAME,...] [--results FILE]
    python -m benchmarks.embedded_tools --table --results FILE

`embedded_tools.toml` says how each is run.  A line is compared by its form: numbers and times are all alike, bars of
histograms too.  On Linux the programs see the command only, or one process, as on the embedded kernel.
"""

from __future__ import annotations

import argparse
import json
import os
import pwd
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.bcc_tools import DEBIAN, form

HERE = Path(__file__).resolve().parent
SUBJECTS = ("embedded", "linux")
PYTHON = "/usr/bin/python3"
PATIENCE_S = 90
END_S = 15
KEPT = 20_000


@dataclass(frozen=True)
class Row:
    """A row of embedded_tools.toml."""

    name: str
    tool: str = ""
    arguments: str = ""
    command: str = ""
    target: str = ""
    seconds: float = 3.0
    line: Sequence[str] = ()
    ignore: str = ""
    ends: bool = False
    linux: bool = True

    def script(self, tools: Path) -> list[str]:
        name, *more = (self.tool or self.name).split()
        places = (f"{name}-bpfcc", name, f"{name}.py", f"lib/{name}.py")
        found = next((tools / place for place in places if (tools / place).exists()), tools / places[0])
        return [str(found), *more]


@dataclass
class Said:
    """One run.  `ended`: "itself", "ctrl-c" or "killed"."""

    name: str
    subject: str
    out: str = ""
    err: str = ""
    status: int | None = None
    ended: str = ""
    seconds: float = 0.0
    missing: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not self.missing and self.ended != "killed" and "Traceback" not in self.err


def load_rows() -> dict[str, Row]:
    with (HERE / "embedded_tools.toml").open("rb") as file:
        rows = tomllib.load(file)
    found = {}
    for name, row in rows.items():
        lines = row.pop("line")
        found[name] = Row(name, line=[lines] if isinstance(lines, str) else lines, **row)
    return found


def _filled(text: str, pid: int, scratch: str) -> str:
    names = {"work": f"{PYTHON} {HERE}/programs/work.py", "here": str(HERE), "pid": str(pid), "scratch": scratch}
    return re.sub(r"\{(work|here|pid|scratch)\}", lambda match: names[match[1]], text)


def _as_user(user: str) -> list[str]:
    """What runs a command as this user, without any privilege."""
    known = pwd.getpwnam(user)
    if os.geteuid() == known.pw_uid:
        return ["env"]
    switch = ["setpriv", f"--reuid={user}", f"--regid={known.pw_gid}", "--init-groups", "--inh-caps=-all"]
    return [*switch, "env", f"HOME={known.pw_dir}", f"USER={user}", f"LOGNAME={user}"]


def _python(user: Sequence[str]) -> tuple[str, str]:
    """A Python that the user may execute, and the path of the modules."""
    paths = [str(HERE.parent / "src"), *(each for each in sys.path if each.endswith("-packages"))]
    for python in (sys.executable, f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"):
        argv = [*user, f"PYTHONPATH={os.pathsep.join(paths)}", python, "-c", "import stingless, numpy"]
        if not subprocess.run(argv, capture_output=True, check=False).returncode:
            return python, os.pathsep.join(paths)
    sys.exit("the user cannot run this Python; nor is there one of the same version in /usr/bin")


def run(row: Row, subject: str, tools: Path, user: str) -> Said:
    said = Said(row.name, subject)
    identity = _as_user(user)
    with tempfile.TemporaryDirectory(prefix="stingless-tools-", dir="/dev/shm") as scratch:
        Path(scratch).chmod(0o777)
        with suppress(OSError):
            _prepare(row, scratch)
        target = None
        if row.target:
            argv = [*identity, *shlex.split(_filled(row.target, 0, scratch))]
            quiet = subprocess.DEVNULL
            target = subprocess.Popen(argv, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True, cwd="/")
            time.sleep(4 if "java" in row.target else 1.5)
        try:
            _run(row, subject, tools, identity, target.pid if target else 0, said, scratch)
        finally:
            if target is not None:
                if target.poll() is not None:
                    said.missing.append("the target: it ended")
                with suppress(ProcessLookupError):
                    os.killpg(target.pid, signal.SIGKILL)
                target.wait()
    return said


def _prepare(row: Row, scratch: str) -> None:
    """What some targets are made of."""
    if "lockers" in row.target:
        argv = ["gcc", "-g", "-O1", "-pthread", "-o", f"{scratch}/lockers", str(HERE / "peers/lockers.c")]
        subprocess.run(argv, check=True, capture_output=True)
    elif "java" in row.target:
        subprocess.run(["javac", "-d", scratch, str(HERE / "programs/Work.java")], check=True, capture_output=True)


def _run(row: Row, subject: str, tools: Path, identity: Sequence[str], pid: int, said: Said, scratch: str) -> None:
    if subject == "linux":
        identity = ["env"]
    python, path = _python(identity)
    argv = [*identity, f"PYTHONPATH={path}", "PYTHONUNBUFFERED=1", python, "-m", "stingless", "run"]
    argv += ["--kernel", subject, *(["--pid", str(pid)] if pid and subject == "embedded" else [])]
    argv += [*row.script(tools), *shlex.split(_filled(row.arguments, pid, scratch))]
    if row.command:
        argv += ["--", *shlex.split(_filled(row.command, pid, scratch))]
    begin = time.monotonic()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd="/", start_new_session=True
        )
        try:
            _end(process, said, PATIENCE_S if row.command or row.ends else row.seconds)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        said.seconds = time.monotonic() - begin
        said.status = process.returncode
        for name, file in (("out", out), ("err", err)):
            file.seek(0)
            setattr(said, name, file.read().decode(errors="replace")[-KEPT:])
    said.missing += [line for line in row.line if not re.search(line, said.out, re.MULTILINE)]


def _end(process: subprocess.Popen[bytes], said: Said, patience: float) -> None:
    with suppress(subprocess.TimeoutExpired):
        process.wait(patience)
        said.ended = "itself"
        return
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(END_S)
            said.ended = "ctrl-c"
            return
    said.ended = "killed"


# Results


def forms(row: Row, out: str) -> set[str]:
    """The forms of the lines, without those of `ignore`."""
    found = set()
    for line in out.splitlines():
        if line.strip() and not (row.ignore and re.search(row.ignore, line)):
            found.add(re.sub(r"\|[* ]*\|", "||", re.sub(r"\[[^]]*\]$", "[]", form(line))))
    return found


def verdict(row: Row, ours: Said | None, theirs: Said | None) -> str:
    if ours is None:
        return "not run"
    if not ours.good:
        return "FAILS"
    if theirs is None or not theirs.good:
        return "works" if theirs is None else "works; Linux: " + _outcome(theirs)
    mine, other = forms(row, ours.out), forms(row, theirs.out)
    if mine == other:
        return "same lines"
    common = len(mine & other)
    return f"{common} lines alike, {len(mine) - common} only here, {len(other) - common} only on Linux"


def _outcome(said: Said) -> str:
    last = [line for line in said.err.splitlines() if line.strip() and not line.startswith("stingless:")]
    why = last[-1] if last and said.status else f"no line like {said.missing[0]}" if said.missing else ""
    return f"{said.ended}: {why}"[:120].replace("|", "\\|")


def show(results: Mapping[tuple[str, str], Said]) -> str:
    lines = ["| tool | embedded, unprivileged | compared with Linux, root |", "| --- | --- | --- |"]
    works = 0
    rows = load_rows()
    seen = [row for row in rows.values() if (row.name, "embedded") in results]
    for row in seen:
        ours, theirs = (results.get((row.name, subject)) for subject in SUBJECTS)
        assert ours is not None
        works += ours.good
        command = shlex.join([row.tool or row.name]) if not row.arguments else f"{row.tool or row.name} {row.arguments}"
        state = "works" if ours.good else _outcome(ours)
        lines.append(f"| `{command.replace('|', '&#124;')}` | {state} | {verdict(row, ours, theirs)} |")
    return "\n".join(
        [*lines, "", f"{works} of {len(seen)} work; tools: {len({(row.tool or row.name) for row in seen})}"]
    )


def read_results(path: Path) -> dict[tuple[str, str], Said]:
    found = {}
    rows = load_rows()
    for line in path.read_text().splitlines() if path.exists() else []:
        said = Said(**json.loads(line))
        if said.name in rows:
            lines = rows[said.name].line
            said.missing = [each for each in said.missing if each.startswith("the target")]
            said.missing += [each for each in lines if not re.search(each, said.out, re.MULTILINE)]
            found[said.name, said.subject] = said
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.embedded_tools", description="bcc's tools, unprivileged."
    )
    parser.add_argument("--tools", type=Path, default=DEBIAN, help="where the tools are (%(default)s)")
    parser.add_argument("--only", default="", help="rows, with commas between")
    parser.add_argument("--subjects", default=",".join(SUBJECTS), help="%(default)s")
    parser.add_argument("--user", default="tester" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name)
    parser.add_argument("--results", type=Path, default=Path("embedded_tools.jsonl"), help="%(default)s")
    parser.add_argument("--table", action="store_true", help="of the results only")
    parser.add_argument("--show", action="store_true", help="print what was said")
    options = parser.parse_args()
    rows = load_rows()
    names = options.only.split(",") if options.only else list(rows)
    for name in names if not options.table else ():
        for subject in options.subjects.split(","):
            if subject == "linux" and not rows[name].linux:
                continue
            said = run(rows[name], subject, options.tools, options.user)
            outcome = "works" if said.good else _outcome(said)
            print(f"{name} ({subject}): {outcome}, {said.seconds:.1f} s", flush=True)
            if options.show:
                print(said.out[-3000:], said.err[-3000:], sep="\n--- standard error\n", flush=True)
            with options.results.open("a") as file:
                file.write(json.dumps(asdict(said)) + "\n")
    print(show(read_results(options.results)))


if __name__ == "__main__":
    main()

"""The programs of bcc's own scripts: each script is run with a recorder in bcc's place, with several arguments.

`python -m benchmarks.bcc_corpus BCC OUT` takes a directory with bcc's sources (tools/, examples/, tests/python/) and
writes each distinct program to OUT/{tools,examples,tests}/SCRIPT-N.json: its text, cflags, and the calls on it.
Scripts run in namespaces of their own, and can neither load nor attach anything; see `benchmarks.bcc_recorder`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.bcc_recorder import LIMIT_S

# In a mount namespace of its own, with the trace file system that tools look into.
INSIDE = 'mount -t tracefs t /sys/kernel/tracing; mount -t debugfs d /sys/kernel/debug; cd /; exec "$@"'
LANGUAGES = ("java", "perl", "php", "python", "ruby", "tcl")
# Arguments without which a script tells its usage only, and that its own examples do not show as a command of its name.
ARGUMENTS: dict[str, list[str]] = {
    "test_stat1.py": ["test_stat1.c"],
    "test_xlate1.py": ["test_xlate1.c"],
    "test_call1.py": ["test_call1.c"],
    "test_trace3.py": ["test_trace3.c"],
    "test_brb.py": ["test_brb.c"],
    "test_brb2.py": ["test_brb2.c"],
    "uobjnew.py": ["-l java 1", "-l c 1", "-l ruby 1", "-l tcl 1", "-l java 1 -C 3 -S 3"],
    "ucalls.py": [f"-l {lang} 1{more}" for lang in LANGUAGES for more in ("", " -L -S")]
    + ["-l none -S 1", "-l java -L 1", "-l java -T 3 -v 1"],
    "uflow.py": [f"-l {lang} 1" for lang in LANGUAGES] + ["-l java -C x -M y 1"],
    "ugc.py": [f"-l {lang} 1" for lang in ("java", "node", "python", "ruby")] + ["-l java -M 10 1"],
    "uthreads.py": ["-l java 1", "-l c 1", "-l none 1"],
    "ustat.py": ["", "-l java", "-l node", "-l python", "-l ruby", "-l perl", "-l php", "-l tcl", "-C"],
    "deadlock.py": ["1", "1 --binary /usr/lib/x86_64-linux-gnu/libc.so.6"],
    "dbslower.py": ["mysql -p 1", "postgres -p 1", "mysql -b /bin/true", "mysql -p 1 -m 0"],
    "dbstat.py": ["mysql -p 1", "postgres -p 1", "postgres -p 1 -m 5"],
    "mysqld_qslower.py": ["1", "1 0"],
    "ttysnoop.py": ["/dev/null", "-C /dev/null"],
    "xdp_drop_count.py": ["lo", "-S lo"],
    "xdp_macswap_count.py": ["lo", "-S lo"],
    "xdp_redirect_map.py": ["lo lo"],
    "xdp_redirect_cpu.py": ["lo 0"],
    "netqtop.py": ["-n lo", "-n lo -t"],
    "lbr.py": [""],
    "nodejs_http_server.py": ["1"],
    "mallocstacks.py": ["1"],
    "strlen_snoop.py": ["1"],
    "lat_avg.py": ["-p 1 -i 5 -c 3 -f x"],
    "lat_dist.py": ["-p 1 -i 5"],
    "latency.py": ["-p 1"],
    "mysqld_query.py": ["1"],
    "dns_matching.py": ["-d example.com"],
    "virtiostat.py": ["", "-T", "-D", "-d virtio_blk", "-n virtio0"],
    "criticalstat.py": ["", "-p", "-i", "-d 500"],
    "inject.py": [
        "kmalloc -v 'SyS_mount()'", "kmalloc -v '(true) => a_top_level(int* x)'", "bio -I 'linux/blk_types.h' '(true)'",
        "kmalloc -P 0.01 'SyS_mount()'", "alloc_page -v '(true)'", "kmalloc -c 3 '(true)'",
    ],
}  # fmt: skip
EXAMPLE = re.compile(r"^\s*(?:#|%)?\s*(?:sudo )?(?:\./|/usr/share/bcc/tools/)?([a-z0-9_]+)(?:\.py)?((?: +| *$).*)")


def scripts(bcc: Path) -> Iterator[tuple[str, Path]]:
    """Each script with the group that it belongs to."""
    for path in sorted(bcc.glob("tests/python/test_*.py")):
        if "tools" not in path.name:
            yield "tests", path
    for path in sorted(bcc.glob("examples/**/*.py")):
        yield "examples", path
    for path in sorted([*bcc.glob("tools/*.py"), *bcc.glob("tools/lib/*.py"), *bcc.glob("tools/old/*.py")]):
        yield "tools", path


def argument_lists(script: Path) -> list[list[str]]:
    """The arguments of every command line of this script that its help text and its example file show."""
    lists = [[]] if script.name not in ARGUMENTS else [shlex.split(line) for line in ARGUMENTS[script.name]]
    shown = [script.read_text(errors="replace"), *(_example_file(script))]
    for line in "\n".join(shown).splitlines():
        match = EXAMPLE.match(line)
        if not match or match[1] != script.stem or "<" in line or "==" in match[2][:4]:
            continue
        words = re.split(r"\s+#\s", match[2])[0]
        try:
            found = shlex.split(words)
        except ValueError:
            continue
        for stop in (">", "|", "&", "&&"):
            if stop in found:
                found = found[: found.index(stop)]
        if any(word in ("-h", "--help") for word in found):
            continue
        found = ["/sys/fs/bpf/mappath" if word == "mappath" else word for word in found]
        if (found and found[0][:1].isupper()) or "$(" in words:
            continue  # a sentence about the tool; a shell's work
        form = re.sub(r"\d+", "0", " ".join(found))
        if form not in (re.sub(r"\d+", "0", " ".join(known)) for known in lists) and not any(
            word.startswith(("[", "{", "-->")) for word in found
        ):
            lists.append(found)
    return lists


def _example_file(script: Path) -> list[str]:
    path = script.with_name(f"{script.stem}_example.txt")
    return [path.read_text(errors="replace")] if path.exists() else []


def questions(script: Path, first: bool) -> list[str]:
    """The kinds of answers that can change what the script does; on its other arguments only the likely ones."""
    text = script.read_text(errors="replace")
    kinds = ["real"]
    if "support_kfunc" in text:
        kinds.append("fentry")
    if first and re.search(r"has_field|tracepoint_exists|get_kprobe_functions|ksymname|kallsyms|support_", text):
        kinds += ["all", "none"]
    return kinds


def record(script: Path, answers: str, arguments: list[str]) -> tuple[list[dict[str, Any]], str]:
    """The programs of one run, and what it said on standard error."""
    with tempfile.TemporaryDirectory(prefix="bcc_corpus.") as scratch:
        out = Path(scratch, "records")
        argv = ["unshare", "-n", "-m", "sh", "-c", INSIDE, "sh"]
        argv += [sys.executable, "-m", "benchmarks.bcc_recorder", str(out), answers, str(script), *arguments]
        path = os.pathsep.join([str(Path(__file__).parent.parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
        env = os.environ | {"PYTHONPATH": path, "PYTHONWARNINGS": "ignore"}
        try:
            done = subprocess.run(
                argv, capture_output=True, text=True, env=env, timeout=LIMIT_S + 20, stdin=subprocess.DEVNULL
            )
        except subprocess.TimeoutExpired:
            return [], "did not end"
        lines = out.read_text().splitlines() if out.exists() else []
        return [json.loads(line) for line in lines], (done.stderr.strip() or done.stdout.strip())[-2000:]


def capture(bcc: Path, out: Path, only: str = "", groups: str = "", jobs: int = 2) -> None:
    """Record all scripts, and print how many distinct programs each group has."""
    tasks = [
        (group, script, answers, arguments)
        for group, script in scripts(bcc)
        if only in script.name and group in (groups or group)
        for number, arguments in enumerate(argument_lists(script))
        for answers in questions(script, first=number == 0)
    ]
    seen: dict[str, dict[tuple[str, ...], Path]] = {}
    counts: dict[tuple[str, str], int] = {}
    silent: dict[str, str] = {}
    with ThreadPoolExecutor(jobs) as pool:
        for (group, script, _, _), (records, said) in zip(
            tasks, pool.map(lambda t: record(*t[1:]), tasks), strict=True
        ):
            name = script.stem if script.parent.name != "old" else f"old_{script.stem}"
            for one in records:
                known = seen.setdefault(group, {})
                key = (one["text"], *one["cflags"])
                if key in known:
                    continue
                number = counts[group, name] = counts.get((group, name), 0) + 1
                known[key] = out / group / f"{name}-{number}.json"
                known[key].parent.mkdir(parents=True, exist_ok=True)
                known[key].write_text(json.dumps(one, indent=1) + "\n")
            if not counts.get((group, name)):
                silent[f"{group}/{name}"] = said.splitlines()[-1] if said else "said nothing"
            else:
                silent.pop(f"{group}/{name}", None)
    for group, known in seen.items():
        print(f"{group}: {len(known)} distinct programs")
    for name, said in silent.items():
        print(f"  none: {name}: {said}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bcc_corpus", description=__doc__)
    parser.add_argument("bcc", type=Path, help="a directory with bcc's sources")
    parser.add_argument("out", type=Path, help="where the programs go")
    parser.add_argument("--only", default="", help="only scripts with this in their name")
    parser.add_argument("--groups", default="", help="of tests, examples and tools (default: all)")
    options = parser.parse_args()
    capture(options.bcc, options.out, options.only, options.groups)


if __name__ == "__main__":
    main()

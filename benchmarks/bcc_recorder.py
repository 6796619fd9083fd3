"""Runs one bcc script with a recording `BPF` in bcc's place: its program texts and calls are written down, nothing is
compiled, loaded or attached.

`python -m benchmarks.bcc_recorder OUT ANSWERS SCRIPT [ARGUMENT...]` appends a line of JSON to OUT for each `BPF(...)`.
ANSWERS is what the script is told about the kernel: "real" (the facts), "fentry" (the same, and fentry is there), "all"
or "none" (whatever it asks for is there, or is not).  bcc's other modules (`bcc.utils`, `bcc.containers`, ...) are the
installed ones.
"""

from __future__ import annotations

import ast
import builtins
import io
import json
import os
import re
import runpy
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

ANSWERS = ("real", "fentry", "all", "none")
DEBIAN_PACKAGES = "/usr/lib/python3/dist-packages"  # bcc is a package of Debian's own Python
STAND_INS = (
    *("pyroute2", "pyroute2.netns", "netaddr", "prometheus_client", "cachetools", "six", "bcc.exec", "netifaces"),
    *("simulation", "dnslib", "requests", "flask", "kafka", "curses"),
)
# Symbols that tools look for before they begin, of modules that few machines have loaded.
MODULE_SYMBOLS = (
    *("btrfs_file_operations", "ext4_file_operations", "ext4_file_open", "xfs_file_operations", "xfs_file_read_iter"),
    *("f2fs_file_operations", "zpl_iter_read", "zpl_read", "nfs_file_read", "nfs4_file_open", "nfs_file_operations"),
    *("md_flush_request", "blk_account_io_start", "blk_account_io_done", "rdma_create_qp"),
)
HARMLESS = {"cat", "grep", "uname", "ldconfig", "/sbin/ldconfig", "ldd", "readelf", "which", "file"}
LIMIT_S = 25
_open = builtins.open


class Enough(BaseException):
    """The script has waited often enough."""


class Anything:
    """Stands for a table, a socket, an interface: takes every call, is 0 and empty."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything()

    def __call__(self, *_: Any, **__: Any) -> Any:
        return Anything()

    def __getitem__(self, _: Any) -> Any:
        return Anything()

    def __setitem__(self, _: Any, __: Any) -> None:
        pass

    def __delitem__(self, _: Any) -> None:
        pass

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __index__(self) -> int:
        return 0

    def __int__(self) -> int:
        return 0

    def __float__(self) -> float:
        return 0.0

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Run:
    """One run of a script, and the record of each program that it makes."""

    def __init__(self, answers: str, script: Path, arguments: list[str]) -> None:
        self.answers = answers
        self.script = script
        self.arguments = arguments
        self.is_test = script.name.startswith("test_")
        self.waits = 0
        self.records: list[dict[str, Any]] = []

    def record(self, text: str, cflags: list[str], probes: list[list[Any]], src_file: str, to_fail: bool) -> list[Any]:
        """A program; returns the list that the calls on it go to.  Tables that a program of the same run shares are
        told by the texts `before` it."""
        calls: list[Any] = []
        known = {"text": text, "cflags": cflags, "script": self.script.name, "args": self.arguments}
        more = {"answers": self.answers, "src_file": src_file, "usdt": bool(probes), "usdt_probes": probes}
        shared = [one["text"] for one in self.records if "_PUBLIC" in one["text"] or "_SHARED" in one["text"]]
        before = shared[-1:] if "extern" in text else []
        self.records.append(known | more | {"calls": calls, "to_fail": to_fail, "before": before})
        return calls

    def waited(self) -> None:
        """The script waits for events: as if Ctrl-C came then."""
        self.waits += 1
        if self.is_test and self.waits > 100:
            raise TimeoutError("waited often enough")
        if not self.is_test and self.waits > 6:
            raise Enough
        if not self.is_test and self.waits > 1 and self.records:
            raise KeyboardInterrupt

    def tell(self, real: bool) -> bool:
        """The answer to a question about the kernel whose true one is `real`."""
        return {"all": True, "none": False}.get(self.answers, real)


def plain(value: Any) -> Any:
    """An argument as JSON has it."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def is_to_fail(script: Path) -> bool:
    """Does the script's own code, where it is now, expect an exception: `with self.assertRaises(...)`?"""
    frame: Any = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename == str(script):
            line = frame.f_lineno
            if any(first < line <= last for first, last in raising_lines(script)):
                return True
        frame = frame.f_back
    return False


@cache
def raising_lines(script: Path) -> list[tuple[int, int]]:
    tree = ast.parse(script.read_text(errors="replace"))
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.With)]
    return [(node.lineno, node.end_lineno or 0) for node in nodes if "assertRaises" in ast.dump(node.items[0])]


@cache
def kernel_symbols() -> dict[str, int]:
    lines = (line.split() for line in _open("/proc/kallsyms"))
    return {line[2]: int(line[0], 16) for line in lines if line[1] in "tTwW"}


def recording_bpf(run: Run, real: Any) -> type:
    """The class that takes the place of bcc's `BPF`, which is `real`."""

    class Function(Anything):
        def __init__(self, bpf: Any, name: Any) -> None:
            super().__init__()
            self.bpf, self.name, self.fd, self.sock = bpf, name, 3, 3

    class BPF:
        def __init__(
            self,
            src_file: Any = b"",
            hdr_file: Any = b"",
            text: Any = None,
            debug: int = 0,
            cflags: Any = (),
            usdt_contexts: Any = (),
            **_: Any,
        ) -> None:
            name = plain(src_file)
            if text is None:
                found = next(d / name for d in (Path(), run.script.parent) if (d / name).is_file())
                text, name = found.read_bytes(), str(found.resolve())
            probes = [probe for context in usdt_contexts for probe in context.enabled]
            self.calls = run.record(plain(text), [plain(flag) for flag in cflags], probes, name, is_to_fail(run.script))
            self.tables: dict[Any, Any] = {}
            self.funcs: dict[Any, Any] = {}

        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            return lambda *args, **named: self._call(name, args, named)

        def _call(self, name: str, args: Any, named: dict[str, Any]) -> Any:
            self.calls.append([name, [plain(a) for a in args], {k: plain(v) for k, v in named.items()}])
            if is_to_fail(run.script):
                run.records[-1]["to_fail"] = True
            return Anything()

        def __getitem__(self, name: Any) -> Any:
            return Anything()

        get_table = __getitem__

        def __iter__(self) -> Any:
            return iter(())

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def load_func(self, func_name: Any, prog_type: int, *_: Any, **__: Any) -> Any:
            self._call("load_func", (func_name, int(prog_type)), {})
            return Function(self, func_name)

        def num_open_kprobes(self) -> int:
            return 1

        num_open_uprobes = num_open_tracepoints = num_open_kprobes

        def _wait(self, *_: Any, **__: Any) -> Any:
            run.waited()
            return 0

        perf_buffer_poll = perf_buffer_consume = ring_buffer_poll = ring_buffer_consume = kprobe_poll = trace_print = (
            _wait
        )

        def trace_readline(self, nonblocking: bool = False) -> bytes:
            run.waited()
            return b""

        def trace_fields(self, nonblocking: bool = False) -> Any:
            run.waited()
            return (None,) * 6 if nonblocking else (b"task", 1, 0, b"....", 1.0, b"0 0 0 0")

        @staticmethod
        def get_kprobe_functions(event_re: bytes) -> set[bytes]:
            found = {s.encode() for s in kernel_symbols() if re.fullmatch(event_re, s.encode())}
            plain_name = re.fullmatch(rb"\^?([A-Za-z0-9_]+)\$?", event_re)
            if run.answers == "all" and not found and plain_name:
                return {plain_name[1]}
            return set() if run.answers == "none" else found

        @staticmethod
        def ksymname(name: bytes) -> int:
            return 0x1000 if run.tell(plain(name) in kernel_symbols()) else -1

        @staticmethod
        def get_syscall_fnname(name: Any) -> Any:
            return BPF.get_syscall_prefix() + name if isinstance(name, bytes) else "__x64_sys_" + name

        @staticmethod
        def get_syscall_prefix() -> bytes:
            return b"__x64_sys_"

        @staticmethod
        def fix_syscall_fnname(name: bytes) -> bytes:
            return re.sub(rb"^(sys_|__x64_sys_)", b"__x64_sys_", name)

        @staticmethod
        def support_kfunc() -> bool:
            return run.answers in ("fentry", "all")

        support_lsm = support_fmod_ret = support_kfunc

        @staticmethod
        def support_raw_tracepoint() -> bool:
            return run.tell(True)

        support_raw_tracepoint_in_module = support_raw_tracepoint

        @staticmethod
        def kernel_struct_has_field(struct: Any, field: Any) -> int:
            return int(run.tell(real.kernel_struct_has_field(struct, field) == 1))

        @staticmethod
        def tracepoint_exists(category: Any, event: Any) -> bool:
            return run.tell(Path("/sys/kernel/tracing/events", plain(category), plain(event)).is_dir())

        @staticmethod
        def sym(*_: Any, **__: Any) -> bytes:
            return b"[unknown]"

        ksym = sym

        @staticmethod
        def attach_raw_socket(fn: Any, dev: Any) -> None:
            fn.bpf._call("attach_raw_socket", (fn.name, dev), {})

        @staticmethod
        def attach_xdp(dev: Any, fn: Any = None, flags: int = 0) -> None:
            fn.bpf._call("attach_xdp", (dev, fn.name), {})

        @staticmethod
        def attach_func(fn: Any, fd: Any, kind: Any, flags: int = 0) -> None:
            fn.bpf._call("attach_func", (fn.name, kind), {})

        @staticmethod
        def generate_auto_includes(words: Any) -> Any:
            return real.generate_auto_includes(words)

        @staticmethod
        def get_tracepoints(pattern: bytes) -> Any:
            return [b"sched:sched_switch"]

        @staticmethod
        def get_user_functions_and_addresses(name: bytes, pattern: bytes) -> Any:
            return [(b"malloc", 0x1000)]

        @staticmethod
        def get_probe_limit() -> int:
            return 1000

        @staticmethod
        def monotonic_time() -> int:
            return time.monotonic_ns()

        @staticmethod
        def find_library(name: Any) -> Any:
            return real.find_library(name) or b"/usr/lib/lib" + name + b".so"

        @staticmethod
        def find_exe(name: Any) -> Any:
            return real.find_exe(name) or b"/usr/bin/" + name

        @staticmethod
        def add_module(_: Any) -> None:
            pass

        detach_func = remove_xdp = add_module

    for name in dir(real):
        if name.isupper() or name.startswith("XDP_"):
            setattr(BPF, name, getattr(real, name))
    for name, value in {"SOCK_OPS": 13, "SK_MSG": 16, "CGROUP_SOCK": 9, "SCHED_CLS": 3, "LSM": 29}.items():
        if not hasattr(BPF, name):
            setattr(BPF, name, value)
    return BPF


class USDT:
    """Has every probe, each with six integer arguments."""

    def __init__(self, pid: int | None = None, path: Any = None) -> None:
        self.pid = pid
        self.path = path
        self.enabled: list[list[Any]] = []

    def enable_probe(self, probe: Any, fn_name: Any) -> None:
        self.enabled.append([plain(probe), plain(fn_name)])

    enable_probe_or_bail = enable_probe

    def enumerate_probes(self) -> list[Any]:
        return []

    enumerate_active_probes = enumerate_probes

    def get_probe_arg_ctype(self, probe_name: Any, arg_index: int) -> str:
        return "uint64_t"

    def get_text(self) -> str:
        return ""

    def get_context(self) -> None:
        return None


def fence(run: Run) -> None:
    """No other process is started or ended, nothing is changed, and waiting is short."""

    def refuse(event: str, args: tuple[Any, ...]) -> None:
        if event in ("os.system", "os.kill", "os.fork", "os.exec", "os.posix_spawn", "os.remove", "socket.connect"):
            raise PermissionError(f"{event}: not while recording")
        if event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
            target = str(args[0])
            if not target.startswith(("/dev/null", "/tmp/")) and target != "1" and target != "2":
                raise PermissionError(f"{target}: not while recording")

    popen = subprocess.Popen

    def start(argv: Any, *args: Any, **named: Any) -> Any:
        words = argv.split() if isinstance(argv, str) else [plain(word) for word in argv]
        if Path(words[0]).name not in HARMLESS:
            return Anything()
        return popen(argv, *args, **named)

    def sleep(_: float) -> None:
        run.waited()

    def opened(file: Any, mode: str = "r", *args: Any, **named: Any) -> Any:
        if str(file) == "/proc/kallsyms" and run.answers == "all":
            extra = "".join(f"ffffffff00000000 t {name}\t[module]\n" for name in MODULE_SYMBOLS)
            text = _open(file).read() + extra
            return io.BytesIO(text.encode()) if "b" in mode else io.StringIO(text)
        return _open(file, mode, *args, **named)

    sys.addaudithook(refuse)
    subprocess.Popen = start  # type: ignore[misc,assignment]
    subprocess.call = lambda *_, **__: 0
    os.system = lambda command: 0
    time.sleep = sleep  # type: ignore[assignment]
    builtins.open = opened


def install(run: Run) -> None:
    """Put our `BPF` and `USDT` in the installed bcc, and something for what is not installed."""
    sys.path.append(DEBIAN_PACKAGES)
    import bcc  # type: ignore[import-not-found,unused-ignore]

    bcc.BPF = recording_bpf(run, bcc.BPF)
    bcc.USDT = USDT
    for home, name in (("bcc.utils", "ArgString"), ("bcc.utils", "StrcmpRewrite")):
        setattr(bcc, name, getattr(__import__(home, fromlist=[name]), name))
    for name in STAND_INS:
        module = ModuleType(name)
        module.__getattr__ = lambda _: Anything  # type: ignore[method-assign]
        module.__path__ = []
        sys.modules.setdefault(name, module)
    for name in ("add_module", "lib"):
        if not hasattr(bcc, name):
            setattr(bcc, name, Anything())
    import bcc.perf

    bcc.perf.Perf = bcc.Perf = Anything()


def main(out: str, answers: str, script: str, *arguments: str) -> NoReturn:
    run = Run(answers, Path(script).resolve(), list(arguments))
    install(run)

    def stop(*_: Any) -> None:
        raise Enough

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(LIMIT_S)
    os.chdir(run.script.parent)
    sys.path.insert(0, str(run.script.parent))
    sys.argv = [script, *arguments]
    real_open = _open
    fence(run)
    status = 0
    try:
        runpy.run_path(str(run.script), run_name="__main__")
    except SystemExit as end:
        print("exit:", end.code, file=sys.stderr)
    except (Enough, KeyboardInterrupt):
        pass
    except BaseException as error:
        import traceback

        traceback.print_exc()
        print(f"ended by {error!r}", file=sys.stderr)
        status = 1
    signal.alarm(0)
    with real_open(out, "a") as file:
        file.writelines(json.dumps(record) + "\n" for record in run.records)
    sys.stdout.flush()
    os._exit(status)


if __name__ == "__main__":
    main(*sys.argv[1:])

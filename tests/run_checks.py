"""What `stingless run` promises, checked on either kernel by a subclass that names it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

DECK = Path(__file__).resolve().parents[1] / "examples/deck"
LOOP = ("bash", "-c", "for i in 1 2 3; do /bin/true; done")
HELLO = """
from stingless import BPF
b = BPF(text='int f(void *ctx) {{ bpf_trace_printk("seen"); return 0; }}')
{attach}
{wait}
"""
CLONE = 'b.attach_kprobe(event="sys_clone", fn_name="f")'


def alive(pattern: str) -> list[str]:
    """Command lines of live processes that contain `pattern`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if pattern in line and str(os.getpid()) not in path.parts:
            found.append(line)
    return found


def gone(pattern: str, seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while alive(pattern):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def named(lines: str, comm: str) -> str:
    """trace_pipe has `<...>` for a process whose name the kernel did not keep: it keeps few (saved_cmdlines_size)."""
    return lines.replace("<...>", comm)


class RunChecks:
    """`kernel` is the name for --kernel."""

    kernel = ""

    def argv(self, script: Path, *command: str, args: tuple[str, ...] = ()) -> list[str]:
        words = [sys.executable, "-m", "stingless", "run", "--kernel", self.kernel, str(script), *args]
        return [*words, "--", *command] if command else words

    def run(self, script: Path, *command: str, args: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.argv(script, *command, args=args), capture_output=True, text=True, timeout=60, check=False
        )

    def write(self, folder: Path, text: str) -> Path:
        path = folder / "script.py"
        path.write_text(text)
        return path

    def hello(self, folder: Path, attach: str = CLONE, wait: str = "b.trace_print()") -> Path:
        return self.write(folder, HELLO.format(attach=attach, wait=wait))

    # The deck

    def test_an_object_with_typed_records(self) -> None:
        done = self.run(DECK.parent / "objects/opens.py", "cat", "/etc/hostname")
        assert done.returncode == 0, done.stderr
        assert re.search(r"^ *\d+ cat +/etc/hostname$", done.stdout, re.M), done.stdout

    @pytest.mark.parametrize("script", ["hello.py", "auto_attach.py", "pipeline.py"])
    def test_lines_for_each_process(self, script: str) -> None:
        done = self.run(DECK / script, *LOOP)
        assert done.returncode == 0, done.stderr
        assert len(re.findall(r"-\d+ .*bpf_trace_printk: Hello", done.stdout)) == 3
        assert f"kernel: {self.kernel}" in done.stderr

    def test_under_bccs_name(self, tmp_path: Path) -> None:
        text = (DECK / "hello.py").read_text().replace("from stingless import BPF", "from bcc import BPF")
        done = self.run(self.write(tmp_path, text), *LOOP)
        assert done.stdout.count("Hello world") == 3, done.stderr

    @pytest.mark.skipif(not shutil.which("strace"), reason="needs strace to compare with")
    def test_count_is_what_strace_counts(self, tmp_path: Path) -> None:
        command = ("sh", "-c", "ls / >/dev/null; cat /etc/hostname /etc/passwd >/dev/null & wait")
        log = tmp_path / "log"
        subprocess.run(["strace", "-c", "-f", "-e", "trace=openat", "-o", str(log), *command], check=True)
        row = next(line.split() for line in log.read_text().splitlines() if line.endswith(" openat"))
        done = self.run(DECK / "count.py", *command)
        assert f"total: {row[3]}\n" in done.stdout, done.stderr

    def test_verifier_says_no(self) -> None:
        done = self.run(DECK / "verifier.py")
        assert done.returncode == 0, done.stderr
        assert "main.c:7: return *count > 10;" in done.stdout
        assert "may be NULL" in done.stdout
        assert "what to do: check the pointer" in done.stdout

    def test_kprobe_reads_arguments_and_results(self) -> None:
        # The command's own output would come between the lines.
        done = self.run(DECK / "kprobe.py", "bash", "-c", "cat /etc/hostname > /dev/null")
        out = named(done.stdout, "cat")
        opened = re.search(r"^cat (\d+): openat\(/etc/hostname\)\n", out, re.M)
        assert opened, done.stdout + done.stderr
        # Lines of others come between where trace_pipe is shared with programs of theirs.
        following = re.search(rf"^cat {opened[1]}: (.*)$", out[opened.end() :], re.M)
        assert following, done.stdout + done.stderr
        assert re.fullmatch(r"  returned \d+", following[1]), done.stdout + done.stderr

    def test_uprobe(self) -> None:
        done = self.run(DECK / "uprobe.py", "ls", "/")
        assert re.search(r"ls \d+: opendir\(/\)", named(done.stdout, "ls")), done.stdout + done.stderr

    def test_tracepoint(self) -> None:
        done = self.run(DECK / "tracepoint.py", *LOOP)
        assert done.stdout.count("execve(/bin/true)") == 3, done.stderr

    def test_perf_event(self) -> None:
        done = self.run(DECK / "perf_event.py", sys.executable, "-c", "sum(i * i for i in range(4_000_000))")
        counts = re.findall(r"python\S* \(pid \d+\): (\d+) samples", done.stdout)
        assert counts and int(counts[0]) > 5, done.stdout + done.stderr

    # The command

    def test_exit_status(self, tmp_path: Path) -> None:
        assert self.run(self.hello(tmp_path), "sh", "-c", "exit 7").returncode == 7
        assert self.run(self.hello(tmp_path), "sh", "-c", "kill -TERM $$").returncode == 128 + signal.SIGTERM

    def test_script_that_sleeps(self, tmp_path: Path) -> None:
        wait = "import time\ntry:\n    time.sleep(99999)\nexcept KeyboardInterrupt:\n    print('interrupted')"
        done = self.run(self.hello(tmp_path, wait=wait), *LOOP)
        assert done.stdout == "interrupted\n", done.stderr

    def test_script_that_ends_first(self, tmp_path: Path) -> None:
        done = self.run(self.hello(tmp_path, wait=""), "sh", "-c", "echo ran; exit 3")
        assert (done.stdout, done.returncode) == ("ran\n", 3), done.stderr

    def test_script_that_computes(self, tmp_path: Path) -> None:
        """It never waits in a way that we see: its command starts all the same."""
        done = self.run(self.hello(tmp_path, wait="while True: pass"), "sh", "-c", "echo ran")
        assert (done.stdout, done.returncode) == ("ran\n", 0), done.stderr

    def test_command_that_does_not_exist(self, tmp_path: Path) -> None:
        done = self.run(self.hello(tmp_path), "no-such-command-here")
        assert done.returncode == 127
        assert "cannot run 'no-such-command-here': No such file" in done.stderr

    def test_command_without_a_name(self, tmp_path: Path) -> None:
        done = self.run(self.hello(tmp_path), "")
        assert done.returncode == 127
        assert "cannot run '': No such file" in done.stderr

    def test_a_hundred_objects_leave_nothing(self, tmp_path: Path) -> None:
        """With a warning that becomes an error for what is not closed at the end."""
        script = self.write(
            tmp_path,
            """
import gc, os
from stingless import BPF
counts = []
for i in range(100):
    with BPF(text='BPF_HASH(h); BPF_PERF_OUTPUT(e); int f(void *ctx) { h.increment(1); return 0; }') as b:
        b.attach_kprobe(event="sys_clone", fn_name="f")
        b["e"].open_perf_buffer(print)
        b.perf_buffer_poll(0)
    counts.append(len(os.listdir("/proc/self/fd")))
del b
gc.collect()
alive = [o for o in gc.get_objects() if type(o).__name__ in ("EmbeddedProgram", "LinuxProgram")]
print(counts[0] == counts[-1], len(alive))
b = BPF(text='BPF_HASH(h); int f(void *ctx) { return h.lookup(&(u64){1}) != 0; }')
b.attach_kprobe(event="sys_clone", fn_name="f")
""",
        )
        environment = os.environ | {"STINGLESS_KERNEL": self.kernel}
        argv = [sys.executable, "-X", "dev", "-W", "error", str(script)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, env=environment)
        assert done.stdout == "True 0\n", done.stderr
        assert "Warning" not in done.stderr and "Traceback" not in done.stderr

    def test_a_closed_object_says_so(self, tmp_path: Path) -> None:
        script = self.write(
            tmp_path,
            """
from stingless import BPF
from stingless.errors import ClosedError
b = BPF(text='BPF_PERF_OUTPUT(e); int f(void *ctx) { bpf_trace_printk("x"); return 0; }')
b.attach_kprobe(event="sys_clone", fn_name="f")
b["e"].open_perf_buffer(print)
b.trace_readline(nonblocking=True)
b.cleanup()
for use in (lambda: b.trace_readline(nonblocking=True), lambda: b.perf_buffer_poll(0), lambda: b["e"]):
    try:
        use()
    except ClosedError as error:
        print(error)
""",
        )
        assert self.run(script).stdout.count("this BPF object was closed") == 3

    @pytest.mark.parametrize("delay", [0.05, 0.1, 0.15, 0.2, 0.3])
    def test_ctrl_c_while_it_starts(self, tmp_path: Path, delay: float) -> None:
        """Twice, at any moment: neither a traceback from our own insides nor a process is left."""
        name = f"31337.{os.getpid()}{delay * 100:02.0f}"
        argv = self.argv(self.hello(tmp_path), "sleep", name)
        ours = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
        time.sleep(delay)
        for _ in range(2):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(ours.pid, signal.SIGINT)
            time.sleep(0.01)
        _, errors = ours.communicate(timeout=30)
        assert ours.returncode != 0
        assert gone(f"sleep {name}") and gone(name)
        assert b"ClosedError" not in errors and b"guardian.py" not in errors, errors.decode()

    def test_arguments_reach_the_script(self, tmp_path: Path) -> None:
        script = self.write(tmp_path, "import sys\nprint(sys.argv[1:])")
        assert self.run(script, args=("-x", "--kernel", "y")).stdout == "['-x', '--kernel', 'y']\n"

    def test_detached_probe_sees_nothing(self, tmp_path: Path) -> None:
        attach = f'{CLONE}\nb.detach_kprobe(event="sys_clone")'
        done = self.run(self.hello(tmp_path, attach, "import time; time.sleep(99999)"), *LOOP)
        assert done.returncode == 0 and "seen" not in done.stdout, done.stderr

    def test_events_reach_a_callback(self, tmp_path: Path) -> None:
        script = self.write(
            tmp_path,
            """
from stingless import BPF
b = BPF(text='''
struct event { u32 pid; char comm[16]; };
BPF_PERF_OUTPUT(events);
BPF_RINGBUF_OUTPUT(ring, 1);
int f(void *ctx) {
    struct event e = {};
    e.pid = bpf_get_current_pid_tgid() >> 32;
    bpf_get_current_comm(e.comm, sizeof(e.comm));
    events.perf_submit(ctx, &e, sizeof(e));
    ring.ringbuf_output(&e, sizeof(e), 0);
    return 0;
}''')
b.attach_kprobe(event="sys_clone", fn_name="f")
def show(kind):
    def callback(cpu, data, size):
        event = b[kind].event(data)
        print(kind, event.comm.decode(), event.pid > 0, flush=True)
    return callback
b["events"].open_perf_buffer(show("events"))
b["ring"].open_ring_buffer(show("ring"))
try:
    while True:
        b.perf_buffer_poll(100)
        b.ring_buffer_poll(100)
except KeyboardInterrupt:
    pass
""",
        )
        done = self.run(script, *LOOP)
        assert sorted(done.stdout.splitlines()) == ["events bash True"] * 3 + ["ring bash True"] * 3, done.stderr

    # Bad input

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ('b["fo"]', "no table named 'fo'"),
            ('b.attach_kprobe(event="sys_clone", fn_name="ff")', "no function named 'ff'; the nearest: f"),
            ('b.attach_tracepoint(tp="syscalls:sys_enter_opnat", fn_name="f")', "sys_enter_openat"),
            ('b.attach_kprobe(event="sys_clonne", fn_name="f")', "clone"),
            ('b.attach_uprobe(name="c", sym="opendirr", fn_name="f")', "the nearest: opendir"),
            ('b.attach_uprobe(name="no_such_library", sym="x", fn_name="f")', "no library or program named"),
            (
                'BPF(text="int f(void *ctx) {\\n  return x;\\n}")',
                "main.c:2:10: error: use of undeclared identifier 'x'",
            ),
        ],
    )
    def test_mistakes_are_named(self, tmp_path: Path, line: str, message: str) -> None:
        done = self.run(self.hello(tmp_path, line))
        assert done.returncode == 1
        assert message in done.stderr
        assert "script.py:4: " in done.stderr

    def test_failing_script_ends_its_command(self, tmp_path: Path) -> None:
        done = self.run(self.hello(tmp_path, wait="1 / 0"), "sleep", "4242.1")
        assert done.returncode == 1
        assert "ZeroDivisionError" in done.stderr and "runpy" not in done.stderr
        assert gone("4242.1")

    def test_no_script(self, tmp_path: Path) -> None:
        done = self.run(tmp_path / "absent.py")
        assert done.returncode == 2 and "no script" in done.stderr

    # Nothing is left behind

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
    def test_nothing_is_left_behind(self, tmp_path: Path, number: signal.Signals) -> None:
        seconds = f"4343.{number}{self.kernel == 'linux':d}"
        script = self.hello(tmp_path, wait="print('ready', flush=True)\nb.trace_print()")
        process = subprocess.Popen(
            self.argv(script, "sh", "-c", f"sleep {seconds} & sleep {seconds}"),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert process.stdout is not None
        process.stdout.readline()
        deadline = time.monotonic() + 10
        while len(alive(f"sleep {seconds}")) < 4 and time.monotonic() < deadline:  # the run, the shell, two sleeps
            time.sleep(0.05)
        process.send_signal(number)
        process.wait(10)
        process.stdout.close()
        assert gone(f"sleep {seconds}"), alive(f"sleep {seconds}")

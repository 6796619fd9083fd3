"""The package `bcc` and its small modules, none of which needs a kernel."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from argparse import Namespace

import pytest

import stingless.bcc
from stingless.bcc import BPF, containers, disassembler, tcp, utils
from stingless.bcc import exec as commands
from stingless.bcc.syscall import syscall_name, syscalls
from stingless.bcc.targets import named, target_of
from stingless.errors import AttachError

NAMES = """
import sys
from stingless.bcc.alias import install
install()
install()
import bcc, bcc.utils, bcc.table
import stingless.bcc, stingless.bcc.utils
from bcc import *
from bcc import BPF as again, DEBUG_PREPROCESSOR, TRACEFS, _get_num_open_probes, libbcc, perf, disassembler
assert bcc is stingless.bcc
assert bcc.utils is stingless.bcc.utils is sys.modules["bcc.utils"]
assert bcc.utils.__name__ == "stingless.bcc.utils"
assert BPF is again is stingless.bcc.BPF
assert bcc.table.Array.__module__.startswith("stingless.")
assert DEBUG_PREPROCESSOR == 4 and _get_num_open_probes() == 0
for name in bcc.__all__:
    getattr(bcc, name)
try:
    import bcc.no_such_module
except ModuleNotFoundError as error:
    print(error)
try:
    bcc.no_such_name
except AttributeError as error:
    print(error)
"""


def test_one_package_under_two_names() -> None:
    done = subprocess.run([sys.executable, "-c", NAMES], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "No module named 'bcc.no_such_module'",
        "module 'bcc' has no attribute 'no_such_name'",
    ]


def test_version_is_a_version() -> None:
    assert all(part.isdigit() for part in stingless.bcc.__version__.split("."))


# utils


def test_printb_keeps_bytes_and_order() -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="utf-8")
    out.write("first ")
    utils.printb(b"\xff", file=out)
    utils.printb(b"last", file=out, nl=0)
    assert raw.getvalue() == b"first \xff\nlast"
    text = io.StringIO()
    utils.printb(b"x", file=text)
    assert text.getvalue() == "x\n"


def test_arg_string_is_the_bytes_that_were_given() -> None:
    word = os.fsdecode(b"caf\xe9")
    assert bytes(utils.ArgString(word)) == b"caf\xe9"
    assert str(utils.ArgString("x")) == "x"


def test_language_of_this_process() -> None:
    assert utils.detect_language(["java", "python"], os.getpid()) == "python"
    assert utils.detect_language(["java"], os.getpid()) is None


def test_cpus() -> None:
    assert set(utils.get_online_cpus()) <= set(utils.get_possible_cpus())


def test_strcmp_becomes_functions() -> None:
    made = utils.StrcmpRewrite.rewrite_expr('STRCMP("abc", arg1) && STRCMP("de", arg2)', False, False, ["arg2"], "", 3)
    assert made["expr"] == 'streq_3("abc", arg1) && streq_4("de", arg2)'
    assert made["probeid"] == 5
    first, second = made["streq_functions"].split("static inline bool ")[1:]
    assert first.startswith("streq_3(") and '"abc"' in first and "bpf_probe_read_kernel(" in first
    assert second.startswith("streq_4(") and '"de"' in second and "bpf_probe_read_user(" in second


# others


def test_tcp_names() -> None:
    assert (tcp.tcpstate[1], tcp.tcpstate[10], tcp.tcpstate[12]) == ("ESTABLISHED", "LISTEN", "NEW_SYN_RECV")
    assert tcp.flags2str(tcp.TCPHDR_SYN | tcp.TCPHDR_ACK) == "SYN|ACK"
    assert [tcp.state2str(state) for state in (1, 12, 99)] == ["ESTABLISHED", "NEW_SYN_RECV", "99"]
    assert tcp.TCPHDR_CWR == 0x80


def test_syscall_names() -> None:
    numbers = {name: number for number, name in syscalls.items()}
    assert syscall_name(numbers[b"openat"]) == b"openat"
    assert syscall_name(99999) == b"[unknown: 99999]"


@pytest.mark.parametrize(("cgroup", "namespace"), [(None, None), ("/a/b", None), (None, "/c"), ("/a", "/c")])
def test_container_filter(cgroup: str | None, namespace: str | None) -> None:
    text = containers.filter_by_containers(Namespace(cgroupmap=cgroup, mntnsmap=namespace))
    assert text.count("BPF_TABLE_PINNED") == bool(cgroup) + bool(namespace)
    assert ("MNT_NAMESPACE_DEFINED" in text) == bool(namespace)
    assert "container_should_be_filtered()" in text
    assert text.count("{") == text.count("}")


def test_command_waits_until_it_may_run(capfd: pytest.CaptureFixture[str]) -> None:
    pid = commands.run_cmd(["sh", "-c", "echo ran"])
    time.sleep(0.1)
    assert not commands.cmd_exited()
    assert capfd.readouterr().out == ""
    commands.cmd_ready()
    deadline = time.monotonic() + 10
    while not commands.cmd_exited():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert capfd.readouterr().out == "ran\n"
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, 0)


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("kfunc__vfs_read", "vfs_read"),
        ("kfunc__vmlinux__vfs_read", "vfs_read"),
        ("kretfunc____x64_sys_read", "__x64_sys_read"),
        ("kfunc__no_such_module__f", "no_such_module__f"),
        ("kmod_ret__security_file_open", "security_file_open"),
        ("lsm__file_open", "file_open"),
        ("bpf_iter__task", "task"),
    ],
)
def test_targets_by_name(name: str, target: str) -> None:
    assert target_of(name)["attach_target"] == target


def test_no_target() -> None:
    with pytest.raises(AttachError, match="does not say what it is for"):
        target_of("on_open")


def test_functions_by_what_they_are_for() -> None:
    functions = ["kfunc__vmlinux__vfs_read", "kretfunc__vfs_read", "kfunc__ext4__ext4_sync_fs"]
    assert named("kfunc__", "vfs_read", functions) == "kfunc__vmlinux__vfs_read"
    assert named("kfunc__", "kfunc__vmlinux__vfs_read", functions) == "kfunc__vmlinux__vfs_read"
    assert named("kretfunc__", "vfs_read", functions) == "kretfunc__vfs_read"
    assert named("kfunc__", "ext4_sync_fs", functions) == "kfunc__ext4__ext4_sync_fs"


def test_disassembly_is_as_bcc_has_it() -> None:
    code = bytes.fromhex(
        "b701000000000000"  # r1 = 0
        "1801000078563412 00000000efcdab90"
        "6902fcff00000000"
        "550203000a000000"
        "8500000001000000"
        "9500000000000000"
    )
    assert disassembler.disassemble_str(code) == [
        "   0: (b7) r1 = 0",
        "   1: (18) r1 = 0x90abcdef12345678",
        "   2:      (64-bit upper word)",
        "   3: (69) r2 = *(u16*)(r0 -4)",
        "   4: (55) if r2 != 10 goto pc+3 <8>",
        "   5: (85) call bpf_map_lookup_elem#1",
        "   6: (95) exit",
    ]
    assert disassembler.disassemble_prog(b"f", code[:8]) == "Disassemble of BPF program b'f':\n   0: (b7) r1 = 0"


def test_auto_includes_and_prefixes() -> None:
    assert BPF.generate_auto_includes(["sk_buff", "x"]) == "#include <linux/netdevice.h>\n"
    assert BPF.add_prefix(b"kfunc__", b"vfs_read") == BPF.add_prefix(b"kfunc__", b"kfunc__vfs_read")
    assert BPF.fix_syscall_fnname("__ia32_compat_sys_open") == BPF.get_syscall_fnname(b"open")
    assert BPF.fix_syscall_fnname("vfs_open") == b"vfs_open"


def test_limit_on_locked_memory_may_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    from stingless._sys import limits

    asked: list[object] = []
    monkeypatch.setattr(limits, "_kept", False)
    monkeypatch.setattr("stingless._sys.limits.resource.getrlimit", lambda _: (65536, 65536))
    monkeypatch.setattr("stingless._sys.limits.resource.setrlimit", lambda *given: asked.append(given))
    BPF(text="").cleanup()
    assert limits.raise_memlock()
    assert len(asked) == 1
    BPF(text="", allow_rlimit=False).cleanup()
    assert not limits.raise_memlock()
    assert len(asked) == 1

"""Entries of bcc's reference guide that have no test of their own elsewhere; on the embedded kernel."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stingless import BPF
from stingless.bcc import USDT, PerfEventArray, PerfHWConfig, RingBuf
from stingless.bcc.kprobes import _none_attached
from stingless.bcc.table import HashTable, QueueStack, TableBase
from stingless.embedded.kernel import EmbeddedKernel
from stingless.errors import AttachError, CompileError, NotSupportedError, StinglessError, UnknownNameError
from stingless.explain import diagnose, parse_log
from tests import bcc_reference_script


def test_a_script_on_a_command(tmp_path: Path) -> None:
    bcc_reference_script.check("embedded", tmp_path)


# Parameters in bcc's order, with its defaults: scripts give them by name and by place.
@pytest.mark.parametrize(
    ("verb", "parameters"),
    [
        (BPF.attach_kprobe, "event=b'', event_off=0, fn_name=b'', event_re=b''"),
        (BPF.attach_kretprobe, "event=b'', fn_name=b'', event_re=b'', maxactive=0"),
        (BPF.attach_tracepoint, "tp=b'', tp_re=b'', fn_name=b''"),
        (BPF.attach_raw_tracepoint, "tp=b'', fn_name=b''"),
        (BPF.attach_uprobe, "name=b'', sym=b'', sym_re=b'', addr=None, fn_name=b'', pid=-1, sym_off=0"),
        (BPF.attach_uretprobe, "name=b'', sym=b'', sym_re=b'', addr=None, fn_name=b'', pid=-1"),
        (BPF.attach_raw_socket, "fn, dev"),
        (BPF.attach_xdp, "dev, fn, flags=0"),
        (BPF.remove_xdp, "dev, flags=0"),
        (BPF.attach_func, "fn, attachable_fd, attach_type, flags=0"),
        (BPF.detach_func, "fn, attachable_fd, attach_type"),
        (BPF.detach_kprobe, "event, fn_name=None"),
        (BPF.detach_kretprobe, "event, fn_name=None"),
        (BPF.trace_print, "fmt=None"),
        (BPF.trace_fields, "nonblocking=False"),
        (BPF.perf_buffer_poll, "timeout=-1"),
        (BPF.ring_buffer_poll, "timeout=-1"),
        (BPF.ring_buffer_consume, ""),
        (BPF.get_table, "name, keytype=None, leaftype=None, reducer=None"),
        (BPF.ksym, "addr, show_module=False, show_offset=False"),
        (BPF.ksymname, "name"),
        (BPF.sym, "addr, pid, show_module=False, show_offset=False, demangle=True"),
        (BPF.num_open_kprobes, ""),
        (BPF.get_syscall_fnname, "name"),
        (USDT.__init__, "pid=None, path=None"),
        (USDT.enable_probe, "probe, fn_name"),
        (PerfEventArray.open_perf_buffer, "callback, page_cnt=8, lost_cb=None, wakeup_events=1"),
        (RingBuf.open_ring_buffer, "callback, ctx=None"),
        (QueueStack.push, "leaf, flags=0"),
        (HashTable.items_lookup_batch, ""),
        (HashTable.items_lookup_and_delete_batch, ""),
        (HashTable.items_delete_batch, "ct_keys=None"),
        (HashTable.items_update_batch, "ct_keys, ct_values"),
        (
            TableBase.print_log2_hist,
            "val_type='value', section_header='Bucket ptr', section_print_fn=None, bucket_fn=None, "
            "strip_leading_zero=None, bucket_sort_fn=None",
        ),
        (
            TableBase.print_linear_hist,
            "val_type='value', section_header='Bucket ptr', section_print_fn=None, bucket_fn=None, "
            "strip_leading_zero=None, bucket_sort_fn=None",
        ),
    ],
    ids=lambda value: getattr(value, "__qualname__", None),
)
def test_parameters(verb: Callable[..., Any], parameters: str) -> None:
    found = [
        each.name if each.default is each.empty else f"{each.name}={each.default!r}"
        for each in inspect.signature(verb).parameters.values()
        if each.name != "self" and each.kind is each.POSITIONAL_OR_KEYWORD  # what is ours alone is given by name
    ]
    assert ", ".join(found) == parameters


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ('bpf_trace_printk("%d %d %d %d\\n", 1, 2, 3, 4);', "a format and up to 3 values, not 4"),
        ('char f[] = "%d %d %d %d"; bpf_trace_printk(f, sizeof(f), 1, 2, 3, 4);', "up to 3 values, not 4"),
        ("u64 v; bpf_usdt_readarg(6, ctx, &v);", r'no USDT probe with an argument 6 .*fn_name="f"'),
    ],
)
def test_what_the_text_lacks_is_told(statement: str, message: str) -> None:
    with pytest.raises(CompileError, match=message):
        BPF(text=f"int f(struct pt_regs *ctx) {{ {statement} return 0; }}", kernel=EmbeddedKernel())


def test_a_brace_that_is_missing() -> None:
    with pytest.raises(CompileError) as e:
        BPF(text="int f(void *ctx) {\n    if (ctx) {\n        return 1;\n    return 0;\n}\n", kernel=EmbeddedKernel())
    first, *others = str(e.value).splitlines()
    assert "expected '}'" in first and "section" not in str(e.value)
    assert others[0].startswith("main.c:1:") and "to match this '{'" in others[0]


@pytest.mark.parametrize("statement", ['bpf_trace_printk("%d %d %d\\n", 1, 2, 3);', 'bpf_trace_printk("bare");'])
def test_what_is_printed(statement: str) -> None:
    with BPF(text=f"int f(void *ctx) {{ {statement} return 0; }}", kernel=EmbeddedKernel()) as b:
        assert b.load_func("f", BPF.KPROBE).fd >= 0


@pytest.mark.parametrize("body", ["", "u32 k = 1; h.increment(k);", "u32 k = 1; h.lookup(&k);"])
def test_a_program_without_a_result(body: str) -> None:
    """What is left in R0 may be nothing, or an address; neither would be let through."""
    with BPF(text=f"BPF_HASH(h, u32); int f(struct __sk_buff *skb) {{ {body} }}", kernel=EmbeddedKernel()) as b:
        assert b.load_func("f", BPF.SOCKET_FILTER).program.run(bytes(64)).retval == 0


def test_names_of_libraries() -> None:
    libc = BPF.find_library("c")
    assert libc is not None and Path(os.fsdecode(libc)).name.startswith("libc")
    assert BPF.find_library("c.so.6") == BPF.find_library("libc.so.6") == libc
    assert BPF.find_library("c.so.66") is None


def test_a_hardware_event_is_named_by_the_table() -> None:
    assert PerfEventArray.HW_CPU_CYCLES == PerfHWConfig.CPU_CYCLES
    with (
        BPF(text="BPF_PERF_ARRAY(cycles, 4);", kernel=EmbeddedKernel()) as b,
        pytest.raises(NotSupportedError, match="of the embedded kernel"),
    ):
        b["cycles"].open_perf_event(b["cycles"].HW_CPU_CYCLES)


def test_an_unknown_interface() -> None:
    with pytest.raises(UnknownNameError, match="no network interface named 'nowhere0'"):
        BPF.remove_xdp("nowhere0")


# A regular expression of kernel functions


def _failure(name: str, why: str, errno: int) -> StinglessError:
    return AttachError(f"Failed to attach BPF program f to kprobe {name}: {why}", errno)


@pytest.mark.parametrize(
    ("names", "errno", "message"),
    [
        (["a"], 22, "to kprobe a|b: the kernel forbids it"),
        (["a", "b"], 22, "to kprobe a|b: none of 2 functions can be probed; a: the kernel forbids it"),
        (["a", "b"], 95, "to kprobe a|b: the kernel forbids it"),  # it has no kprobes
    ],
)
def test_none_could_be_attached(names: list[str], errno: int, message: str) -> None:
    failures = {name: _failure(name, "the kernel forbids it", errno) for name in names}
    error = _none_attached("Failed to attach BPF program f to kprobe a|b", failures)
    assert (error.message, error.errno) == (f"Failed to attach BPF program f {message}", errno)
    assert error.__cause__ is failures[names[0]]


def test_none_matches() -> None:
    with BPF(text="int f(void *ctx) { return 0; }", kernel=EmbeddedKernel()) as b:
        for what, verb in (("kprobe", b.attach_kprobe), ("kretprobe", b.attach_kretprobe)):
            with pytest.raises(AttachError, match=f"program f to {what} .none_such_.*: no function"):
                verb(event_re="^none_such_.*", fn_name="f")
        assert b.num_open_kprobes() == 0


def test_error_injection_that_the_kernel_lacks() -> None:
    assert "CONFIG_BPF_KPROBE_OVERRIDE" in diagnose(parse_log("unknown func bpf_override_return#58")).hint

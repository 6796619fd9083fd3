"""An object compiled against another kernel than any that there is: what it reads in the running one is compared with
what the kernel says of the process by other ways."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stingless import load
from stingless.btf.kernel import kernel_btf
from stingless.compile.plain import compile_text
from stingless.kernel import Kernel
from stingless.obj.reader import read_object
from stingless.target.release import kernel_version
from tests.load_support import BARE

_SOURCE = (
    BARE
    + """
#include <bpf/bpf_core_read.h>
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
/* Members are elsewhere, in another order, and fewer than the kernel's; arrays are longer or shorter. */
enum pid_type { PIDTYPE_SID = 77 };
struct upid { long filler; int nr; };
struct pid { struct upid numbers[3]; };
struct signal_struct { struct pid *pids[1]; int nr_threads; };
struct new_utsname { char filler[7], nodename[65]; };
struct uts_namespace { struct new_utsname name; };
struct nsproxy { long filler[9]; struct uts_namespace *uts_ns; };
typedef struct { int filler, val; } kuid_t;
struct cred { char filler[3]; kuid_t uid; };
struct task_struct {
    char comm[16];
    unsigned long filler : 29, sched_reset_on_fork : 1;
    const struct cred *cred;
    struct nsproxy *nsproxy;
    struct signal_struct *signal;
    struct pid *thread_pid;
    struct { struct { int tgid, pid; }; };
    u64 start_boottime;
    struct task_struct *real_parent;
};
/* One member under the two names that it has had, and one that there never was. */
struct task_struct___till_5_13 { volatile long state; };
struct task_struct___since_5_14 { unsigned int __state; };
struct task_struct___never { long there_is_no_such_member; };
struct there_is_no_such_struct { int x; };
#pragma clang attribute pop

int pid, tgid, parent, threads, session, first_number; u32 uid;
u64 started, reset_on_fork; char comm[16], parent_comm[16], node[65];
u64 task_size, sid_value, old_name, new_name, never, no_struct, state = 77;

SEC("raw_tp/sched_switch") int probe(u64 *ctx)
{
    struct task_struct *task = (void *)bpf_get_current_task();
    struct signal_struct *signal = BPF_CORE_READ(task, signal);
    struct pid *leader = 0;

    pid = BPF_CORE_READ(task, pid);
    tgid = BPF_CORE_READ(task, tgid);
    parent = BPF_CORE_READ(task, real_parent, tgid);
    uid = BPF_CORE_READ(task, cred, uid.val);
    started = BPF_CORE_READ(task, start_boottime);
    threads = BPF_CORE_READ(signal, nr_threads);
    first_number = BPF_CORE_READ(task, thread_pid, numbers[0].nr);
    reset_on_fork = BPF_CORE_READ_BITFIELD_PROBED(task, sched_reset_on_fork);
    BPF_CORE_READ_STR_INTO(&comm, task, comm);
    BPF_CORE_READ_STR_INTO(&parent_comm, task, real_parent, comm);
    BPF_CORE_READ_STR_INTO(&node, task, nsproxy, uts_ns, name.nodename);

    sid_value = bpf_core_enum_value(enum pid_type, PIDTYPE_SID);
    bpf_probe_read_kernel(&leader, sizeof(leader),
                          (char *)signal + bpf_core_field_offset(signal->pids) + 8 * sid_value);
    session = BPF_CORE_READ(leader, numbers[0].nr);

    task_size = bpf_core_type_size(struct task_struct);
    old_name = bpf_core_field_exists(struct task_struct___till_5_13, state);
    new_name = bpf_core_field_exists(struct task_struct___since_5_14, __state);
    never = bpf_core_field_exists(struct task_struct___never, there_is_no_such_member);
    no_struct = bpf_core_type_exists(struct there_is_no_such_struct);
    if (bpf_core_field_exists(struct task_struct___since_5_14, __state))
        state = BPF_CORE_READ((struct task_struct___since_5_14 *)task, __state);
    else if (bpf_core_field_exists(struct task_struct___till_5_13, state))
        state = BPF_CORE_READ((struct task_struct___till_5_13 *)task, state);
    if (bpf_core_field_exists(struct task_struct___never, there_is_no_such_member))  /* else poisoned */
        state = BPF_CORE_READ((struct task_struct___never *)task, there_is_no_such_member);
    return 0;
}
"""
)


def check_reads(kernel: Kernel) -> None:
    """Raises `AssertionError` with the fields that are not what they should be."""
    spec = read_object(compile_text(_SOURCE, "other_kernel.bpf.c"))
    with load(spec, kernel=kernel) as obj, _reset_on_fork():
        assert obj.programs["probe"].run(ctx=bytes(8)).retval == 0
        found = {name: variable.value for name, variable in obj.variables.items() if name != "LICENSE"}
    wanted = _truth()
    found["started"] //= 10**9 // os.sysconf("SC_CLK_TCK")
    assert {name: _text(value) for name, value in found.items()} == wanted


def _truth() -> dict[str, Any]:
    renamed = kernel_version() >= (5, 14)
    btf = kernel_btf()
    return {
        "pid": os.getpid(),  # the tests' only thread
        "tgid": os.getpid(),
        "parent": os.getppid(),
        "threads": len(list(Path("/proc/self/task").iterdir())),
        "session": os.getsid(0),
        "first_number": os.getpid(),
        "uid": os.getuid(),
        "started": int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]),
        "reset_on_fork": 1,
        "comm": Path("/proc/self/comm").read_text().strip(),
        "parent_comm": Path(f"/proc/{os.getppid()}/comm").read_text().strip(),
        "node": os.uname().nodename,
        "task_size": btf["task_struct"].size,
        "sid_value": dict(btf["enum pid_type"].values)["PIDTYPE_SID"],
        "old_name": not renamed,
        "new_name": renamed,
        "never": 0,
        "no_struct": 0,
        "state": 0,  # running
    }


@contextmanager
def _reset_on_fork() -> Iterator[None]:
    """With the bit-field task_struct.sched_reset_on_fork set."""
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    os.sched_setscheduler(0, policy | os.SCHED_RESET_ON_FORK, parameters)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy & ~os.SCHED_RESET_ON_FORK, parameters)


def _text(value: Any) -> Any:
    return value.partition(b"\0")[0].decode() if isinstance(value, bytes) else value

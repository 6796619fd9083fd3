"""The records of the scheduler tracepoints that the ptrace event source fires, as Linux 6.18 lays them out."""

from __future__ import annotations

from stingless.syscalls import COMMON, Field

_PID = "pid_t"

RECORDS: dict[str, tuple[Field, ...]] = {
    "sched_process_exec": (
        *COMMON,
        Field("__data_loc char[]", "filename", 8, 4),
        Field(_PID, "pid", 12, 4, True),
        Field(_PID, "old_pid", 16, 4, True),
    ),
    "sched_process_fork": (
        *COMMON,
        Field("__data_loc char[]", "parent_comm", 8, 4),
        Field(_PID, "parent_pid", 12, 4, True),
        Field("__data_loc char[]", "child_comm", 16, 4),
        Field(_PID, "child_pid", 20, 4, True),
    ),
    "sched_process_exit": (
        *COMMON,
        Field("char[16]", "comm", 8, 16),
        Field(_PID, "pid", 24, 4, True),
        Field("int", "prio", 28, 4, True),
        Field("bool", "group_dead", 32, 1),
    ),
}

"""The records of the tracepoints of tasks and signals, as Linux 6.18 lays them out."""

from __future__ import annotations

from stingless.syscalls import COMMON, Field

_PID = "pid_t"

_INT = ("sig", "errno", "code")
SIGNALS: dict[str, tuple[Field, ...]] = {
    "signal_generate": (
        *COMMON,
        *(Field("int", name, 8 + 4 * place, 4, True) for place, name in enumerate(_INT)),
        Field("char[16]", "comm", 20, 16),
        Field(_PID, "pid", 36, 4, True),
        Field("int", "group", 40, 4, True),
        Field("int", "result", 44, 4, True),
    ),
    "signal_deliver": (
        *COMMON,
        *(Field("int", name, 8 + 4 * place, 4, True) for place, name in enumerate(_INT)),
        Field("unsigned long", "sa_handler", 24, 8),
        Field("unsigned long", "sa_flags", 32, 8),
    ),
}

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

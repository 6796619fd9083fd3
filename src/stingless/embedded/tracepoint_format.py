"""The format files of the embedded kernel's tracepoints: those of system calls, and some of the scheduler."""

from __future__ import annotations

from stingless import syscalls
from stingless.embedded.sources import sched
from stingless.errors import UnknownNameError


def tracepoint_format(category: str, name: str) -> str:
    """The text that tracefs events/CATEGORY/NAME/format would have, without the print format.  Raises
    `UnknownNameError`."""
    known = {"sched": sched.RECORDS, "signal": sched.SIGNALS}.get(category)
    record = known.get(name) if known is not None else syscalls.record_of(category, name)
    if record is None:
        raise UnknownNameError(
            "tracepoint",
            f"{category}:{name}",
            _names(category),
            "the embedded kernel has syscalls:sys_enter_*, syscalls:sys_exit_*, raw_syscalls:sys_enter,"
            " raw_syscalls:sys_exit, sched:sched_process_exec, _fork and _exit, signal:signal_generate and _deliver",
        )
    lines = [f"name: {name}", "ID: 0", "format:"]
    for field in record:
        kind, bracket, length = field.type.partition("[")
        if kind.startswith("__data_loc"):  # where in the record the array is; its brackets stay with the type
            declared = f"{field.type} {field.name}"
        else:
            declared = f"{kind} {field.name}{bracket}{length}"
        lines.append(f"\tfield:{declared};\toffset:{field.offset};\tsize:{field.size};\tsigned:{int(field.signed)};")
        if field.name == "common_pid":
            lines.append("")
    return "\n".join(lines) + "\n"


def tracepoints() -> list[str]:
    """The names, "category:name", of all that there are."""
    return [each for category in ("raw_syscalls", "sched", "signal", "syscalls") for each in _names(category)]


def _names(category: str) -> list[str]:
    if category == "raw_syscalls":
        return ["raw_syscalls:sys_enter", "raw_syscalls:sys_exit"]
    if category == "sched":
        return [f"sched:{name}" for name in sched.RECORDS]
    if category == "signal":
        return [f"signal:{name}" for name in sched.SIGNALS]
    table = syscalls.table()
    calls = [table.kernel_names.get(call, call) for call in table.numbers]
    return [f"syscalls:sys_{edge}_{call}" for edge in ("enter", "exit") for call in calls]

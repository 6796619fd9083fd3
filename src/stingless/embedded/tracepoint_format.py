"""The format files of the embedded kernel's tracepoints: those of system calls."""

from __future__ import annotations

from stingless import syscalls
from stingless.errors import UnknownNameError


def tracepoint_format(category: str, name: str) -> str:
    """The text that tracefs events/CATEGORY/NAME/format would have, without the print format.  Raises
    `UnknownNameError`."""
    record = syscalls.record_of(category, name)
    if record is None:
        raise UnknownNameError(
            "tracepoint",
            f"{category}:{name}",
            _names(category),
            "the embedded kernel has syscalls:sys_enter_*, syscalls:sys_exit_*, raw_syscalls:sys_enter and"
            " raw_syscalls:sys_exit",
        )
    lines = [f"name: {name}", "ID: 0", "format:"]
    for field in record:
        kind, bracket, length = field.type.partition("[")
        declared = f"{kind} {field.name}{bracket}{length}"
        lines.append(f"\tfield:{declared};\toffset:{field.offset};\tsize:{field.size};\tsigned:{int(field.signed)};")
        if field.name == "common_pid":
            lines.append("")
    return "\n".join(lines) + "\n"


def _names(category: str) -> list[str]:
    if category == "raw_syscalls":
        return ["raw_syscalls:sys_enter", "raw_syscalls:sys_exit"]
    calls = syscalls.table().numbers
    return [f"syscalls:sys_{edge}_{call}" for edge in ("enter", "exit") for call in calls]

"""Which fields of which kernel structs are filled, and where a given kernel's BTF has them.

A field that this kernel does not have is left out; names that changed between kernels are all listed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from stingless._sys.runtime_objects import Filled
from stingless.btf.kinds import RECORDS, Kind, Type
from stingless.btf.types import Btf
from stingless.frozen import frozen

# Structs, their fields, and what fills them: SOURCE or SOURCE:INDEX of embedded/runtime/objects.h.
_NS = ("uts_ns", "ipc_ns", "mnt_ns", "pid_ns_for_children", "net_ns", "time_ns", "cgroup_ns")
_PID_LEVELS = 4  # namespaces in namespaces that are shown
FIELDS: Mapping[str, Mapping[str, str]] = {
    "task_struct": {
        "pid": "PID",
        "tgid": "TGID",
        "comm": "COMM",
        "__state": "STATE",
        "state": "STATE",  # before 5.14
        "on_cpu": "ON_CPU",
        "cpu": "CPU",
        "thread_info.cpu": "CPU",
        "recent_used_cpu": "CPU",
        "wake_cpu": "CPU",
        "flags": "FLAGS",
        "exit_code": "EXIT_CODE",
        "exit_signal": "EXIT_SIGNAL",
        "prio": "PRIORITY",
        "normal_prio": "PRIORITY",
        "static_prio": "STATIC_PRIORITY",
        "rt_priority": "RT_PRIORITY",
        "policy": "POLICY",
        "utime": "UTIME",
        "stime": "STIME",
        "start_time": "START_TIME",
        "start_boottime": "START_BOOTTIME",
        "real_start_time": "START_BOOTTIME",  # before 5.5
        "min_flt": "MIN_FAULTS",
        "maj_flt": "MAJ_FAULTS",
        "nvcsw": "VOLUNTARY",
        "nivcsw": "INVOLUNTARY",
        "nr_cpus_allowed": "CPUS_ALLOWED",
        "loginuid": "LOGIN_UID",
        "sessionid": "SESSION",
        "seccomp.mode": "SECCOMP",
        "ioac.rchar": "IO:0",
        "ioac.wchar": "IO:1",
        "ioac.syscr": "IO:2",
        "ioac.syscw": "IO:3",
        "ioac.read_bytes": "IO:4",
        "ioac.write_bytes": "IO:5",
        "ioac.cancelled_write_bytes": "IO:6",
        "real_parent": "REAL_PARENT",
        "parent": "REAL_PARENT",  # not the tracer, which the program shall not see
        "group_leader": "LEADER",
        "mm": "MM",
        "active_mm": "MM",
        "cred": "CRED",
        "real_cred": "CRED",
        "nsproxy": "NSPROXY",
        "signal": "SIGNAL",
        "thread_pid": "THREAD_PID",
        "pids[0].pid": "THREAD_PID",  # before 4.19
        "fs": "FS",
        "cgroups": "CSS_SET",
    },
    "mm_struct": {
        "owner": "LEADER",
        "exe_file": "EXE_FILE",
        "start_code": "MM_PLACE:26",
        "end_code": "MM_PLACE:27",
        "start_stack": "MM_PLACE:28",
        "start_data": "MM_PLACE:45",
        "end_data": "MM_PLACE:46",
        "start_brk": "MM_PLACE:47",
        "arg_start": "MM_PLACE:48",
        "arg_end": "MM_PLACE:49",
        "env_start": "MM_PLACE:50",
        "env_end": "MM_PLACE:51",
        "total_vm": "MM_PAGES:0",
    },
    "cred": {
        "uid": "UID:0",
        "euid": "UID:1",
        "suid": "UID:2",
        "fsuid": "UID:3",
        "gid": "GID:0",
        "egid": "GID:1",
        "sgid": "GID:2",
        "fsgid": "GID:3",
        "cap_inheritable": "CAPABILITIES:0",
        "cap_permitted": "CAPABILITIES:1",
        "cap_effective": "CAPABILITIES:2",
        "cap_bset": "CAPABILITIES:3",
        "cap_ambient": "CAPABILITIES:4",
        "user_ns": "USER_NS",
    },
    "nsproxy": {
        **{name: f"NAMESPACE:{index}" for index, name in enumerate(_NS)},
        "pid_ns": "NAMESPACE:3",  # before 3.11
        "time_ns_for_children": "NAMESPACE:5",
    },
    "signal_struct": {
        "nr_threads": "THREADS",
        "live.counter": "THREADS",
        "oom_score_adj": "OOM_ADJUST",
        "group_exit_code": "EXIT_CODE",
        "leader_pid": "GROUP_PID:1",  # before 4.19
        **{f"pids[{index}]": f"GROUP_PID:{index}" for index in range(4)},
    },
    "pid": {
        "level": "PID_LEVEL",
        **{f"numbers[{index}].nr": f"PID_NUMBER:{index}" for index in range(_PID_LEVELS)},
        **{f"numbers[{index}].ns": f"PID_NS:{index}" for index in range(_PID_LEVELS)},
    },
    "fs_struct": {
        "users": "ONE",
        "umask": "UMASK",
        "root.dentry": "PATH_DENTRY:0",
        "pwd.dentry": "PATH_DENTRY:1",
    },
    "css_set": {"dfl_cgrp": "CGROUP"},
    "cgroup": {"kn": "CGROUP_NODE", "level": "CGROUP_LEVEL"},
    "kernfs_node": {
        "id": "CGROUP_ID",
        "id.id": "CGROUP_ID",  # a union before 5.5
        "name": "CGROUP_NAME",
        "parent": "CGROUP_PARENT",
        "__parent": "CGROUP_PARENT",  # since 6.15
    },
    "file": {"f_path.dentry": "PATH_DENTRY:0", "f_inode": "INODE"},
    "dentry": {
        "d_name.name": "DENTRY_NAME",
        "d_name.len": "DENTRY_LENGTH",
        "d_iname": "DENTRY_TEXT",
        "d_shortname": "DENTRY_TEXT",  # since 6.15
        "d_parent": "DENTRY_PARENT",
        "d_inode": "INODE",
    },
    "inode": {
        "i_ino": "INODE_NUMBER",
        "i_mode": "INODE_MODE",
        "i_size": "INODE_SIZE",
        "i_uid": "INODE_UID",
        "i_gid": "INODE_GID",
    },
    "uts_namespace": {"ns.inum": "INUM", "name.nodename": "NODENAME"},
    "net": {"ns.inum": "INUM"},
    **{f"{kind}_namespace": {"ns.inum": "INUM"} for kind in ("ipc", "mnt", "pid", "time", "cgroup", "user")},
}


@frozen
class Layout:
    """Bytes of each struct, and the fields that are filled."""

    sizes: Mapping[str, int]
    fields: tuple[Filled, ...]


def layout(btf: Btf) -> Layout:
    """Where `btf` has the fields."""
    sizes: dict[str, int] = {}
    found: list[Filled] = []
    for struct, fields in FIELDS.items():
        record = btf.find(struct, Kind.STRUCT)
        if record is None:
            continue
        mine = [each for path, what in fields.items() if (each := _filled(btf, record, path, what)) is not None]
        # An array at the end of a struct has no size of its own.
        sizes[struct] = max([record.size, *(each.offset + each.size for each in mine)])
        found += mine
    return Layout(sizes, tuple(found))


def _filled(btf: Btf, record: Type, path: str, what: str) -> Filled | None:
    offset, kind = 0, record
    for word in path.split("."):
        name, _, index = word.partition("[")
        member = _member(btf, kind, name)
        if member is None:
            return None
        at, type_id = member
        declared = btf.resolve(type_id)
        if index:
            if declared.kind is not Kind.ARRAY:
                return None
            at += int(index[:-1]) * btf.size_of(declared.type)
            type_id = declared.type
        offset, kind = offset + at, btf.resolve(type_id)
    source, _, number = what.partition(":")
    return Filled(record.name, source, int(number or 0), offset, btf.size_of(kind.id))


def _member(btf: Btf, record: Type, name: str) -> tuple[int, int] | None:
    """Offset and type id of a member, also of one in an anonymous record."""
    if record.kind not in RECORDS:
        return None
    for member in record.members:
        if member.name == name:
            return None if member.bit_size else (member.offset, member.type)
        if not member.name and (inside := _member(btf, btf.resolve(member.type), name)) is not None:
            return member.offset + inside[0], inside[1]
    return None


def name_at(btf: Btf, struct: str, offset: int) -> str:
    """What lies at an offset of a struct: "task_struct.sched_class"."""
    record = btf.find(struct, Kind.STRUCT)
    return ".".join([struct, *(_names_at(btf, record, offset) if record is not None else [f"+{offset}"])])


def _names_at(btf: Btf, record: Type, offset: int) -> Iterator[str]:
    for member in record.members:
        inside = offset - member.offset
        if member.bit_size or not 0 <= inside < max(btf.size_of(member.type), 1):
            continue
        if member.name:
            yield member.name
        if (kind := btf.resolve(member.type)).kind in RECORDS:
            yield from _names_at(btf, kind, inside)
        return
    yield f"+{offset}"

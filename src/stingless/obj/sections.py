"""What a section's name says of the programs in it, as libbpf reads it."""

from __future__ import annotations

from stingless._gen.uapi import AttachType, ProgramType

_NAMES: tuple[tuple[str, ProgramType, AttachType | None], ...] = (
    ("kprobe", ProgramType.KPROBE, None),
    ("kretprobe", ProgramType.KPROBE, None),
    ("uprobe", ProgramType.KPROBE, None),
    ("uretprobe", ProgramType.KPROBE, None),
    ("tracepoint", ProgramType.TRACEPOINT, None),
    ("tp", ProgramType.TRACEPOINT, None),
    ("raw_tracepoint", ProgramType.RAW_TRACEPOINT, None),
    ("raw_tp", ProgramType.RAW_TRACEPOINT, None),
    ("perf_event", ProgramType.PERF_EVENT, None),
    ("xdp", ProgramType.XDP, AttachType.XDP),
    ("socket", ProgramType.SOCKET_FILTER, None),
    ("classifier", ProgramType.SCHED_CLS, None),
    ("tc", ProgramType.SCHED_CLS, None),
    ("syscall", ProgramType.SYSCALL, None),
    ("fentry", ProgramType.TRACING, AttachType.TRACE_FENTRY),
    ("fexit", ProgramType.TRACING, AttachType.TRACE_FEXIT),
    ("fmod_ret", ProgramType.TRACING, AttachType.MODIFY_RETURN),
    ("tp_btf", ProgramType.TRACING, AttachType.TRACE_RAW_TP),
    ("lsm", ProgramType.LSM, AttachType.LSM_MAC),
)
_TARGET_PREFIX = {AttachType.LSM_MAC: "bpf_lsm_", AttachType.TRACE_RAW_TP: "btf_trace_"}


def program_kind(section: str) -> tuple[ProgramType, AttachType | None, str]:
    """(program type, attach type, kernel function to look up in BTF) of a section's name.  UNSPEC when the name says
    nothing, as for the functions of the bcc dialect, whose type the attach call tells."""
    head, _, target = section.lstrip("?").partition("/")
    for name, kind, attach in _NAMES:
        if head == name:
            needs_btf = kind in (ProgramType.TRACING, ProgramType.LSM)
            prefix = _TARGET_PREFIX.get(attach, "") if attach is not None else ""
            return kind, attach, prefix + target if needs_btf else ""
    return ProgramType.UNSPEC, None, ""

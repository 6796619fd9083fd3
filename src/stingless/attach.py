"""What a program is to be attached to: its section's name, and arguments for what that does not say.

`event_of(spec)` is what libbpf attaches by itself; `event_of(spec, interface="eth0")` and the like give the rest.  The
arguments of each section are those of the functions below, each after the sections it serves.  Nothing
is asked of the kernel: names of functions are looked up in user programs and libraries only.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from stingless import events
from stingless._gen.uapi import AttachType, ProgramType
from stingless.errors import AttachError
from stingless.events import Event
from stingless.obj.spec import ProgramSpec

_EINVAL = 22


class HasFd(Protocol):
    """A map or program of the Linux kernel."""

    @property
    def fd(self) -> int: ...


class HasFileno(Protocol):
    """A socket."""

    def fileno(self) -> int: ...


Builder = Callable[..., Event]
_BUILDERS: dict[str, Builder] = {}
B = TypeVar("B", bound=Builder)


def _for(*sections: str) -> Callable[[B], B]:
    def note(builder: B) -> B:
        _BUILDERS.update(dict.fromkeys(sections, builder))
        return builder

    return note


class NotBySectionError(AttachError):
    """The section's name alone does not say what to attach to."""


def event_of(spec: ProgramSpec, /, **where: Any) -> Event:
    """The event that `spec`'s section and `where` name.

    Raises `AttachError` when something is missing (`NotBySectionError` when no arguments were given), wrong, or the
    kind of program is not attached at all; `TypeError` for an argument that the section does not take;
    `UnknownNameError` for a user function that is not there."""
    section = spec.section.lstrip("?")
    head, _, rest = section.partition("/")
    target = spec.attach_to or rest
    asked = _Asked(spec, head, target)
    if spec.type in _NOT_ATTACHED or head in _NOT_ATTACHED_SECTIONS:
        raise asked.silent(_NOT_ATTACHED.get(spec.type) or _NOT_ATTACHED_SECTIONS[head])
    builder = _BUILDERS.get(head) or _BY_TYPE.get(spec.type)
    if builder is None:
        known = ", ".join(sorted(_BUILDERS))
        raise asked.silent(f"its section does not say to what; known are: {known}")
    try:
        bound = inspect.signature(builder).bind(asked, **where)
    except TypeError:
        takes = ", ".join(f"{name}=" for name in list(inspect.signature(builder).parameters)[1:]) or "no arguments"
        raise TypeError(
            f"program {spec.name!r} (section {spec.section!r}) is attached with {takes}; not with "
            f"{', '.join(f'{name}=' for name in where)}"
        ) from None
    return builder(*bound.args, **bound.kwargs)


class _Asked:
    """A program with its section in parts."""

    def __init__(self, spec: ProgramSpec, head: str, target: str) -> None:
        self.spec = spec
        self.head = head
        self.target = target

    def error(self, why: str) -> AttachError:
        return AttachError(self._message(why), _EINVAL)

    def silent(self, why: str) -> NotBySectionError:
        return NotBySectionError(self._message(why), _EINVAL)

    def _message(self, why: str) -> str:
        return f"program {self.spec.name!r} (section {self.spec.section!r}) cannot be attached: {why}"

    def missing(self, argument: str, example: str, what: str) -> AttachError:
        return self.silent(f"{what} is missing: name it in the section, {example!r}, or give {argument}=")

    def needs(self, argument: str, what: str) -> AttachError:
        return self.silent(f"{what} is missing: give {argument}=")

    @property
    def ret(self) -> bool:
        return self.head.startswith(("kret", "uret"))

    @property
    def session(self) -> bool:
        return ".session" in self.head


# Tracing the kernel


@_for("kprobe", "kretprobe")
def _kprobe(asked: _Asked, *, function: str = "", offset: int | None = None, cookie: int = 0) -> Event:
    name, plus = (function, 0) if function else _plus(asked, asked.target)
    if not name:
        raise asked.missing("function", f"{asked.head}/vfs_read", "the kernel function")
    at = plus if offset is None else offset
    if asked.ret and at:
        raise asked.error("a return has no offset")
    return events.Kprobe(name, at, asked.ret, cookie)


@_for("ksyscall", "kretsyscall")
def _ksyscall(asked: _Asked, *, syscall: str = "", cookie: int = 0) -> Event:
    from stingless.syscalls import kernel_name

    name = syscall or asked.target
    if not name:
        raise asked.missing("syscall", f"{asked.head}/openat", "the system call")
    # Each kernel knows by what function it serves the call: sys_X is made of __x64_sys_X and the like.
    return events.Kprobe(f"sys_{kernel_name(name)}", 0, asked.ret, cookie)


@_for("kprobe.multi", "kretprobe.multi", "kprobe.session")
def _kprobe_multi(
    asked: _Asked, *, functions: Iterable[str] | str = (), pattern: str = "", cookies: Iterable[int] = ()
) -> Event:
    names = (functions,) if isinstance(functions, str) else tuple(functions)
    names = names or tuple(filter(None, (pattern or asked.target,)))
    if not names:
        raise asked.missing("pattern", f"{asked.head}/tcp_*", "the pattern or the functions")
    return events.KprobeMulti(names, asked.ret, asked.session, tuple(cookies))


@_for("tp", "tp.s", "tracepoint", "tracepoint.s")
def _tracepoint(asked: _Asked, *, category: str = "", name: str = "", cookie: int = 0) -> Event:
    there, _, label = asked.target.partition("/")
    if not (category or there) or not (name or label):
        raise asked.missing(
            "category= and name", f"{asked.head}/sched/sched_process_exec", "the tracepoint (category and name)"
        )
    return events.Tracepoint(category or there, name or label, cookie)


@_for("raw_tp", "raw_tp.s", "raw_tp.w", "raw_tracepoint", "raw_tracepoint.s", "raw_tracepoint.w")
def _raw_tracepoint(asked: _Asked, *, name: str = "", cookie: int = 0) -> Event:
    if not name and not asked.target:
        raise asked.missing("name", f"{asked.head}/sched_process_exec", "the tracepoint")
    return events.RawTracepoint(name or asked.target, cookie)


@_for(
    "tp_btf", "tp_btf.s", "fentry", "fentry.s", "fexit", "fexit.s", "fmod_ret", "fmod_ret.s", "fsession", "fsession.s",
    "lsm", "lsm.s",
)  # fmt: skip
def _tracing(asked: _Asked, *, cookie: int = 0) -> Event:
    if not asked.target and not asked.spec.attach_target:
        what = "the hook" if asked.head.startswith("lsm") else "the kernel function or tracepoint"
        raise asked.error(
            f"{what} is missing: it is asked for when the program is loaded; name it in the section or in the spec's "
            "attach_target before the load"
        )
    return events.Tracing(cookie)


@_for("fentry.multi", "fentry.multi.s", "fexit.multi", "fexit.multi.s", "fsession.multi", "fsession.multi.s")
def _tracing_multi(
    asked: _Asked, *, functions: Iterable[str] | str = (), pattern: str = "", cookies: Iterable[int] = ()
) -> Event:
    names = (functions,) if isinstance(functions, str) else tuple(functions)
    names = names or tuple(filter(None, (pattern or asked.target,)))
    if not names:
        raise asked.missing("pattern", f"{asked.head}/tcp_*", "the pattern or the functions")
    return events.TracingMulti(names, tuple(cookies))


@_for("freplace")
def _freplace(asked: _Asked, *, program: HasFd | int = 0, function: str = "") -> Event:
    return events.Freplace(_fd(program), function)


@_for("iter", "iter.s")
def _iter(
    asked: _Asked,
    *,
    map: HasFd | int = 0,
    cgroup: str | Path = "",
    order: str = "",
    tid: int = 0,
    pid: int = 0,
) -> Event:
    given = [name for name, value in (("map", map), ("cgroup", cgroup), ("tid", tid), ("pid", pid)) if value]
    if len(given) > 1:
        raise asked.error(f"one of {', '.join(f'{name}=' for name in given)} can be given, not all")
    if not map and asked.target in ("bpf_map_elem", "bpf_sk_storage_map", "sockmap"):
        raise asked.needs("map", "the map to walk over")
    if not cgroup and asked.target == "cgroup":
        raise asked.needs("cgroup", "the cgroup to begin at")
    return events.Iter(_fd(map), str(cgroup), order, tid, pid)


@_for("perf_event")
def _perf_event(
    asked: _Asked,
    *,
    type: int = events.PERF_TYPE_SOFTWARE,
    config: int = events.PERF_COUNT_SW_CPU_CLOCK,
    sample_period: int = 0,
    sample_freq: int = 0,
    pid: int = -1,
    cpu: int = -1,
    cookie: int = 0,
) -> Event:
    if bool(sample_period) == bool(sample_freq):
        raise asked.needs("sample_freq= (Hz) or sample_period", "how often to take a sample")
    return events.PerfEvent(type, config, sample_period, sample_freq, pid, cpu, cookie)


# Tracing user programs


@_for("uprobe", "uprobe.s", "uretprobe", "uretprobe.s")
def _uprobe(
    asked: _Asked,
    *,
    path: str | Path = "",
    symbol: str = "",
    offset: int | None = None,
    pid: int = -1,
    cookie: int = 0,
    ref_ctr_offset: int = 0,
) -> Event:
    """With a symbol, `offset` is from its start; without one it is the offset in the file."""
    binary, _, place = asked.target.rpartition(":")
    name, plus = _plus(asked, place)
    file = _binary(asked, path or binary)
    if name and not symbol and _number(name) is not None:
        name, plus = "", _number(name) or 0
    name, at = symbol or name, plus if offset is None else offset
    if symbol and offset is None:
        at = 0
    if not name and not at:
        raise asked.missing("symbol= or offset", f"{asked.head}//usr/bin/bash:readline", "the user function")
    start = _user_function(file, name) if name else 0
    return events.Uprobe(file, start + at, asked.ret, pid, name, cookie, ref_ctr_offset)


@_for("uprobe.multi", "uprobe.multi.s", "uretprobe.multi", "uretprobe.multi.s", "uprobe.session", "uprobe.session.s")
def _uprobe_multi(
    asked: _Asked,
    *,
    path: str | Path = "",
    pattern: str = "",
    symbols: Iterable[str] | str = (),
    pid: int = -1,
    cookies: Iterable[int] = (),
) -> Event:
    """`cookies` go with `symbols`, one each."""
    from stingless.symbols.elf import function_offsets

    binary, _, names = asked.target.rpartition(":")
    file = _binary(asked, path or binary)
    chosen = (symbols,) if isinstance(symbols, str) else tuple(symbols)
    if chosen:
        return _of_offsets(asked, file, [_user_function(file, n) for n in chosen], pid, cookies, ",".join(chosen[:3]))
    wanted = pattern or names
    if not wanted:
        raise asked.missing("pattern", f"{asked.head}//usr/bin/bash:rl_*", "the pattern or the functions")
    if not set(wanted) & set("*?"):
        return _of_offsets(asked, file, [_user_function(file, wanted)], pid, cookies, wanted)
    import re
    from fnmatch import translate

    matches = re.compile(translate(wanted)).match
    # Two names of one function are one place.
    offsets = sorted({offset for name, offset in function_offsets(file).items() if matches(name)})
    if not offsets:
        raise asked.error(f"no function in {file} matches {wanted!r}")
    return _of_offsets(asked, file, offsets, pid, cookies, wanted)


def _of_offsets(asked: _Asked, file: str, offsets: list[int], pid: int, cookies: Iterable[int], pattern: str) -> Event:
    return events.UprobeMulti(file, tuple(offsets), asked.ret, asked.session, pid, tuple(cookies), pattern)


@_for("usdt", "usdt.s")
def _usdt(
    asked: _Asked,
    *,
    path: str | Path = "",
    provider: str = "",
    name: str = "",
    pid: int = -1,
    cookie: int = 0,
) -> Event:
    binary, _, rest = asked.target.rpartition(":")
    binary, _, owner = binary.rpartition(":")
    provider, name = provider or owner, name or rest
    if not provider or not name:
        raise asked.missing("path=, provider= and name", "usdt//usr/bin/python3:python:gc__start", "the static probe")
    return events.Usdt(_binary(asked, path or binary), provider, name, pid, cookie)


# Packets and sockets


@_for("xdp", "xdp.frags")
def _xdp(asked: _Asked, *, interface: str | int = "", mode: str = "", flags: int = 0) -> Event:
    """`mode` "native" (by the driver), "generic" (in the stack) or "offload" (by the card); "": the kernel chooses."""
    if asked.spec.attach_type in (AttachType.XDP_DEVMAP, AttachType.XDP_CPUMAP) or asked.target in ("devmap", "cpumap"):
        where = (asked.target or "map").upper()
        raise asked.error(f"it is for the entries of a {where}, whose values take the program's descriptor")
    if mode not in _XDP_MODES:
        raise asked.error(f"mode is one of {', '.join(filter(None, _XDP_MODES))}, not {mode!r}")
    return events.Xdp(_interface(asked, interface), flags | _XDP_MODES[mode])


_XDP_MODES = {"": 0, "generic": 2, "native": 4, "offload": 8}  # XDP_FLAGS_* of linux/if_link.h


@_for("tc", "tcx", "classifier")
def _tc(asked: _Asked, *, interface: str | int = "", direction: str = "") -> Event:
    return events.Tc(_interface(asked, interface), _direction(asked, direction) == "egress")


@_for("netkit")
def _netkit(asked: _Asked, *, interface: str | int = "", peer: bool | None = None) -> Event:
    return events.Netkit(_interface(asked, interface), asked.target == "peer" if peer is None else peer)


@_for("netfilter")
def _netfilter(
    asked: _Asked,
    *,
    family: str | int = "",
    hook: str | int = "",
    priority: int = 0,
    flags: int = 0,
    defragment: bool = False,
) -> Event:
    """`family` "ipv4" or "ipv6", `hook` one of `events.NETFILTER_HOOKS`, or their numbers."""
    families: dict[str | int, int] = {"ipv4": events.NFPROTO_IPV4, "ipv6": events.NFPROTO_IPV6}
    if family == "":
        raise asked.needs("family", 'the protocol family ("ipv4" or "ipv6")')
    if hook == "":
        raise asked.needs("hook", f"the hook ({', '.join(events.NETFILTER_HOOKS)})")
    if isinstance(family, str) and family not in families:
        raise asked.error(f'family is "ipv4" or "ipv6", not {family!r}')
    if isinstance(hook, str) and hook not in events.NETFILTER_HOOKS:
        raise asked.error(f"hook is one of {', '.join(events.NETFILTER_HOOKS)}, not {hook!r}")
    place = events.NETFILTER_HOOKS.index(hook) if isinstance(hook, str) else hook
    flags |= events.BPF_F_NETFILTER_IP_DEFRAG if defragment else 0
    return events.Netfilter(families[family] if isinstance(family, str) else family, place, priority, flags)


@_for("cgroup", "cgroup_skb", "sockops", "lsm_cgroup")
def _cgroup(
    asked: _Asked, *, cgroup: str | Path = "", direction: str = "", attach_type: AttachType | None = None
) -> Event:
    if not cgroup:
        raise asked.needs("cgroup", "the cgroup's directory")
    kind = attach_type or asked.spec.attach_type or _CGROUP_TYPES.get(asked.head)
    if asked.spec.type is ProgramType.CGROUP_SKB and (direction or (asked.target == "skb" and attach_type is None)):
        egress = _direction(asked, direction) == "egress"
        kind = AttachType.CGROUP_INET_EGRESS if egress else AttachType.CGROUP_INET_INGRESS
    if kind is None:
        raise asked.needs("attach_type", "what in the cgroup to attach to")
    return events.Cgroup(str(cgroup), kind)


_CGROUP_TYPES = {"sockops": AttachType.CGROUP_SOCK_OPS, "lsm_cgroup": AttachType.LSM_CGROUP}


@_for("sk_lookup", "flow_dissector")
def _netns(asked: _Asked, *, netns: str | Path | None = None) -> Event:
    """`netns`: a file, or the name of one under /run/netns; "" is the caller's namespace."""
    if netns is None:
        raise asked.needs("netns", 'the network namespace (a file, a name, or "" for this one)')
    lookup = asked.spec.type is ProgramType.SK_LOOKUP
    path = str(netns)
    if path and "/" not in path:
        path = f"/run/netns/{path}"
    return events.Netns(AttachType.SK_LOOKUP if lookup else AttachType.FLOW_DISSECTOR, path)


@_for("sk_skb", "sk_msg")
def _sockmap(asked: _Asked, *, map: HasFd | int = 0, attach_type: AttachType | None = None) -> Event:
    if not map:
        raise asked.needs("map", "the SOCKMAP or SOCKHASH")
    kind = attach_type or asked.spec.attach_type
    if asked.spec.type is ProgramType.SK_MSG:
        kind = AttachType.SK_MSG_VERDICT
    if not kind:
        raise asked.needs("attach_type", "whether it is a stream_parser, a stream_verdict or a verdict")
    return events.Sockmap(_fd(map), kind)


@_for("socket")
def _socket_filter(asked: _Asked, *, interface: str | int | None = None, socket: HasFileno | int = -1) -> Event:
    """Without `socket`, a raw packet socket is made, for an interface or ("") all of them."""
    if not isinstance(socket, int) or socket >= 0:
        return events.SocketFilter(socket=_fileno(socket))
    if interface is None:
        raise asked.needs("socket= or interface", "the socket to filter, or an interface to make one for")
    return events.SocketFilter(_interface(asked, interface) if interface else "")


@_for("sk_reuseport")
def _reuseport(asked: _Asked, *, socket: HasFileno | int = -1) -> Event:
    if isinstance(socket, int) and socket < 0:
        raise asked.needs("socket", "a socket of the group (with SO_REUSEPORT set)")
    return events.Reuseport(_fileno(socket))


@_for("lirc_mode2")
def _lirc(asked: _Asked, *, device: str | Path = "") -> Event:
    if not device:
        raise asked.needs("device", "the receiver's device (/dev/lirc0)")
    return events.Lirc(str(device))


# Programs whose section has a name of the user's own, by their type.
_BY_TYPE: dict[ProgramType, Builder] = {
    ProgramType.PERF_EVENT: _perf_event,
    ProgramType.XDP: _xdp,
    ProgramType.SCHED_CLS: _tc,
    ProgramType.NETFILTER: _netfilter,
    ProgramType.CGROUP_SKB: _cgroup,
    ProgramType.CGROUP_SOCK: _cgroup,
    ProgramType.CGROUP_SOCK_ADDR: _cgroup,
    ProgramType.CGROUP_SOCKOPT: _cgroup,
    ProgramType.CGROUP_SYSCTL: _cgroup,
    ProgramType.CGROUP_DEVICE: _cgroup,
    ProgramType.SOCK_OPS: _cgroup,
    ProgramType.SK_LOOKUP: _netns,
    ProgramType.FLOW_DISSECTOR: _netns,
    ProgramType.SK_SKB: _sockmap,
    ProgramType.SK_MSG: _sockmap,
    ProgramType.SOCKET_FILTER: _socket_filter,
    ProgramType.SK_REUSEPORT: _reuseport,
    ProgramType.LIRC_MODE2: _lirc,
}
_LWT = "lightweight tunnels belong to routes: pin it, and `ip route add NET encap bpf in|out|xmit pinned PATH dev DEV`"
_NOT_ATTACHED = {
    ProgramType.SYSCALL: "a SYSCALL program is called, not attached: run(ctx=...)",
    ProgramType.STRUCT_OPS: "a struct_ops program is part of its map: attach the map of the struct",
    ProgramType.SCHED_ACT: "actions belong to filters: pin it, and `tc actions add action bpf object-pinned PATH`",
    ProgramType.LWT_IN: _LWT,
    ProgramType.LWT_OUT: _LWT,
    ProgramType.LWT_XMIT: _LWT,
    ProgramType.LWT_SEG6LOCAL: _LWT,
}
_NOT_ATTACHED_SECTIONS = {
    "syscall": _NOT_ATTACHED[ProgramType.SYSCALL],
    "struct_ops": _NOT_ATTACHED[ProgramType.STRUCT_OPS],
    "struct_ops.s": _NOT_ATTACHED[ProgramType.STRUCT_OPS],
    "action": _NOT_ATTACHED[ProgramType.SCHED_ACT],
}


def _plus(asked: _Asked, text: str) -> tuple[str, int]:
    """("name", 16) of "name+0x10"."""
    name, sign, offset = text.partition("+")
    number = _number(offset) if sign else 0
    if number is None:
        raise asked.error(f"{offset!r} is not an offset (a number, as in name+0x10)")
    return name, number


def _number(text: str) -> int | None:
    try:
        return int(text, 0)
    except ValueError:
        return None


def _binary(asked: _Asked, name: str | Path) -> str:
    """The absolute file.  Raises `UnknownNameError`."""
    from stingless.symbols.libraries import resolve_binary

    if not str(name):
        raise asked.missing("path", f"{asked.head}/libc.so.6:malloc", "the program or library")
    return str(resolve_binary(str(name)))


def _user_function(path: str, name: str) -> int:
    from stingless.symbols.elf import function_offset

    return function_offset(path, name.partition("@")[0])  # name@VERSION, as nm shows it


def _interface(asked: _Asked, interface: str | int) -> str:
    if isinstance(interface, int):
        import socket

        try:
            return socket.if_indextoname(interface)
        except OSError:
            raise asked.error(f"there is no network interface of index {interface} here") from None
    if not interface:
        raise asked.needs("interface", "the network interface")
    return interface


def _direction(asked: _Asked, direction: str) -> str:
    found = direction or asked.target
    if not direction and asked.spec.attach_type in (AttachType.TCX_INGRESS, AttachType.TCX_EGRESS):
        found = asked.spec.attach_type.name.removeprefix("TCX_").lower()
    if found not in ("ingress", "egress"):
        if found == direction and direction:
            raise asked.error(f'direction is "ingress" or "egress", not {direction!r}')
        raise asked.needs("direction", 'the direction ("ingress" or "egress")')
    return found


def _fd(thing: HasFd | int) -> int:
    return thing if isinstance(thing, int) else thing.fd


def _fileno(thing: HasFileno | int) -> int:
    return thing if isinstance(thing, int) else thing.fileno()


__all__ = ["event_of"]

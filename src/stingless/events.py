"""What a program can be attached to: one frozen class an event.

Pure descriptions; a `Kernel` turns one into a `Link`.  Names are the kernel's own.  A `cookie` is a number of the
user's that the program reads with bpf_get_attach_cookie().
"""

from __future__ import annotations

from stingless._gen.uapi import AttachType
from stingless.frozen import frozen


@frozen
class Kprobe:
    """Entry (or, with `ret`, return) of a kernel function."""

    function: str
    offset: int = 0
    ret: bool = False
    cookie: int = 0

    def __str__(self) -> str:
        return f"{'kretprobe' if self.ret else 'kprobe'}:{self.function}" + (f"+{self.offset}" if self.offset else "")


@frozen
class KprobeMulti:
    """Entry (or return; with `session`, both) of many kernel functions in one link.  `functions` are names, or patterns
    with `*` and `?`; `cookies`, if any, go with names, one each.  With `traceable`, functions that cannot be traced are
    left out, and the link's event has the others."""

    functions: tuple[str, ...]
    ret: bool = False
    session: bool = False
    cookies: tuple[int, ...] = ()
    traceable: bool = False

    def __str__(self) -> str:
        kind = "kprobe.session" if self.session else "kretprobe.multi" if self.ret else "kprobe.multi"
        return f"{kind}:{_listed(self.functions)}"


@frozen
class Uprobe:
    """Entry (or return) of a user function: `path` is an absolute file, `offset` the offset in that file (not an
    address).  `pid` -1 means every process.  `ref_ctr_offset` is the offset in the file of a counter that the kernel
    increments while the probe is there (a USDT semaphore); 0: none."""

    path: str
    offset: int
    ret: bool = False
    pid: int = -1
    symbol: str = ""
    cookie: int = 0
    ref_ctr_offset: int = 0

    def __str__(self) -> str:
        return f"{'uretprobe' if self.ret else 'uprobe'}:{self.path}:{self.symbol or hex(self.offset)}"


@frozen
class UprobeMulti:
    """Entry (or return; with `session`, both) of many functions of one file in one link.  `offsets` as in `Uprobe`;
    `cookies`, if any, one for each of them.  `pattern` is what they were asked for by, for messages."""

    path: str
    offsets: tuple[int, ...]
    ret: bool = False
    session: bool = False
    pid: int = -1
    cookies: tuple[int, ...] = ()
    pattern: str = ""

    def __str__(self) -> str:
        kind = "uprobe.session" if self.session else "uretprobe.multi" if self.ret else "uprobe.multi"
        return f"{kind}:{self.path}:{self.pattern or _listed(tuple(map(hex, self.offsets)))}"


@frozen
class Usdt:
    """A static probe in a program or library: each place that the note PROVIDER:NAME marks.  `pid` -1 means every
    process."""

    path: str
    provider: str
    name: str
    pid: int = -1
    cookie: int = 0

    def __str__(self) -> str:
        return f"usdt:{self.path}:{self.provider}:{self.name}"


@frozen
class Tracepoint:
    """A tracepoint by category and name, as under tracefs events/."""

    category: str
    name: str
    cookie: int = 0

    def __str__(self) -> str:
        return f"tracepoint:{self.category}:{self.name}"


@frozen
class RawTracepoint:
    """A raw tracepoint: the arguments as the kernel passes them."""

    name: str
    cookie: int = 0

    def __str__(self) -> str:
        return f"raw_tracepoint:{self.name}"


@frozen
class PerfEvent:
    """A perf event: `type` and `config` of perf_event_open(2).  Exactly one of `sample_period` and `sample_freq` (Hz).
    `pid` -1 with `cpu` -1 means every online CPU.  With `inherit`, processes and threads that `pid` starts count too;
    `group_fd` is the leader of the event's group."""

    type: int
    config: int
    sample_period: int = 0
    sample_freq: int = 0
    pid: int = -1
    cpu: int = -1
    cookie: int = 0
    inherit: bool = False
    group_fd: int = -1

    def __str__(self) -> str:
        rate = f"{self.sample_freq}Hz" if self.sample_freq else f"1/{self.sample_period}"
        return f"perf_event:{self.type}:{self.config}@{rate}"


@frozen
class RawPerfEvent:
    """A perf event by the bytes of its `struct perf_event_attr`; the rest is as in `PerfEvent`."""

    attr: bytes
    pid: int = -1
    cpu: int = -1
    group_fd: int = -1

    def __str__(self) -> str:
        kind, config = int.from_bytes(self.attr[:4], "little"), int.from_bytes(self.attr[8:16], "little")
        return f"perf_event:{kind}:{config}@attr"


@frozen
class Tracing:
    """fentry, fexit, fmod_ret, fsession, typed raw tracepoints and BPF LSM: the target was named when the program was
    loaded."""

    cookie: int = 0

    def __str__(self) -> str:
        return "tracing"


@frozen
class TracingMulti:
    """Entry, exit or both (as the program's attach type says) of many kernel functions in one link.  `functions` and
    `cookies` as in `KprobeMulti`."""

    functions: tuple[str, ...]
    cookies: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"tracing.multi:{_listed(self.functions)}"


@frozen
class Freplace:
    """A function of another loaded program, which the program takes the place of.  `program` is that program's file
    descriptor; 0 and "" mean the ones that the program was loaded for."""

    program: int = 0
    function: str = ""

    def __str__(self) -> str:
        return f"freplace:{self.function}" if self.function else "freplace"


@frozen
class Iter:
    """A walk over objects of the kernel, which a read of the link's file makes.  `map`: the file descriptor of the map
    to walk over.  `cgroup`: the directory to begin at, `order` one of `ITER_ORDERS`.  `tid` or `pid`: one task, or one
    process's tasks."""

    map: int = 0
    cgroup: str = ""
    order: str = ""
    tid: int = 0
    pid: int = 0

    def __str__(self) -> str:
        return "iter" + (f":{self.cgroup}" if self.cgroup else "")


@frozen
class Xdp:
    """Packets that arrive at a network interface of the caller's network namespace, before the stack.
    `flags` are XDP_FLAGS_* of linux/if_link.h."""

    interface: str
    flags: int = 0

    def __str__(self) -> str:
        return f"xdp:{self.interface}"


@frozen
class Tc:
    """Packets that come to (or, with `egress`, leave) a network interface of the caller's network namespace."""

    interface: str
    egress: bool = False

    def __str__(self) -> str:
        return f"tc:{self.interface}:{'egress' if self.egress else 'ingress'}"


@frozen
class Netkit:
    """Packets that leave the primary interface of a netkit pair (`interface`, in the caller's network namespace), or,
    with `peer`, those that leave its peer."""

    interface: str
    peer: bool = False

    def __str__(self) -> str:
        return f"netkit:{self.interface}:{'peer' if self.peer else 'primary'}"


@frozen
class Netfilter:
    """A netfilter hook of the caller's network namespace.  `family` NFPROTO_IPV4 or NFPROTO_IPV6, `hook` an index into
    `NETFILTER_HOOKS`; lower priorities run first.  `flags`: BPF_F_NETFILTER_IP_DEFRAG."""

    family: int
    hook: int
    priority: int = 0
    flags: int = 0

    def __str__(self) -> str:
        family = {NFPROTO_IPV4: "ipv4", NFPROTO_IPV6: "ipv6"}.get(self.family, str(self.family))
        hook = NETFILTER_HOOKS[self.hook] if 0 <= self.hook < len(NETFILTER_HOOKS) else str(self.hook)
        return f"netfilter:{family}:{hook}"


@frozen
class Cgroup:
    """What the tasks (or sockets) of a cgroup v2 and those below it do, by its directory."""

    path: str
    attach_type: AttachType

    def __str__(self) -> str:
        return f"cgroup:{self.path}:{self.attach_type.name.lower().removeprefix('cgroup_')}"


@frozen
class Netns:
    """A network namespace, by its file (/run/netns/NAME, /proc/PID/ns/net): its socket look-ups, or the dissection of
    its packets.  "": the caller's."""

    attach_type: AttachType
    path: str = ""

    def __str__(self) -> str:
        return f"{self.attach_type.name.lower()}:{self.path or 'netns'}"


@frozen
class Sockmap:
    """The sockets of a SOCKMAP or SOCKHASH, by its file descriptor."""

    map: int
    attach_type: AttachType

    def __str__(self) -> str:
        return f"{self.attach_type.name.lower()}:map"


@frozen
class SocketFilter:
    """Copies of packets at an interface ("" = all), through a raw packet socket that the program filters; or, with
    `socket`, what arrives at that socket (a file descriptor)."""

    interface: str = ""
    socket: int = -1

    def __str__(self) -> str:
        return f"socket_filter:{self.interface or ('any' if self.socket < 0 else f'socket {self.socket}')}"


@frozen
class Reuseport:
    """The choice among the sockets that share a port with `socket` (a file descriptor) by SO_REUSEPORT."""

    socket: int

    def __str__(self) -> str:
        return f"sk_reuseport:socket {self.socket}"


@frozen
class Lirc:
    """What an infrared receiver sees: a device file, /dev/lircN."""

    device: str

    def __str__(self) -> str:
        return f"lirc:{self.device}"


@frozen
class StructOps:
    """The place of a struct that the kernel calls, which the map `map` implements by programs."""

    struct: str
    map: str

    def __str__(self) -> str:
        return f"struct_ops:{self.struct}:{self.map}"


Event = (
    Kprobe
    | KprobeMulti
    | Uprobe
    | UprobeMulti
    | Usdt
    | Tracepoint
    | RawTracepoint
    | PerfEvent
    | RawPerfEvent
    | Tracing
    | TracingMulti
    | Freplace
    | Iter
    | Xdp
    | Tc
    | Netkit
    | Netfilter
    | Cgroup
    | Netns
    | Sockmap
    | SocketFilter
    | Reuseport
    | Lirc
    | StructOps
)

PERF_TYPE_SOFTWARE = 1
PERF_COUNT_SW_CPU_CLOCK = 0
PERF_COUNT_SW_TASK_CLOCK = 1
# linux/netfilter.h: enum nf_inet_hooks, by number.
NETFILTER_HOOKS = ("pre_routing", "local_in", "forward", "local_out", "post_routing")
NFPROTO_IPV4, NFPROTO_IPV6 = 2, 10
BPF_F_NETFILTER_IP_DEFRAG = 1
# linux/bpf.h: enum bpf_cgroup_iter_order, from 1 on.
ITER_ORDERS = ("self_only", "descendants_pre", "descendants_post", "ancestors_up")


def _listed(names: tuple[str, ...]) -> str:
    return ",".join(names[:3]) + (f",... ({len(names)})" if len(names) > 3 else "")

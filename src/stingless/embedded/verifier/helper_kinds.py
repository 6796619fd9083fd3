"""What helpers take and give, in the verifier's words, and the signature of one helper."""

from __future__ import annotations

from stingless._gen.uapi import ProgramType
from stingless.frozen import frozen

# What an argument must be.
ANY = "any"  # initialised
CTX = "ctx"  # the context, as the program got it
MAP = "map"
KEY = "key"  # memory of the map's key size
VALUE = "value"  # memory of the map's value size
VALUE_OR_NULL = "value or null"
OUT_VALUE = "out value"  # the same, written by the helper
IN = "in"  # memory that is read; the next argument is its size
IN_OR_NULL = "in or null"  # the same; NULL with size 0
OUT = "out"  # memory that is written; the next argument is its size
OUT_OR_NULL = "out or null"
IN_OUT = "in out"  # memory that is read and written; the next argument is its size
SIZE = "size"  # 1 or more
SIZE_OR_ZERO = "size or zero"
ALLOC = "alloc"  # a constant size
RECORD = "record"  # a reserved ring buffer record, given back
TEXT = "text"  # a string that ends with NUL in a frozen read-only map
OUT_LONG = "out long"  # 8 aligned bytes that are written
IN_OUT_INT = "in out int"  # 4 aligned bytes that are read and written
IN_20 = "in 20"  # 20 bytes that are read: struct iphdr, struct tcphdr
IN_40 = "in 40"  # 40 bytes that are read: struct ipv6hdr
FUNCTION = "function"  # a sub-program that is called back
CALLBACK_CTX = "callback ctx"  # memory of the stack that the callback gets, or NULL
LOCK = "lock"  # a struct bpf_spin_lock in a map value or an object
TIMER = "timer"  # a struct bpf_timer in a map value
KPTR = "kptr"  # the place of a kernel pointer in a map value
OBJECT = "object"  # an object that the program owns and gives away, or NULL
NEW_DYNPTR = "new dynptr"  # 16 bytes of stack where a dynptr is made
DYNPTR = "dynptr"  # a dynptr
RECORD_DYNPTR = "record dynptr"  # a dynptr of a reserved ring buffer record, given back
SOCK_COMMON = "sock_common"  # a socket of any state; an own one or a kernel pointer
SOCKET = "socket"  # a full socket
TASK = "task"  # a pointer to struct task_struct
CGROUP = "cgroup"  # a pointer to struct cgroup
INODE = "inode"  # a pointer to struct inode
FILE = "file"  # a pointer to struct file
PATH = "path"  # a pointer to struct path
BPRM = "bprm"  # a pointer to struct linux_binprm
SEQ = "seq"  # a pointer to struct seq_file
SK_BUFF = "sk_buff"  # a pointer to struct sk_buff
XDP_BUFF = "xdp_buff"  # a pointer to struct xdp_buff
TCP_SOCK = "tcp_sock"  # a pointer to struct tcp_sock
PERCPU = "percpu"  # a per-CPU variable of the kernel, or an object of each CPU

# What only kfuncs take.  A kind may have a parameter after a colon.
SCALAR = "scalar"  # a number
CONST = "const"  # a known number
IGNORED = "ignored"  # anything, initialised or not
BTF = "btf"  # :STRUCT  a trusted (or RCU protected) pointer to a struct of the kernel
BTF_OR_NULL = "btf?"  # :STRUCT
RELEASED = "release"  # :STRUCT  a reference that is given back
IN_FIXED = "in fixed"  # :N  N bytes that are read
OUT_FIXED = "out fixed"  # :N  N bytes that are written
NEW_DYNPTR_OF = "new dynptr of"  # :TYPE  "local", "skb", "xdp", "clone", ...
DYNPTR_WRITE = "dynptr write"  # a dynptr that is not read-only
ITER = "iter"  # :NAME  a running iterator
NEW_ITER, END_ITER = "new iter", "end iter"  # :NAME
NEW_IRQ, END_IRQ = "new irq", "end irq"  # saved interrupt flags on the stack
RES_LOCK = "res lock"
WORKQUEUE = "wq"
LIST_HEAD, LIST_NODE = "list head", "list node"
RB_ROOT, RB_NODE = "rb root", "rb node"
LOCAL_TYPE = "local type"  # a constant: the BTF id of one of the program's own types
ALLOCATED = "allocated"  # an object of bpf_obj_new()
ALLOCATED_RELEASED = "allocated released"  # the same, given back
BUFFER_OR_NULL = "buffer or null"  # memory of a dynptr's slice to copy to, or NULL; the next argument is its size

# What is returned.
NUMBER = "number"
LENGTH = "length"  # a negative errno, or at most the size argument
NOTHING = "nothing"
MAP_VALUE = "map value"  # or NULL
STORAGE = "storage"  # the map's value, never NULL
RESERVED = "reserved"
DATA = "data"  # memory of a constant length in a dynptr, or NULL
A_SOCKET = "a socket"  # or NULL; to be released
A_SOCK_COMMON = "a sock_common"  # or NULL; to be released
ITS_SOCKET = "its socket"  # or NULL; as long as the argument
ITS_TCP_SOCK = "its tcp_sock"  # or NULL
KERNEL_SOCK = "kernel sock"  # a typed kernel pointer to a socket, or NULL
A_TASK = "a task"  # trusted
AN_OBJECT = "an object"  # or NULL; owned by the program
PT_REGS = "pt_regs"
PERCPU_MEMORY = "percpu memory"
PERCPU_MEMORY_OR_NULL = "percpu memory or null"
# What only kfuncs return.
BTF_RESULT = "btf"  # :STRUCT  trusted
BTF_OR_NULL_RESULT = "btf?"  # :STRUCT
ELEMENT = "element"  # :N or :STRUCT  N bytes, or a trusted pointer, that an iterator's step gives; NULL at its end
SLICE = "slice"  # of the dynptr in the first argument, or the buffer given with it, or NULL
NEW_OBJECT = "new object"  # or NULL; its type is in the first argument
SAME_OBJECT = "same object"  # what the first argument is, or NULL, with a reference of its own
LIST_ITEM, RB_ITEM, RB_ITEM_SEEN = "list item", "rb item", "rb item seen"  # or NULL
CAST = "cast"  # :"" the struct of the kernel that the context stands for; :"arg" as the second argument says


@frozen
class Signature:
    """`types` are the program types that may call the helper (None: all); `gpl`: the program's licence must be
    compatible with the GPL; `moves_packet`: packet pointers taken before are void after; `reads_packet`: its memory
    arguments may be in the packet; `sleeps`: only programs that may sleep call it.

    `kernel_only`: why it is meaningful only in a kernel; a program that calls it is refused with these words.  What has
    no such words, the embedded kernel implements."""

    returns: str
    arguments: tuple[str, ...]
    gpl: bool = False
    types: frozenset[ProgramType] | None = None
    moves_packet: bool = False
    reads_packet: bool = False
    sleeps: bool = False
    kernel_only: str = ""

"""The kernel functions (kfuncs) that the verifier knows, by name, in the words of the table of helpers.

The embedded kernel's own calls carry the numbers of `NUMBERS`; on Linux they carry ids of the kernel's BTF.
"""

from __future__ import annotations

from stingless._gen.uapi import ProgramType
from stingless.embedded.verifier.helper_kinds import (
    ALLOC,
    ALLOCATED,
    ALLOCATED_RELEASED,
    ANY,
    BUFFER_OR_NULL,
    CTX,
    DYNPTR,
    DYNPTR_WRITE,
    FUNCTION,
    IGNORED,
    IN,
    IN_FIXED,
    LIST_HEAD,
    LIST_ITEM,
    LIST_NODE,
    LOCAL_TYPE,
    MAP,
    NEW_OBJECT,
    NOTHING,
    NUMBER,
    OUT,
    RB_ITEM,
    RB_ITEM_SEEN,
    RB_NODE,
    RB_ROOT,
    RES_LOCK,
    SAME_OBJECT,
    SCALAR,
    SIZE,
    SIZE_OR_ZERO,
    SLICE,
    TEXT,
    WORKQUEUE,
)
from stingless.frozen import frozen, replace


@frozen
class Kfunc:
    """`types`: which programs may call it (None: all that may call kfuncs); `acquires`: what it returns must be given
    back; `rcu`: it is called within an RCU section; `sleeps`: only programs that may sleep call it, and not within a
    section."""

    returns: str
    arguments: tuple[str, ...]
    acquires: bool = False
    rcu: bool = False
    sleeps: bool = False
    moves_packet: bool = False
    types: frozenset[ProgramType] | None = None


_T = ProgramType
# Types of one registration: TRACING stands for all that trace by BTF, and for tracepoints and perf events.
_TRACING = frozenset({_T.TRACING, _T.TRACEPOINT, _T.PERF_EVENT, _T.LSM})
_GENERIC = _TRACING | {_T.SCHED_CLS, _T.SCHED_ACT, _T.XDP, _T.STRUCT_OPS, _T.SYSCALL, _T.CGROUP_SKB}
_MASKS = _TRACING | {_T.STRUCT_OPS, _T.SYSCALL}
_PREFIXES = {
    ("bpf_task_", "bpf_cgroup_", "bpf_obj_", "bpf_refcount_", "bpf_list_", "bpf_rbtree_", "bpf_throw"): _GENERIC,
    ("bpf_cpumask_",): _MASKS,
}


def _types(name: str) -> frozenset[ProgramType] | None:
    return next((types for prefixes, types in _PREFIXES.items() if name.startswith(prefixes)), None)


def _k(
    returns: str, *arguments: str, acquires: bool = False, rcu: bool = False, sleeps: bool = False, moves: bool = False
) -> Kfunc:
    return Kfunc(returns, arguments, acquires, rcu, sleeps, moves)


def _iterator(name: str, element: str, *arguments: str, rcu: bool = False) -> dict[str, Kfunc]:
    return {
        f"bpf_iter_{name}_new": _k(NUMBER, f"new iter:{name}", *arguments, rcu=rcu),
        f"bpf_iter_{name}_next": _k(f"element:{element}", f"iter:{name}"),
        f"bpf_iter_{name}_destroy": _k(NOTHING, f"end iter:{name}"),
    }


_TASK, _TASK_NULL, _CGROUP, _CGROUP_NULL = "btf:task_struct", "btf?:task_struct", "btf:cgroup", "btf?:cgroup"
_CPUMASK, _BPF_CPUMASK = "btf:cpumask", "btf:bpf_cpumask"
_TWO_MASKS = (_CPUMASK, _CPUMASK)
_STRING = ANY  # a pointer that may be bad: the function reads it as it reads the kernel's memory

KFUNCS: dict[str, Kfunc] = {
    **_iterator("num", "4", SCALAR, SCALAR),
    **_iterator("bits", "8", IGNORED, SCALAR),
    **_iterator("task", "task_struct", "btf?:task_struct", SCALAR, rcu=True),
    **_iterator("task_vma", "vm_area_struct", _TASK, SCALAR),
    **_iterator("css", "cgroup_subsys_state", "btf:cgroup_subsys_state", SCALAR, rcu=True),
    **_iterator("css_task", "task_struct", "btf:cgroup_subsys_state", SCALAR),
    **_iterator("kmem_cache", "kmem_cache"),
    **_iterator("scx_dsq", "task_struct", SCALAR, SCALAR),
    # Sections.
    "bpf_rcu_read_lock": _k(NOTHING),
    "bpf_rcu_read_unlock": _k(NOTHING),
    "bpf_preempt_disable": _k(NOTHING),
    "bpf_preempt_enable": _k(NOTHING),
    "bpf_local_irq_save": _k(NOTHING, "new irq"),
    "bpf_local_irq_restore": _k(NOTHING, "end irq"),
    "bpf_res_spin_lock": _k(NUMBER, RES_LOCK),
    "bpf_res_spin_unlock": _k(NOTHING, RES_LOCK),
    # Tasks and control groups.
    "bpf_task_acquire": _k(_TASK_NULL, _TASK, acquires=True, rcu=True),
    "bpf_task_release": _k(NOTHING, "release:task_struct"),
    "bpf_task_from_pid": _k(_TASK_NULL, SCALAR, acquires=True),
    "bpf_task_from_vpid": _k(_TASK_NULL, SCALAR, acquires=True),
    "bpf_task_under_cgroup": _k(NUMBER, _TASK, _CGROUP, rcu=True),
    "bpf_task_get_cgroup1": _k(_CGROUP_NULL, _TASK, SCALAR, acquires=True, rcu=True),
    "bpf_cgroup_acquire": _k(_CGROUP_NULL, _CGROUP, acquires=True, rcu=True),
    "bpf_cgroup_release": _k(NOTHING, "release:cgroup"),
    "bpf_cgroup_ancestor": _k(_CGROUP_NULL, _CGROUP, SCALAR, acquires=True, rcu=True),
    "bpf_cgroup_from_id": _k(_CGROUP_NULL, SCALAR, acquires=True),
    "bpf_get_task_exe_file": _k("btf?:file", _TASK, acquires=True),
    "bpf_put_file": _k(NOTHING, "release:file"),
    "bpf_path_d_path": _k(NUMBER, "btf:path", OUT, SIZE_OR_ZERO),
    "bpf_copy_from_user_str": _k(NUMBER, OUT, SIZE, ANY, SCALAR, sleeps=True),
    "bpf_copy_from_user_task_str": _k(NUMBER, OUT, SIZE, ANY, _TASK, SCALAR, sleeps=True),
    "bpf_send_signal_task": _k(NUMBER, _TASK, SCALAR, SCALAR, SCALAR),
    "bpf_get_kmem_cache": _k("btf?:kmem_cache", SCALAR),
    "bpf_session_is_return": _k(NUMBER),
    "bpf_session_cookie": _k("element:8"),
    "bpf_cast_to_kern_ctx": _k("cast", CTX),
    "bpf_rdonly_cast": _k("cast:arg", ANY, LOCAL_TYPE),
    "bpf_map_sum_elem_count": _k(NUMBER, MAP),
    "bpf_throw": _k(NOTHING, SCALAR),
    # CPU masks.
    "bpf_cpumask_create": _k("btf?:bpf_cpumask", acquires=True),
    "bpf_cpumask_acquire": _k(_BPF_CPUMASK, _BPF_CPUMASK, acquires=True),
    "bpf_cpumask_release": _k(NOTHING, "release:bpf_cpumask"),
    **{f"bpf_cpumask_{n}": _k(NUMBER, _CPUMASK) for n in (
        "first", "first_zero", "empty", "full", "any_distribute", "weight")},
    **{f"bpf_cpumask_{n}": _k(NUMBER, *_TWO_MASKS) for n in (
        "first_and", "equal", "intersects", "subset", "any_and_distribute")},
    "bpf_cpumask_test_cpu": _k(NUMBER, SCALAR, _CPUMASK),
    **{f"bpf_cpumask_{n}": _k(NOTHING, SCALAR, _BPF_CPUMASK) for n in ("set_cpu", "clear_cpu")},
    **{f"bpf_cpumask_{n}": _k(NUMBER, SCALAR, _BPF_CPUMASK) for n in ("test_and_set_cpu", "test_and_clear_cpu")},
    **{f"bpf_cpumask_{n}": _k(NOTHING, _BPF_CPUMASK) for n in ("setall", "clear")},
    "bpf_cpumask_and": _k(NUMBER, _BPF_CPUMASK, *_TWO_MASKS),
    **{f"bpf_cpumask_{n}": _k(NOTHING, _BPF_CPUMASK, *_TWO_MASKS) for n in ("or", "xor")},
    "bpf_cpumask_copy": _k(NOTHING, _BPF_CPUMASK, _CPUMASK),
    "bpf_cpumask_populate": _k(NUMBER, _BPF_CPUMASK, IN, SIZE),
    # Dynptrs.
    "bpf_dynptr_from_skb": _k(NUMBER, CTX, SCALAR, "new dynptr of:skb"),
    "bpf_dynptr_from_xdp": _k(NUMBER, CTX, SCALAR, "new dynptr of:xdp"),
    "bpf_dynptr_slice": _k(SLICE, DYNPTR, SCALAR, BUFFER_OR_NULL, ALLOC),
    "bpf_dynptr_slice_rdwr": _k(SLICE, DYNPTR, SCALAR, BUFFER_OR_NULL, ALLOC),
    "bpf_dynptr_adjust": _k(NUMBER, DYNPTR, SCALAR, SCALAR),
    "bpf_dynptr_is_null": _k(NUMBER, DYNPTR),
    "bpf_dynptr_is_rdonly": _k(NUMBER, DYNPTR),
    "bpf_dynptr_size": _k(NUMBER, DYNPTR),
    "bpf_dynptr_clone": _k(NUMBER, DYNPTR, "new dynptr of:clone"),
    "bpf_dynptr_copy": _k(NUMBER, DYNPTR_WRITE, SCALAR, DYNPTR, SCALAR, SCALAR),
    "bpf_dynptr_memset": _k(NUMBER, DYNPTR_WRITE, SCALAR, SCALAR, SCALAR),
    # Strings.
    "bpf_strcmp": _k(NUMBER, _STRING, _STRING),
    "bpf_strcasecmp": _k(NUMBER, _STRING, _STRING),
    "bpf_strchr": _k(NUMBER, _STRING, SCALAR),
    "bpf_strchrnul": _k(NUMBER, _STRING, SCALAR),
    "bpf_strrchr": _k(NUMBER, _STRING, SCALAR),
    "bpf_strnchr": _k(NUMBER, _STRING, SCALAR, SCALAR),
    "bpf_strlen": _k(NUMBER, _STRING),
    "bpf_strnlen": _k(NUMBER, _STRING, SCALAR),
    "bpf_strspn": _k(NUMBER, _STRING, _STRING),
    "bpf_strcspn": _k(NUMBER, _STRING, _STRING),
    "bpf_strstr": _k(NUMBER, _STRING, _STRING),
    "bpf_strnstr": _k(NUMBER, _STRING, _STRING, SCALAR),
    # Objects of the program's own.
    "bpf_obj_new_impl": _k(NEW_OBJECT, LOCAL_TYPE, IGNORED, acquires=True),
    "bpf_obj_drop_impl": _k(NOTHING, ALLOCATED_RELEASED, IGNORED),
    "bpf_refcount_acquire_impl": _k(SAME_OBJECT, ALLOCATED, IGNORED, acquires=True),
    "bpf_list_push_front_impl": _k(NUMBER, LIST_HEAD, LIST_NODE, IGNORED, SCALAR),
    "bpf_list_push_back_impl": _k(NUMBER, LIST_HEAD, LIST_NODE, IGNORED, SCALAR),
    "bpf_list_pop_front": _k(LIST_ITEM, LIST_HEAD, acquires=True),
    "bpf_list_pop_back": _k(LIST_ITEM, LIST_HEAD, acquires=True),
    "bpf_rbtree_add_impl": _k(NUMBER, RB_ROOT, RB_NODE, FUNCTION, IGNORED, SCALAR),
    "bpf_rbtree_first": _k(RB_ITEM_SEEN, RB_ROOT),
    "bpf_rbtree_remove": _k(RB_ITEM, RB_ROOT, RB_NODE, acquires=True),
    # Work for later.
    "bpf_wq_init": _k(NUMBER, WORKQUEUE, MAP, SCALAR),
    "bpf_wq_set_callback_impl": _k(NUMBER, WORKQUEUE, FUNCTION, SCALAR, IGNORED),
    "bpf_wq_start": _k(NUMBER, WORKQUEUE, SCALAR),
    # Packets.
    "bpf_xdp_metadata_rx_timestamp": _k(NUMBER, CTX, "out fixed:8"),
    "bpf_xdp_metadata_rx_hash": _k(NUMBER, CTX, "out fixed:4", "out fixed:4"),
    "bpf_xdp_get_xfrm_state": _k("btf?:xfrm_state", CTX, IN, SIZE, acquires=True),
    "bpf_xdp_xfrm_state_release": _k(NOTHING, "release:xfrm_state"),
    "bpf_xdp_ct_lookup": _k("btf?:nf_conn", CTX, IN, SIZE, OUT, SIZE, acquires=True),
    "bpf_skb_ct_lookup": _k("btf?:nf_conn", CTX, IN, SIZE, OUT, SIZE, acquires=True),
    "bpf_xdp_ct_alloc": _k("btf?:nf_conn___init", CTX, IN, SIZE, OUT, SIZE, acquires=True),
    "bpf_skb_ct_alloc": _k("btf?:nf_conn___init", CTX, IN, SIZE, OUT, SIZE, acquires=True),
    "bpf_ct_insert_entry": _k("btf?:nf_conn", "release:nf_conn___init", acquires=True),
    "bpf_ct_release": _k(NOTHING, "release:nf_conn"),
    "bpf_ct_set_timeout": _k(NOTHING, "btf:nf_conn___init", SCALAR),
    "bpf_ct_change_timeout": _k(NUMBER, "btf:nf_conn", SCALAR),
    "bpf_ct_set_status": _k(NUMBER, "btf:nf_conn___init", SCALAR),
    "bpf_ct_change_status": _k(NUMBER, "btf:nf_conn", SCALAR),
    "bpf_sock_addr_set_sun_path": _k(NUMBER, CTX, IN, SIZE),
    "bpf_get_fsverity_digest": _k(NUMBER, "btf:file", DYNPTR_WRITE),
    "bpf_get_file_xattr": _k(NUMBER, "btf:file", TEXT, DYNPTR_WRITE, sleeps=True),
    "bpf_get_dentry_xattr": _k(NUMBER, "btf:dentry", TEXT, DYNPTR_WRITE, sleeps=True),
    "bpf_crypto_encrypt": _k(NUMBER, "btf:bpf_crypto_ctx", DYNPTR, DYNPTR_WRITE, DYNPTR),
    "bpf_crypto_decrypt": _k(NUMBER, "btf:bpf_crypto_ctx", DYNPTR, DYNPTR_WRITE, DYNPTR),
    "bpf_crypto_ctx_create": _k(
        "btf?:bpf_crypto_ctx", f"{IN_FIXED}:408", SCALAR, "out fixed:4", acquires=True, sleeps=True
    ),
    "bpf_crypto_ctx_acquire": _k("btf?:bpf_crypto_ctx", "btf:bpf_crypto_ctx", acquires=True, rcu=True),
    "bpf_crypto_ctx_release": _k(NOTHING, "release:bpf_crypto_ctx"),
    "cgroup_rstat_updated": _k(NOTHING, _CGROUP, SCALAR),
    "cgroup_rstat_flush": _k(NOTHING, _CGROUP, sleeps=True),
}  # fmt: skip

KFUNCS = {name: replace(each, types=_types(name)) for name, each in KFUNCS.items()}
NUMBERS: dict[str, int] = {name: number for number, name in enumerate(KFUNCS, 1)}
NAMES: dict[int, str] = {number: name for name, number in NUMBERS.items()}

# Those that may be called while a lock is held.
UNDER_LOCK = frozenset(name for name in KFUNCS if name.startswith(("bpf_list_", "bpf_rbtree_", "bpf_iter_num_"))) | {
    "bpf_refcount_acquire_impl", "bpf_res_spin_unlock", "bpf_res_spin_lock", "bpf_obj_drop_impl",
}  # fmt: skip
# Those that take the list or tree's lock for granted.
NEEDS_LOCK = frozenset(name for name in KFUNCS if name.startswith(("bpf_list_", "bpf_rbtree_")))


def argument_count(name: str) -> int:
    """How many arguments a kfunc reads (5 where it is not known)."""
    kfunc = KFUNCS.get(name)
    return len(kfunc.arguments) if kfunc is not None else 5

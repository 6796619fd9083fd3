"""Sections: locks, RCU, no preemption; what may be called in them, and that they end."""

from __future__ import annotations

from stingless._gen.helpers import Helper
from stingless._gen.uapi import ProgramType
from stingless.embedded.verifier.arguments import Call, lock_of
from stingless.embedded.verifier.env import Env
from stingless.embedded.verifier.rejection import Rejected, malformed
from stingless.embedded.verifier.state import ALLOC, NON_OWNING, RCU, UNTRUSTED, Held, Reg, replace_all

_TRACING = frozenset(
    {
        ProgramType.KPROBE, ProgramType.TRACEPOINT, ProgramType.PERF_EVENT, ProgramType.RAW_TRACEPOINT,
        ProgramType.RAW_TRACEPOINT_WRITABLE,
    }
)  # fmt: skip


def in_rcu(env: Env) -> bool:
    """Within an RCU section: a program that cannot sleep is one."""
    return bool(env.state.held.rcu) or not env.state.sleepable


def check_may_sleep(env: Env, name: str) -> None:
    held = env.state.held
    if held.atomic:
        where = "rcu_read_lock" if held.rcu else "non-preemptible" if held.preempt else "IRQ-disabled"
        raise malformed(f"sleepable helper {name} in {where} region")


def check_helper(env: Env, number: int) -> None:
    if env.state.held.lock is not None and number not in (Helper.spin_lock, Helper.spin_unlock, Helper.kptr_xchg):
        raise malformed("function calls are not allowed while holding a lock")


def check_kfunc(env: Env, name: str) -> None:
    from stingless.embedded.verifier.kfuncs import NEEDS_LOCK, UNDER_LOCK

    lock = env.state.held.lock
    if lock is not None and name not in UNDER_LOCK:
        raise malformed("function calls are not allowed while holding a lock")
    if name in NEEDS_LOCK and lock is None:
        raise malformed(f"bpf_spin_lock at off=0 must be held for {name}")


def lock(env: Env, call: Call, take: bool) -> None:
    """bpf_spin_lock() and bpf_spin_unlock() of the lock that the first argument points to."""
    if env.spec.type in _TRACING:
        raise malformed("tracing progs cannot use bpf_spin_lock yet")
    if env.spec.type is ProgramType.SOCKET_FILTER:
        raise malformed("socket filter progs cannot use bpf_spin_lock yet")
    reg = call.first
    which = lock_of(reg)
    held = env.state.held
    if take:
        if held.lock is not None:
            raise malformed("Locking two bpf_spin_locks are not allowed")
        env.state.held = Held(which, held.rcu, held.preempt, held.irqs)
        return
    if held.lock is None:
        raise malformed("bpf_spin_unlock without taking a lock")
    if held.lock != which:
        raise malformed("bpf_spin_unlock of different lock")
    env.state.held = Held(None, held.rcu, held.preempt, held.irqs)
    replace_all(env.state, lambda r: bool(r.flags & NON_OWNING), lambda r: Reg("?"))


def kfunc(env: Env, name: str) -> bool:
    """Whether `name` begins or ends a section; then it is done."""
    held = env.state.held
    if name == "bpf_rcu_read_lock":
        env.state.held = Held(held.lock, held.rcu + 1, held.preempt, held.irqs)
    elif name == "bpf_rcu_read_unlock":
        if not held.rcu:
            raise malformed("unmatched rcu read unlock (kernel function bpf_rcu_read_unlock)")
        env.state.held = Held(held.lock, held.rcu - 1, held.preempt, held.irqs)
        if held.rcu == 1 and env.state.sleepable:
            replace_all(
                env.state,
                lambda r: bool(r.flags & RCU) and not r.flags & ALLOC,
                lambda r: r._replace(flags=r.flags & ~RCU | UNTRUSTED),
            )
    elif name == "bpf_preempt_disable":
        env.state.held = Held(held.lock, held.rcu, held.preempt + 1, held.irqs)
    elif name == "bpf_preempt_enable":
        if not held.preempt:
            raise malformed("unmatched attempt to enable preemption (kernel function bpf_preempt_enable)")
        env.state.held = Held(held.lock, held.rcu, held.preempt - 1, held.irqs)
    else:
        return name in ("bpf_local_irq_save", "bpf_local_irq_restore")
    return True


def check_none(env: Env, where: str) -> None:
    """At the end of the program, and where it is left otherwise."""
    held = env.state.held
    if held.lock is not None:
        raise malformed(f"{where} cannot be used inside bpf_spin_lock-ed region")
    if held.rcu:
        raise malformed(f"{where} cannot be used inside bpf_rcu_read_lock-ed region")
    if held.preempt:
        raise malformed(f"{where} cannot be used inside bpf_preempt_disable-ed region")
    if held.irqs:
        raise Rejected(f"{where} cannot be used inside bpf_local_irq_save-ed region")

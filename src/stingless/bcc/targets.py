"""What the names of functions for BPF trampolines, LSM hooks and iterators say, as bcc's macros make them:
`kfunc__MODULE__FUNCTION`, `kretfunc__...`, `kmod_ret__...`, `lsm__HOOK`, `bpf_iter__KIND`; the module may be left out.
"""

from __future__ import annotations

from typing import Any

from stingless._gen.uapi import AttachType
from stingless.errors import AttachError

PREFIXES = {
    "kfunc__": AttachType.TRACE_FENTRY,
    "kretfunc__": AttachType.TRACE_FEXIT,
    "kmod_ret__": AttachType.MODIFY_RETURN,
    "lsm__": AttachType.LSM_MAC,
    "bpf_iter__": AttachType.TRACE_ITER,
}


def target_of(function: str) -> dict[str, Any]:
    """`attach_type` and `attach_target` of the program's spec.  Raises `AttachError` for a name that tells none."""
    for prefix, attach_type in PREFIXES.items():
        if function.startswith(prefix):
            target = function.removeprefix(prefix)
            if attach_type not in (AttachType.LSM_MAC, AttachType.TRACE_ITER):
                target = _in_module(target)
            return {"attach_type": attach_type, "attach_target": target}
    known = ", ".join(f"{prefix}NAME" for prefix in PREFIXES)
    raise AttachError(f"the name of {function!r} does not say what it is for; it would be {known}", 22)


def _in_module(target: str) -> str:
    """ "MODULE__FUNCTION" as "MODULE:FUNCTION".  A function's own name may begin with underscores or hold two."""
    module, _, function = target.partition("__")
    if module == "vmlinux" and function:
        return function
    if module and function:
        from stingless.btf.kernel import DIRECTORY

        if (DIRECTORY / module).exists():
            return f"{module}:{function}"
    return target


def named(prefix: str, name: str, functions: Any) -> str:
    """The function that is meant: by its whole name, or by what it is for."""
    for candidate in (prefix + name.removeprefix(prefix), f"{prefix}vmlinux__{name}"):
        if candidate in functions:
            return candidate
    ending = [f for f in functions if f.startswith(prefix) and f.endswith(f"__{name}")]
    return ending[0] if len(ending) == 1 else prefix + name.removeprefix(prefix)

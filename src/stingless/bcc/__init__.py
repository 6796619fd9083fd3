"""bcc's Python API on top of the `Kernel` protocol.  `stingless run` also offers it as the module `bcc`.

Each name is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stingless.bpf import BPF as BPF

_HOME = {
    "BPF": "stingless.bpf",
    "Table": "stingless.bcc.table",
    "PerfEventArray": "stingless.bcc.table",
    "RingBuf": "stingless.bcc.table",
    "USDT": "stingless.bcc.usdt",
    "USDTException": "stingless.bcc.usdt",
    "SymbolCache": "stingless.bcc.symbols",
    "Perf": "stingless.bcc.perf",
    "lib": "stingless.bcc.libbcc",
    "bcc_symbol": "stingless.bcc.libbcc",
    "bcc_symbol_option": "stingless.bcc.libbcc",
    "disassemble_prog": "stingless.bcc.disassembler",
    "decode_map": "stingless.bcc.disassembler",
    "__version__": "stingless.bcc.version",
    **dict.fromkeys(("ArgString", "StrcmpRewrite", "get_online_cpus", "printb"), "stingless.bcc.utils"),
    **dict.fromkeys(
        (
            *("DEBUG_LLVM_IR", "DEBUG_BPF", "DEBUG_PREPROCESSOR"),
            *("DEBUG_SOURCE", "DEBUG_BPF_REGISTER_STATE", "DEBUG_BTF"),
            *("BPFAttachType", "BPFProgType", "PerfEventSampleFormat", "PerfHWConfig", "PerfSWConfig", "PerfType"),
            *("XDPAction", "XDPFlags"),
        ),
        "stingless.bcc.constants",
    ),
}
_MODULES = (
    *("containers", "disassembler", "exec", "libbcc", "perf", "syscall", "table", "tcp", "usdt", "utils", "version"),
)
__all__ = ["BPF", "USDT", *sorted(_HOME.keys() - {"BPF", "USDT", "__version__"})]


def __getattr__(name: str) -> Any:
    import importlib

    value: Any
    if name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
    elif name in _MODULES:  # `from bcc import utils`, and `bcc.utils` after `import bcc`
        value = importlib.import_module(f"stingless.bcc.{name}")
    elif name == "_get_num_open_probes":
        from stingless.bcc.attaching import num_open_probes as value
    elif name in ("DEBUGFS", "TRACEFS"):
        from stingless.bcc import tracefs

        value = tracefs.DEBUGFS if name == "DEBUGFS" else tracefs.directory()
    else:
        raise AttributeError(f"module 'bcc' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME, *_MODULES})

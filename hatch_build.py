"""Build hook: compiles the embedded kernel's C runtime for this machine.

Runs by itself too: `python hatch_build.py` rebuilds the library in the source tree.  The compiler is the clang of the
ziglang wheel, so that no system compiler or libc headers are needed; libc symbols stay undefined and are resolved from
the process that loads the library, so that one library serves glibc and musl.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hatchling.builders.config import BuilderConfig
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface

    _Hook = BuildHookInterface[BuilderConfig]
else:
    try:
        from hatchling.builders.hooks.plugin.interface import BuildHookInterface as _Hook
    except ImportError:  # run as a script, outside a build
        _Hook = object

ROOT = Path(__file__).resolve().parent
SOURCES = ROOT / "src/stingless/embedded/runtime"
TARGETS = {"x86_64": "x86_64-linux-gnu", "aarch64": "aarch64-linux-gnu"}
FLAGS = [
    *("-std=gnu2x", "-O2", "-fPIC", "-ffreestanding", "-fvisibility=hidden", "-nostdlibinc"),
    *("-fno-strict-aliasing", "-fwrapv", "-fno-stack-protector", "-Wall", "-Wextra", "-Werror"),
]
# Functions that the JIT inlines into programs; it needs the LLVM that it uses to be as new as this clang's.
BITCODE = SOURCES / "bitcode/lookup.c"
MACHINE_FLAGS = {"aarch64": ["-mno-outline-atomics"]}  # the out-of-line atomics are in a library that we do not link


def library_path(machine: str) -> Path:
    return ROOT / f"src/stingless/_sys/libstingless-runtime.{machine}.so"


def bitcode_path(library: Path) -> Path:
    return library.with_name(library.name.replace("-runtime.", "-lookup.").removesuffix(".so") + ".bc")


def zig() -> Path:
    """The zig binary of the ziglang wheel."""
    try:
        import ziglang
    except ImportError:
        raise SystemExit("the runtime is compiled by the ziglang wheel: pip install 'ziglang>=0.16,<0.18'") from None
    assert ziglang.__file__ is not None
    return Path(ziglang.__file__).with_name("zig")


def build_runtime(machine: str | None = None, output: Path | None = None) -> Path | None:
    """Compile and link the runtime for `machine` (default: this one).  Returns the library's path, or None where the
    runtime does not exist for that machine or system.  The library appears in one step, so that a process that
    uses the old one goes on undisturbed."""
    machine = machine or platform.machine()
    if machine not in TARGETS or sys.platform != "linux":
        return None
    output = output or library_path(machine)
    compiler = str(zig())
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".build-") as scratch:
        environment = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": scratch, "ZIG_LOCAL_CACHE_DIR": scratch}
        objects: list[str] = []
        jobs = []
        for source in sorted(SOURCES.glob("*.c")):
            objects.append(f"{scratch}/{source.stem}.o")
            command = [compiler, "clang", "-target", TARGETS[machine], *FLAGS, *MACHINE_FLAGS.get(machine, [])]
            jobs.append(subprocess.Popen([*command, "-c", str(source), "-o", objects[-1]], env=environment))
        bitcode = f"{scratch}/{BITCODE.stem}.bc"
        command = [compiler, "clang", "-target", TARGETS[machine], *FLAGS, *MACHINE_FLAGS.get(machine, [])]
        command += ["-emit-llvm", "-c", str(BITCODE), "-o", bitcode]
        jobs.append(subprocess.Popen(command, env=environment))
        statuses = [job.wait() for job in jobs]
        if any(statuses):
            raise SystemExit("the embedded kernel's runtime did not compile; the compiler's messages are above")
        linked = f"{scratch}/linked.so"
        link = [
            compiler,
            "ld.lld",
            "-shared",
            "-z",
            "now",
            "-z",
            "noexecstack",
            "--strip-debug",
            "-soname",
            output.name,
        ]
        if subprocess.run([*link, "-o", linked, *objects], env=environment).returncode:
            raise SystemExit("the embedded kernel's runtime did not link; the linker's messages are above")
        Path(bitcode).replace(bitcode_path(output))
        Path(linked).replace(output)
    return output


class RuntimeBuildHook(_Hook):
    """Hatchling's view of `build_runtime()`; the wheel is then specific to this machine, not to a Python version."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":
            return
        library = build_runtime()
        if library is None:
            return  # a pure wheel: everything but the embedded kernel works
        build_data["pure_python"] = False
        build_data["tag"] = "py3-none-" + sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["artifacts"] += [str(each.relative_to(ROOT)) for each in (library, bitcode_path(library))]


if __name__ == "__main__":
    built = build_runtime(sys.argv[1] if len(sys.argv) > 1 else None)
    print(built or f"no runtime for {platform.machine()} on {sys.platform}")

"""Finding a clang with the BPF back end: the ziglang wheel's, or the system's."""

from __future__ import annotations

import importlib.util
import os
import re
from functools import cache
from pathlib import Path

from stingless.errors import NotSupportedError
from stingless.frozen import frozen

HEADERS = Path(__file__).parent / "headers"
BCC_HEADERS = HEADERS / "bcc"
"""What bcc's dialect has beside those: its prelude, and shims in place of kernel-internal headers."""
MIN_CLANG = 12
_UAPI_DIRS = {"x86_64": "x86-linux-any", "aarch64": "aarch64-linux-any"}


@frozen
class Compiler:
    """`argv` starts clang; `includes` are the directories with the kernel's UAPI headers.  For plain C there are also
    clang's own headers in `own` (stddef.h; empty: clang finds them) and the C library's in `libc` (string.h)."""

    argv: tuple[str, ...]
    includes: tuple[Path, ...]
    origin: str  # "ziglang wheel", "system" or "STINGLESS_CLANG"
    own: tuple[Path, ...] = ()
    libc: tuple[Path, ...] = ()

    def version(self) -> str:
        """The first line of `clang --version`."""
        import subprocess

        done = subprocess.run([*self.argv, "--version"], capture_output=True, text=True, check=False)
        return done.stdout.splitlines()[0] if done.stdout else "unknown"

    def include_flags(self) -> list[str]:
        """Where plain C finds its headers, ours first."""
        paths = (HEADERS, *self.own, *self.includes, *self.libc)
        # Without -nostdinc, clang adds its own directory, and with -nostdlibinc no other.
        return ["-nostdinc" if self.own else "-nostdlibinc", *(f for p in paths for f in ("-isystem", str(p)))]


def _wheel() -> Path | None:
    spec = importlib.util.find_spec("ziglang")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0])


def _wheel_includes(wheel: Path | None) -> tuple[Path, ...]:
    if wheel is None:
        return ()
    base = wheel / "lib/libc/include"
    arch = _UAPI_DIRS.get(os.uname().machine)
    return (*([base / arch] if arch else []), base / "any-linux-any")


def _wheel_libc(wheel: Path | None) -> tuple[Path, ...]:
    """musl's headers: those of glibc ask for a file that no BPF target has."""
    if wheel is None:
        return ()
    base = wheel / "lib/libc/include"
    return (base / f"{os.uname().machine}-linux-musl", base / "generic-musl")


def _system_includes() -> tuple[Path, ...]:
    multiarch = Path("/usr/include") / f"{os.uname().machine}-linux-gnu"
    return tuple(p for p in (multiarch, Path("/usr/include")) if (p / "linux").is_dir() or (p / "asm").is_dir())


def system_compiler() -> Compiler | None:
    """The clang in PATH, if it is new enough."""
    import shutil

    found = shutil.which("clang")
    if found:
        compiler = Compiler((found,), _system_includes(), "system")
        major = re.search(r"version (\d+)", compiler.version())
        if major and int(major.group(1)) >= MIN_CLANG:
            return compiler
    return None


@cache
def find_compiler() -> Compiler:
    """The compiler to use: $STINGLESS_CLANG, else the ziglang wheel's clang, else a system clang >= 12.

    Raises `NotSupportedError` when there is none.
    """
    wheel = _wheel()
    includes, libc = _wheel_includes(wheel), _wheel_libc(wheel)
    chosen = os.environ.get("STINGLESS_CLANG")
    if chosen:
        import shutil

        found = shutil.which(chosen)
        if found is None:
            advice = f"STINGLESS_CLANG is {chosen!r}, which cannot be started; name a clang >= {MIN_CLANG}"
            raise NotSupportedError("compiling C", advice=advice)
        return Compiler((found,), includes or _system_includes(), "STINGLESS_CLANG", libc=libc)
    if wheel is not None:
        return Compiler((str(wheel / "zig"), "clang"), includes, "ziglang wheel", (wheel / "lib/include",), libc)
    system = system_compiler()
    if system is not None:
        return system
    raise NotSupportedError(
        "compiling C",
        advice=f"no compiler found: pip install 'stingless[compile]', or install clang >= {MIN_CLANG}, "
        "or name one in STINGLESS_CLANG",
    )

"""The kernels of `kernels.toml`, and those of them that are fetched."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .cache import cache_dir

STAMP = "kernel.json"


@dataclass(frozen=True)
class Kernel:
    name: str
    suite: str
    package: str
    default: bool = False


@dataclass(frozen=True)
class FetchedKernel:
    """A kernel package that was extracted to `tree`; `release` is what `uname -r` says in the guest."""

    name: str
    release: str
    version: str
    tree: Path

    @property
    def modules(self) -> Path:
        return self.tree / "lib" / "modules" / self.release

    @property
    def image(self) -> Path:
        """The bzImage: in /boot, or beside the modules in the packages that are split in several."""
        places = (self.tree / "boot" / f"vmlinuz-{self.release}", self.modules / "vmlinuz")
        return next((p for p in places if p.is_file()), places[0])


@cache
def load_kernels() -> dict[str, Kernel]:
    text = Path(__file__).with_name("kernels.toml").read_text(encoding="utf-8")
    kernels = [Kernel(**entry) for entry in tomllib.loads(text)["kernel"]]
    return {k.name: k for k in kernels}


def default_kernel() -> str:
    return next(k.name for k in load_kernels().values() if k.default)


def choose(names: Iterable[str]) -> list[str]:
    """The kernels asked for, in the list's order; `all` stands for every one. ValueError names an unknown one."""
    known = load_kernels()
    wanted = {part for name in names for part in name.replace(",", " ").split()}
    if unknown := sorted(wanted - known.keys() - {"all"}):
        raise ValueError(f"no kernel {', '.join(unknown)} in tests/vm/kernels.toml: it has {', '.join(known)} (or all)")
    return [name for name in known if name in wanted or "all" in wanted]


def fetched(name: str) -> FetchedKernel | None:
    """The kernel if it is complete in the cache. The stamp is written last, so it stands for the rest."""
    tree = cache_dir() / name
    try:
        stamp = json.loads((tree / STAMP).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return FetchedKernel(name, stamp["release"], stamp["version"], tree)

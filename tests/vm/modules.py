"""Which module files a guest must insert, and in which order, to get its console and root file system."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

# What carries the host's root (9p over virtio, under an overlay) and the command's output (ports of a console device).
NEEDED = ("virtio_pci", "virtio_console", "overlay", "9pnet_virtio", "9p")


def module_name(path: str) -> str:
    """`kernel/fs/9p/9p.ko.xz` -> `9p`; the kernel treats `-` and `_` in names as one."""
    return path.rpartition("/")[2].partition(".ko")[0].replace("-", "_")


def parse_dependencies(text: str) -> dict[str, list[str]]:
    """`modules.dep`: each module file with all those it needs."""
    pairs = (line.partition(":") for line in text.splitlines())
    return {path: needs.split() for path, _, needs in pairs}


def closure(names: Iterable[str], dependencies: Mapping[str, list[str]], builtin: Iterable[str]) -> list[str]:
    """The files of modules `names` and of what they need, each after all that it needs.

    Raises LookupError for a name that is neither a module nor built in.
    """
    by_name = {module_name(path): path for path in dependencies}
    compiled_in = {module_name(path) for path in builtin}
    order: list[str] = []

    def add(path: str) -> None:
        if path in order:
            return
        for needed in dependencies[path]:
            add(needed)
        order.append(path)

    for name in names:
        if name in by_name:
            add(by_name[name])
        elif name not in compiled_in:
            raise LookupError(f"the kernel has no module {name}")
    return order


def boot_modules(directory: Path) -> list[Path]:
    dependencies = parse_dependencies((directory / "modules.dep").read_text())
    builtin = (directory / "modules.builtin").read_text().splitlines()
    return [directory / path for path in closure(NEEDED, dependencies, builtin)]

"""Maps that are declared with LIBBPF_PIN_BY_NAME: one for all objects that declare it, under a directory of a bpffs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stingless.errors import LoadError
from stingless.kernel import Kernel, Map
from stingless.obj.spec import MapSpec
from stingless.sizes import MMAPABLE, adapted

DIRECTORY = Path("/sys/fs/bpf")
_EINVAL = 22
LAYOUT = ("type", "key_size", "value_size")
_COMPARED = (*LAYOUT, "max_entries", "flags", "extra")


def create_pinned(kernel: Kernel, spec: MapSpec, directory: Path = DIRECTORY) -> Map:
    """`pinned_at` the path `directory`/`spec.name`."""
    return pinned_at(kernel, spec, directory / spec.name)


def pinned_at(kernel: Kernel, spec: MapSpec, path: Path, compared: Sequence[str] = _COMPARED) -> Map:
    """The map that is pinned as `path`, or a new one that is then pinned there.

    Raises `LoadError` that lists the differences in the attributes `compared` when the one that is there is unlike
    `spec`; and what `Kernel.create_map`, `Kernel.open_map` and `Map.pin` raise.
    """
    try:
        return _reused(kernel, spec, path, compared)
    except FileNotFoundError:
        pass
    made = kernel.create_map(spec)
    try:
        made.pin(path)
    except FileExistsError:  # somebody was quicker
        made.close()
        return _reused(kernel, spec, path, compared)
    except BaseException:
        made.close()
        raise
    return made


def _reused(kernel: Kernel, spec: MapSpec, path: Path, compared: Sequence[str]) -> Map:
    found = kernel.open_map(path)
    differing = differences(adapted(spec), found.spec, compared)
    if differing:
        found.close()
        raise LoadError(
            f"map {spec.name!r}: what is pinned at {path} is unlike it: {'; '.join(differing)}; remove the pin, or pin "
            "elsewhere",
            _EINVAL,
        )
    return found


def differences(asked: MapSpec, there: MapSpec, compared: Sequence[str] = _COMPARED) -> list[str]:
    """How a map unlike the spec differs, in words: "max_entries is 10, not 20"."""
    found = []
    for name in compared:
        wanted, has = getattr(asked, name), getattr(there, name)
        if name == "flags" and asked.initial is not None:
            has |= MMAPABLE  # a kernel before Linux 5.5 made it without
        if wanted != has:
            shown = (has.name, wanted.name) if name == "type" else (has, wanted)
            found.append(f"{name} is {shown[0]}, not {shown[1]}")
    return found

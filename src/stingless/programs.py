"""The programs and maps of one object on one kernel: created, loaded when their type is known, closed together."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stingless._gen.uapi import AttachType, ProgramType
from stingless.errors import UnknownNameError
from stingless.frozen import replace
from stingless.kernel import Kernel, Map, Program
from stingless.obj.spec import MapSpec, ObjectSpec, Pinning

if TYPE_CHECKING:
    from stingless.btf.types import Btf


class LoadedObject:
    """Maps are created at once; a program is loaded on first use, for the type that its section or the caller names.

    `btf` stands for the kernel's own types.  `maps` are used in place of those that the object declares under the same
    names, and stay the caller's.  `pins` is the directory of maps that are pinned by name.
    """

    def __init__(
        self,
        kernel: Kernel,
        spec: ObjectSpec,
        *,
        btf: Btf | None = None,
        maps: Mapping[str, Map] | None = None,
        pins: Path | None = None,
    ) -> None:
        self.kernel = kernel
        self._btf = btf
        self.maps: dict[str, Map] = {}
        self._given = dict(maps or {})
        self._programs: dict[tuple[str, ProgramType, AttachType | None], Program] = {}
        for name in self._given:
            if name not in spec.maps:
                raise UnknownNameError("map", name, spec.maps)
        self.spec = kernel.resolve(spec, btf)
        try:
            for name, map_spec in self.spec.maps.items():
                if map_spec.autocreate or name in self._given:
                    self.maps[name] = self._given[name] if name in self._given else self._create(map_spec, pins)
        except BaseException:
            self.close()
            raise

    def _create(self, spec: MapSpec, pins: Path | None) -> Map:
        if spec.pinning is Pinning.NONE:
            return self.kernel.create_map(spec)
        from stingless.maps.pinning import DIRECTORY, create_pinned

        return create_pinned(self.kernel, spec, pins or DIRECTORY)

    def program(
        self, name: str, kind: ProgramType = ProgramType.UNSPEC, target: Program | None = None, **fields: Any
    ) -> Program:
        """Load (once) the program of that name; `kind` is needed where its section does not tell the type, `target`
        (the program to extend) for one of type EXT.  `fields` of the spec can be given where the section does not tell
        them either: `attach_type`, `attach_target`.

        Raises `UnknownNameError`, `VerifierError`, `LoadError`.
        """
        if name not in self.spec.programs:
            raise UnknownNameError("function", name, self.spec.programs)
        spec = self.spec.programs[name]
        if not spec.autoload:  # then it was not resolved
            alone = replace(self.spec, programs={name: replace(spec, autoload=True)})
            spec = self.kernel.resolve(alone, self._btf).programs[name]
        if kind != ProgramType.UNSPEC:
            spec = replace(spec, type=kind, **fields)
        key = (name, spec.type, spec.attach_type)
        if key not in self._programs:
            self._programs[key] = self.kernel.load_program(spec, self.maps, target)
        return self._programs[key]

    def fill(self) -> None:
        """Put the first entries that the object declares in its maps of maps and program arrays."""
        filled = {name: spec for name, spec in self.spec.maps.items() if spec.contents and name not in self._given}
        if filled:
            from stingless.maps.contents import fill

            programs = {name: program for (name, *_), program in self._programs.items()}
            for name, spec in filled.items():
                fill(self.maps[name], spec, self.maps, programs)

    def close(self) -> None:
        """Idempotent.  Every one is closed, also after a failure."""
        with ExitStack() as stack:
            for name, map in self.maps.items():
                if name not in self._given:
                    stack.callback(map.close)
            for program in self._programs.values():
                stack.callback(program.close)
        self._programs.clear()
        self.maps.clear()

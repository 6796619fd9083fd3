"""The programs and maps of one object on one kernel: created, loaded when their type is known, closed together."""

from __future__ import annotations

from dataclasses import replace

from stingless._gen.uapi import ProgramType
from stingless.errors import UnknownNameError
from stingless.kernel import Kernel, Map, Program
from stingless.obj.spec import ObjectSpec


class LoadedObject:
    """Maps are created at once; a program is loaded on first use, for the type that its section or the caller names."""

    def __init__(self, kernel: Kernel, spec: ObjectSpec) -> None:
        self.kernel = kernel
        self.spec = spec
        self.maps: dict[str, Map] = {}
        self._programs: dict[tuple[str, ProgramType], Program] = {}
        try:
            for name, map_spec in spec.maps.items():
                self.maps[name] = kernel.create_map(map_spec)
        except BaseException:
            self.close()
            raise

    def program(self, name: str, kind: ProgramType = ProgramType.UNSPEC) -> Program:
        """Load (once) the program of that name; `kind` is needed where its section does not tell the type.

        Raises `UnknownNameError`, `VerifierError`, `LoadError`.
        """
        if name not in self.spec.programs:
            raise UnknownNameError("function", name, self.spec.programs)
        spec = self.spec.programs[name]
        if kind != ProgramType.UNSPEC:
            spec = replace(spec, type=kind)
        key = (name, spec.type)
        if key not in self._programs:
            self._programs[key] = self.kernel.load_program(spec, self.maps)
        return self._programs[key]

    def close(self) -> None:
        for program in self._programs.values():
            program.close()
        for map in self.maps.values():
            map.close()
        self._programs.clear()
        self.maps.clear()

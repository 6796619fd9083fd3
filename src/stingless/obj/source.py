"""Source lines for an object whose text the compiler got by standard input: clang finds no file to quote from."""

from __future__ import annotations

from stingless.frozen import replace
from stingless.obj.btf_edit import BtfEdit
from stingless.obj.spec import LineInfo, MapSpec, ObjectSpec


def lines_of(text: str, name: str) -> list[str]:
    """The lines of the file `name`, which begin behind `#line 1 "name"` where `text` has that."""
    return text.rpartition(f'#line 1 "{name}"\n')[2].splitlines()


def with_source(spec: ObjectSpec, name: str, text: str) -> ObjectSpec:
    """The same object with the lines of `text` (the file `name`) in its BTF, so that verifiers quote them."""
    if spec.btf is None:
        return spec
    strings = BtfEdit(spec.btf)
    lines = lines_of(text, name)
    file_off = strings.string(name)

    def quote(info: LineInfo) -> LineInfo:
        file = spec.btf.string(info.file_off) if spec.btf else ""
        if file != name and not file.endswith("/" + name.lstrip("./")):
            return info  # of a header
        source = lines[info.line - 1].strip() if 0 < info.line <= len(lines) else ""
        return replace(info, file_off=file_off, line_off=strings.string(source))

    infos = {p: tuple(map(quote, program.line_info)) for p, program in spec.programs.items()}
    btf = strings.btf()
    programs = {n: replace(p, line_info=infos[n], btf=btf) for n, p in spec.programs.items()}

    def typed(map: MapSpec) -> MapSpec:
        return replace(map, btf=btf if map.btf else None, inner=typed(map.inner) if map.inner else None)

    maps = {n: typed(m) for n, m in spec.maps.items()}
    variables = {n: replace(v, btf=btf if v.btf else None) for n, v in spec.variable_specs.items()}
    return replace(spec, programs=programs, maps=maps, variable_specs=variables, btf=btf)

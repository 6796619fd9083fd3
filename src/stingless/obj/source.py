"""Source lines for an object whose text the compiler got by standard input: clang finds no file to quote from."""

from __future__ import annotations

import struct
from dataclasses import replace

from stingless.btf.types import Btf
from stingless.obj.spec import LineInfo, ObjectSpec


def with_source(spec: ObjectSpec, name: str, text: str) -> ObjectSpec:
    """The same object with the lines of `text` (the file `name`) in its BTF, so that verifiers quote them."""
    if spec.btf is None:
        return spec
    strings = _Strings(spec.btf)
    lines = text.splitlines()
    file_off = strings.add(name)

    def quote(info: LineInfo) -> LineInfo:
        file = spec.btf.string(info.file_off) if spec.btf else ""
        if file != name and not file.endswith("/" + name.lstrip("./")):
            return info  # of a header
        source = lines[info.line - 1].strip() if 0 < info.line <= len(lines) else ""
        return replace(info, file_off=file_off, line_off=strings.add(source))

    infos = {p: tuple(map(quote, program.line_info)) for p, program in spec.programs.items()}
    btf = strings.btf()
    programs = {n: replace(p, line_info=infos[n], btf=btf) for n, p in spec.programs.items()}
    maps = {n: replace(m, btf=btf if m.btf else None) for n, m in spec.maps.items()}
    return replace(spec, programs=programs, maps=maps, btf=btf)


class _Strings:
    """A BTF blob whose string section grows at its end."""

    def __init__(self, btf: Btf) -> None:
        self._btf = btf
        self._type_off, self._type_len, self._str_off, self._str_len = struct.unpack_from(
            btf.order + "IIII", btf.data, 8
        )
        self._new = bytearray()
        self._known: dict[str, int] = {"": 0}

    def add(self, text: str) -> int:
        """The string's offset in the section."""
        if text not in self._known:
            self._known[text] = self._str_len + len(self._new)
            self._new += text.replace("\0", " ").encode() + b"\0"
        return self._known[text]

    def btf(self) -> Btf:
        """The blob anew: header, types, then the strings."""
        data, order = self._btf.data, self._btf.order
        (header,) = struct.unpack_from(order + "I", data, 4)
        types = data[header + self._type_off : header + self._type_off + self._type_len]
        strings = data[header + self._str_off : header + self._str_off + self._str_len] + self._new
        head = data[:8] + struct.pack(order + "IIII", 0, len(types), len(types), len(strings))
        return Btf(head + data[24:header] + types + strings)

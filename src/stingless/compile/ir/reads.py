"""Implicit reads of the kernel's memory made explicit.

`sk->__sk_common.skc_dport` is a plain load in the dialect.  A load through a pointer that the verifier knows stays; one
through any other becomes a call of a probing read into a variable on the stack, and a load of that.  A copy from such
a place becomes a probing read into its destination.  Stores and atomic operations are left for the verifier to judge.
"""

from __future__ import annotations

from stingless.compile.ir.atomics import without_fetch
from stingless.compile.ir.bit_fields import BitField
from stingless.compile.ir.contexts import Context
from stingless.compile.ir.helpers import PROBE_READ, PROBE_READ_KERNEL
from stingless.compile.ir.layout import Layout
from stingless.compile.ir.model import Call, Function, Load, Module, Store
from stingless.compile.ir.parser import parse
from stingless.compile.ir.places import Kind, Place
from stingless.compile.ir.provenance import COPIES, Provenance, provenance
from stingless.compile.ir.sizes import wide_sizes

_COMPARISONS = ("@memcmp", "@bcmp")
_NAME = "%st."  # what is added has names: a numbered value would shift the numbers behind it
_SLOT = f"{_NAME}read"
_UNKNOWN = (Kind.OTHER, Kind.NULL, Kind.OFFSET)
_FIXED_ONLY = (Kind.CONTEXT, Kind.BTF)  # may be read at fixed offsets only
_NOT_WRITABLE = (*_UNKNOWN, *_FIXED_ONLY, Kind.SOCKET, Kind.PACKET)
_NOT_THERE = (Context.NETWORK, Context.SAMPLE)  # what is in memory is another context
_BYTE_SIZE, _LSHIFT_U64, _RSHIFT_U64 = 1, 4, 5  # enum bpf_core_relo_kind


def explicit_reads(ir: str) -> str:
    """The IR with the implicit reads of its functions made explicit.  Raises `IrError`."""
    module = parse(ir)
    found = provenance(module)
    layout = Layout(module.head)
    symbols: dict[str, str] = {}
    for function in module.functions:
        without_fetch(function)
        _Rewriting(function, found, layout, symbols).run()
        wide_sizes(function)
    _define(module, symbols)
    return module.text()


def _define(module: Module, symbols: dict[str, str]) -> None:
    head = module.head
    new = [f"{line}\n" for name, line in symbols.items() if f"\n{name} = " not in head]
    module.parts[0] = head + "".join(new)


class _Rewriting:
    """One function.  `symbols` collects the definitions of relocations that were added."""

    def __init__(self, function: Function, found: Provenance, layout: Layout, symbols: dict[str, str]) -> None:
        self._function = function
        self._found = found
        self._layout = layout
        self._symbols = symbols
        # 4 reads the kernel's and the process's memory, told apart by the address, as on every architecture where the
        # two are at different ones; programs on packets may only call 113.
        network = found.contexts[function.name] is Context.NETWORK
        self._helper = PROBE_READ_KERNEL if network else PROBE_READ
        self._slots: dict[str, int] = {}  # variables on the stack, in bytes
        self._names = 0

    def run(self) -> None:
        body = self._function.body
        for at, instruction in enumerate(body):
            match instruction:
                case Load(atomic=False):
                    body[at] = self._load(instruction)
                case Store():
                    body[at] = self._store(instruction)
                case Call(function=name) if name.startswith(COPIES):
                    body[at] = self._copy(instruction)
                case Call(function=name) if name in _COMPARISONS:
                    body[at] = self._comparison(instruction)
        entry = 1 if body and _is_label(body[0]) else 0
        body[entry:entry] = [f"  {name} = alloca [{size} x i8], align 8" for name, size in self._slots.items()]

    def _load(self, load: Load) -> Load | str:
        place = self._found.of(self._function, load.pointer)
        debug = load.location()
        field = self._bit_field(place)
        if self._must_probe(place) or (field and place.kind is Kind.BTF):
            size = self._layout.size(load.type)
            self._need(_SLOT, 8 if field else size)
            if field:
                return self._bits(load, field, place, debug)
            read = self._read(_SLOT, ("i32", str(size)), load.pointer, debug)
            return f"{read}\n  {load.name} = load {load.type}, ptr {_SLOT}, align 8{debug}"
        if field and (distance := field.correction(self._layout.size(load.type) * 8)):
            return self._corrected(load, distance)
        if place.kind is Kind.CONTEXT and not load.volatile:
            # Left to itself, LLVM makes one load through one of two pointers of two loads, which is refused.
            load.text = load.text.replace("load ", "load volatile ", 1)
        return load

    def _store(self, store: Store) -> Store | str:
        """A bit-field's store has the word that the load before it read."""
        field = self._bit_field(self._found.of(self._function, store.pointer))
        distance = field.correction(self._layout.size(store.type) * 8) if field else 0
        return self._corrected(store, distance) if distance else store

    def _copy(self, call: Call) -> Call | str:
        to, source, length = (call.argument(number) for number in range(3))
        size = (call.arguments[2][0], length)
        place, target = self._found.of(self._function, source), self._found.of(self._function, to)
        if not self._must_probe(place) or target.kind in _NOT_WRITABLE:
            return call
        return self._read(to, size, source, call.location())

    def _comparison(self, call: Call) -> Call | str:
        """memcmp(): its own loads are the code generator's."""
        kind, length = call.arguments[2] if len(call.arguments) == 3 else ("", "")
        values = [call.argument(0), call.argument(1)]
        lines = []
        for number, value in enumerate(values):
            if self._must_probe(self._found.of(self._function, value)) and length.isdigit():
                values[number] = f"{_NAME}compared.{number}"
                self._need(values[number], int(length))
                lines.append(self._read(values[number], (kind, length), value, call.location()))
        if not lines:
            return call
        result = f"  {call.name} = call {call.type} {call.function}"
        return "\n".join([*lines, f"{result}(ptr {values[0]}, ptr {values[1]}, {kind} {length}){call.location()}"])

    def _need(self, slot: str, size: int) -> None:
        self._slots[slot] = max(self._slots.get(slot, 0), size)

    def _must_probe(self, place: Place) -> bool:
        if place.kind is Kind.CONTEXT and self._found.context(self._function, place) in _NOT_THERE:
            return False
        return place.kind in _UNKNOWN or (place.kind in _FIXED_ONLY and place.offset is None)

    def _read(self, to: str, size: tuple[str, str], source: str, debug: str) -> str:
        return f"  call void inttoptr (i64 {self._helper:d} to ptr)(ptr {to}, {' '.join(size)}, ptr {source}){debug}"

    # Bit-fields

    def _bit_field(self, place: Place) -> BitField | None:
        symbols = place.offset[1] if place.offset else ()
        return self._found.debug.bit_field(symbols[-1]) if symbols else None

    def _bits(self, load: Load, field: BitField, place: Place, debug: str) -> str:
        """The field's value in the target's struct, put to where it would be in what clang loads of its own."""
        assert place.offset is not None
        symbol = place.offset[1][-1]
        left, right = field.shifts()
        size, up, down, word, high, low = (self._name() for _ in range(6))
        lines = [
            f"{size} = load i64, ptr {self._sibling(symbol, _BYTE_SIZE, field.word()[1])}, align 8",
            f"{up} = load i64, ptr {self._sibling(symbol, _LSHIFT_U64, left)}, align 8",
            f"{down} = load i64, ptr {self._sibling(symbol, _RSHIFT_U64, right)}, align 8",
            f"store i64 0, ptr {_SLOT}, align 8{debug}",
            self._read(_SLOT, ("i64", size), load.pointer, debug).strip(),
            f"{word} = load i64, ptr {_SLOT}, align 8{debug}",
            f"{high} = shl i64 {word}, {up}{debug}",
            f"{low} = lshr i64 {high}, {down}{debug}",
        ]
        shift = field.shift(self._layout.size(load.type) * 8)
        if load.type == "i64":
            lines.append(f"{load.name} = shl i64 {low}, {shift}{debug}")
        else:
            cut = self._name()
            lines.append(f"{cut} = trunc i64 {low} to {load.type}{debug}")
            lines.append(f"{load.name} = shl {load.type} {cut}, {shift}{debug}")
        return "\n".join(f"  {line}" for line in lines)

    def _corrected(self, access: Load | Store, distance: int) -> str:
        name = self._name()
        found = f"ptr {access.pointer}"
        head, _, tail = access.text.rpartition(found)
        return f"  {name} = getelementptr i8, {found}, i64 {distance}\n{head}ptr {name}{tail}"

    def _sibling(self, symbol: str, kind: int, value: int) -> str:
        name, definition = self._found.debug.sibling(symbol, kind, value)
        self._symbols[name] = definition
        return name

    def _name(self) -> str:
        self._names += 1
        return f"{_NAME}{self._names}"


def _is_label(line: object) -> bool:
    return isinstance(line, str) and line[:1] not in ("", " ")

"""Where each pointer of a module comes from: a fixed point over its functions, whatever the order of their blocks."""

from __future__ import annotations

from stingless.compile.ir.contexts import Context, context_of
from stingless.compile.ir.debug_info import DebugInfo
from stingless.compile.ir.helpers import READ_ONLY, RETURNS
from stingless.compile.ir.model import (
    Alloca,
    Arithmetic,
    Call,
    ElementPointer,
    Function,
    Instruction,
    Load,
    Module,
    Return,
    Same,
    Store,
)
from stingless.compile.ir.places import NULL, OTHER, START, Kind, Place, join, moved
from stingless.compile.ir.tokens import tokens_of

_RELOCATION = '@"llvm.'
_PASSTHROUGH = ("@llvm.bpf.passthrough.", "@llvm.bpf.compare.", "@llvm.expect.", "@llvm.ptrmask.", "@llvm.launder.")
_FIELD = "@llvm.bpf.getelementptr.and.load."  # of a struct with preserve_static_offset
COPIES = ("@llvm.memcpy.", "@llvm.memmove.")
_NO_POINTERS = ("@llvm.memset.", "@llvm.lifetime.", "@llvm.dbg.", "@llvm.assume")
_ADDRESS_TYPES = ("ptr", "i64")
_MAX_ROUNDS = 50  # each value climbs a few steps at most; this is a net under mistakes


def provenance(module: Module) -> Provenance:
    found = Provenance(module)
    for _ in range(_MAX_ROUNDS):
        if not found.round():
            return found
    raise AssertionError("where pointers come from does not settle")


class Provenance:
    """`of(function, value)` tells where a value of a function comes from."""

    def __init__(self, module: Module) -> None:
        self._functions = {f.name: f for f in module.functions}
        self.debug = DebugInfo(module.head, module.tail)
        self._places: dict[str, dict[str, Place]] = {name: {} for name in self._functions}
        self._stored: dict[tuple[str, str, object], Place] = {}  # (function, alloca, offset) -> what was stored there
        self._returned: dict[str, Place] = {}
        self._constants: dict[str, Place] = {}
        self._changed = False
        self.contexts: dict[str, Context] = {}
        called = {i.function for f in self._functions.values() for i in f.body if isinstance(i, Call) and i.function}
        for function in self._functions.values():
            struct = self.debug.first_parameter(function.debug) if function.debug else ""
            self.contexts[function.name] = context_of(function.name.strip('@"'), struct)
            if function.section or not (function.internal or function.name in called):
                self._program(function)

    def _program(self, function: Function) -> None:
        places = self._places[function.name]
        for parameter in function.parameters:
            places[parameter] = OTHER
        if function.parameters:
            places[function.parameters[0]] = Place(Kind.CONTEXT, function.name, START)

    def of(self, function: Function, value: str) -> Place:
        return self._place(self._places[function.name], value) or OTHER

    def context(self, function: Function, place: Place) -> Context:
        """What a place in a context is of."""
        return self.contexts[place.base or function.name]

    def round(self) -> bool:
        """One more look at every instruction; did it tell anything new?"""
        self._changed = False
        for function in self._functions.values():
            places = self._places[function.name]
            for instruction in function.body:
                if isinstance(instruction, str):
                    continue
                place = self._result(function, places, instruction)
                if place is not None and instruction.name:
                    old = places.get(instruction.name)
                    if old != place:
                        new = join(old, place)
                        if new != old and new is not None:
                            places[instruction.name] = new
                            self._changed = True
        return self._changed

    def _place(self, places: dict[str, Place], value: str) -> Place | None:
        if value[0] == "%":
            return places.get(value)
        known = self._constants.get(value)
        if known is None:
            known = self._constants[value] = _constant(value)
            if known.kind is Kind.GLOBAL and value in self._functions:
                self._callback(self._functions[value])
        return known

    def _callback(self, function: Function) -> None:
        """A function that a helper calls: what it is given, the verifier knows."""
        places = self._places[function.name]
        for parameter in function.parameters:
            if parameter not in places:
                places[parameter] = Place(Kind.MEMORY)
                self._changed = True

    def _result(self, function: Function, places: dict[str, Place], instruction: Instruction) -> Place | None:
        match instruction:
            case Alloca(name=name):
                return Place(Kind.STACK, name, START)
            case Load():
                return self._loaded(function, places, instruction)
            case Same(values=values):
                place = None
                for value in values:
                    place = join(place, self._place(places, value))
                return place
            case ElementPointer():
                return self._element(places, instruction)
            case Arithmetic():
                return self._computed(places, instruction)
            case Store(type=kind, value=value, pointer=pointer):
                if kind in _ADDRESS_TYPES:
                    self._store(function, self._place(places, pointer), self._place(places, value))
            case Return(value=value) if value:
                place = join(self._returned.get(function.name), self._place(places, value))
                if place is not None and place != self._returned.get(function.name):
                    self._returned[function.name] = place
                    self._changed = True
            case Call():
                return self._called(function, places, instruction)
        return None

    def _loaded(self, function: Function, places: dict[str, Place], load: Load) -> Place | None:
        if load.pointer.startswith(_RELOCATION):
            return Place(Kind.OFFSET, load.pointer)
        place = self._place(places, load.pointer)
        if place is None:
            return None
        if place.kind is Kind.STACK:
            return self._spilled(function, place)
        return self._through(function, place, load.type)

    def _through(self, function: Function, place: Place, type: str) -> Place:
        """What is read from there."""
        if place.kind is Kind.CONTEXT and place.offset is not None:
            match self.context(function, place):
                case Context.NETWORK:
                    return Place(Kind.PACKET, offset=START)
                case Context.TYPED if type in _ADDRESS_TYPES:
                    return self._typed(place)
        if place.kind is Kind.BTF and type in _ADDRESS_TYPES:
            return self._typed(place)
        return OTHER

    def _typed(self, place: Place) -> Place:
        """What a pointer is that is read from a struct whose type the verifier knows."""
        symbols = place.offset[1] if place.offset else ()
        if not symbols:  # no field to tell its type: the verifier knows
            return Place(Kind.BTF, offset=START)
        kind = self.debug.pointee(self.debug.relocated_field(symbols[-1]))
        return Place(Kind.BTF, kind, START) if self.debug.is_record(kind) else OTHER

    def _spilled(self, function: Function, place: Place) -> Place | None:
        """What was stored in a variable on the stack."""
        if not place.base:
            return OTHER
        found = self._stored.get((function.name, place.base, None))
        if place.offset is not None:
            return join(found, self._stored.get((function.name, place.base, place.offset)))
        for (name, alloca, _), stored in self._stored.items():
            if (name, alloca) == (function.name, place.base):
                found = join(found, stored)
        return found

    def _store(self, function: Function, place: Place | None, value: Place | None) -> None:
        if place is None or value is None or place.kind is not Kind.STACK:
            return
        bases = [place.base] if place.base else [i.name for i in function.body if isinstance(i, Alloca)]  # any of them
        for base in bases:
            key = (function.name, base, place.offset if place.base else None)
            old = self._stored.get(key)
            new = join(old, value)
            if new is not None and new != old:
                self._stored[key] = new
                self._changed = True

    def _element(self, places: dict[str, Place], element: ElementPointer) -> Place | None:
        place = self._place(places, element.pointer)
        if place is None:
            return None
        for _, index in element.indices:
            distance = self._place(places, index)
            if index == "0":
                continue
            if element.type == "i8" and index.lstrip("-").isdigit():
                place = moved(place, int(index))
            elif distance is not None and distance.kind is Kind.OFFSET and element.type == "i8":
                place = moved(place, 0, distance.base)
            elif element.type != "i8" and index.lstrip("-").isdigit():
                place = moved(place, 0, f"{element.type}:{index}")  # a fixed distance, whatever it is
            else:
                place = moved(place, None)
        return place

    def _computed(self, places: dict[str, Place], arithmetic: Arithmetic) -> Place | None:
        left, right = self._place(places, arithmetic.left), self._place(places, arithmetic.right)
        if left is None or right is None:
            return None
        if arithmetic.opcode not in ("add", "sub", "and", "or"):
            return OTHER
        pointers = [p for p in (left, right) if p.kind not in (Kind.OTHER, Kind.NULL, Kind.OFFSET)]
        if arithmetic.opcode == "add" and left.kind is right.kind is Kind.PACKET:
            return moved(left, None)  # one of them is a number from the context
        if len(pointers) != 1 or (arithmetic.opcode == "sub" and pointers[0] is right):
            return OTHER  # numbers; the distance of two pointers
        if arithmetic.opcode == "add":
            distance = left if pointers[0] is right else right
            text = arithmetic.left if pointers[0] is right else arithmetic.right
            if text.lstrip("-").isdigit():
                return moved(pointers[0], int(text))
            if distance.kind is Kind.OFFSET:
                return moved(pointers[0], 0, distance.base)
        return moved(pointers[0], None)

    def _called(self, function: Function, places: dict[str, Place], call: Call) -> Place | None:
        values = [value for _, value in call.arguments]
        if call.helper is not None:
            if call.helper not in READ_ONLY:
                self._written(function, places, values)
            else:
                for value in values:
                    self._place(places, value)
            kind = RETURNS.get(call.helper)
            return Place(kind, offset=START) if kind else OTHER
        if call.function.startswith(_PASSTHROUGH):
            return self._place(places, call.argument(1 if call.function.startswith(_PASSTHROUGH[0]) else 0))
        if call.function.startswith(_FIELD):
            place = self._place(places, call.argument(0))
            return self._through(function, place, call.type) if place else None
        if call.function.startswith(COPIES):
            self._store(function, _anywhere(self._place(places, call.argument(0))), OTHER)
            return None
        if call.function.startswith(_NO_POINTERS):
            return None
        if call.function in self._functions:
            return self._subprogram(function, places, call)
        if not call.function and call.constraints:  # inline assembly
            tied = call.constraints.split(",")
            if len(values) == 1 and "0" in tied:
                return self._place(places, values[0])
        self._written(function, places, values)
        # A function of the kernel gives pointers that the verifier knows.
        return Place(Kind.BTF, offset=START) if call.function and call.type == "ptr" else OTHER

    def _written(self, function: Function, places: dict[str, Place], values: list[str]) -> None:
        for value in values:
            self._store(function, _anywhere(self._place(places, value)), OTHER)

    def _subprogram(self, function: Function, places: dict[str, Place], call: Call) -> Place | None:
        """A function that was not inlined: its parameters are what its callers give."""
        callee = self._functions[call.function]
        inside = self._places[callee.name]
        if self.contexts[function.name] is Context.NETWORK is not self.contexts[callee.name]:
            self.contexts[callee.name] = Context.NETWORK  # it is part of that program
            self._changed = True
        self._written(function, places, [value for _, value in call.arguments])
        for parameter, (_, value) in zip(callee.parameters, call.arguments, strict=False):
            given = self._place(places, value)
            if given is not None and given.kind is Kind.STACK:
                given = Place(Kind.MEMORY)  # of the caller's stack
            old = inside.get(parameter)
            new = join(old, given)
            if new is not None and new != old:
                inside[parameter] = new
                self._changed = True
        returned = self._returned.get(callee.name)
        return Place(Kind.MEMORY) if returned is not None and returned.kind is Kind.STACK else returned


def _anywhere(place: Place | None) -> Place | None:
    return place._replace(offset=None) if place is not None else None


def _constant(value: str) -> Place:
    if value[0] == "@":
        return Place(Kind.GLOBAL, value, START)
    if " " not in value:
        return NULL
    if value.startswith("inttoptr"):
        return OTHER
    names = {token for token in tokens_of(value) if token[0] == "@"}
    return Place(Kind.GLOBAL) if len(names) == 1 else OTHER

"""LLVM's part: IR in, machine code in executable memory out."""

from __future__ import annotations

import weakref
from functools import cache
from typing import Any

from stingless._sys import runtime_machine
from stingless.embedded.jit.emit import ENTRY
from stingless.errors import NotSupportedError


@cache
def _llvm() -> Any:
    """llvmlite's binding, set up for this machine."""
    try:
        import llvmlite.binding as llvm
    except ImportError as error:
        raise NotSupportedError(
            "machine code on the embedded kernel", advice=f"it is made by llvmlite ({error}): pip install llvmlite"
        ) from None
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm


@cache
def inlines() -> bool:
    """Can look-ups be linked to programs?  Not where their bitcode is missing or newer than this LLVM."""
    found = runtime_machine.bitcode()
    if found is None:
        return False
    llvm = _llvm()
    try:
        llvm.parse_bitcode(found, context=llvm.create_context())
    except RuntimeError:
        return False
    return True


class MachineCode:
    """A program's machine code; `address` is that of its first function.  It is executable while this object lives."""

    def __init__(self, ir: str, level: int, linked: bool) -> None:
        llvm = _llvm()
        context = llvm.create_context()
        module = llvm.parse_assembly(ir, context=context)
        target = llvm.Target.from_default_triple().create_target_machine(
            cpu=llvm.get_host_cpu_name(),
            features=llvm.get_host_cpu_features().flatten(),
            opt=level,
            jit=True,
            codemodel="jitdefault",
        )
        module.triple = target.triple
        module.data_layout = str(target.target_data)
        if linked:
            lookups = llvm.parse_bitcode(runtime_machine.bitcode(), context=context)
            lookups.triple, lookups.data_layout = module.triple, module.data_layout
            module.link_in(lookups)
            for function in module.functions:
                if function.name.startswith("st_lookup_"):
                    function.linkage = "internal"
        if level:
            options = llvm.create_pipeline_tuning_options(speed_level=level)
            options.loop_vectorization = options.slp_vectorization = True
            builder = llvm.create_pass_builder(target, options)
            builder.getModulePassManager().run(module, builder)
        self.level = level
        self._objects: list[bytes] = []
        engine = llvm.create_mcjit_compiler(module, target)
        # LLVM's objects must go in order, which the garbage collector does not keep to.
        weakref.finalize(self, _dispose, engine, context).atexit = False
        made = self._objects
        engine.set_object_cache(lambda _, code: made.append(code))
        engine.finalize_object()
        self.address = int(engine.get_function_address(ENTRY))

    def text(self) -> bytes:
        """The instructions."""
        parts = []
        for made in self._objects:
            file = _llvm().ObjectFileRef.from_data(made)
            for section in file.sections():  # each is valid until the next
                if section.is_text():
                    parts.append(bytes(section.data()))
        return b"".join(parts)


def _dispose(engine: Any, context: Any) -> None:
    engine.close()
    context.close()

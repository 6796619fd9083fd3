"""Engines: the same programs as native functions (clang -O2), on Linux (BPF_PROG_TEST_RUN), on ubpf, and on our own.

A round times each engine for about a millisecond, in turn; what is printed is the least of all rounds, since whatever
else the machine does only adds to it.  ubpf is taken where $UBPF names its shared library.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measure import BenchmarkError, table

HERE = Path(__file__).parent
SOURCE = HERE / "programs/vm.bpf.c"
WORKLOADS = {
    "hash_4k": "hash of 4 KiB",
    "sieve": "primes below 4096",
    "compare": "compare 2 KiB",
    "arithmetic": "arithmetic, 1000 rounds",
    "parse": "parse a packet's headers",
    "array_64": "64 counters in an array map",
    "hash_64": "64 counters in a hash map",
}
PACKET = bytes(range(12)) + b"\x08\x00" + bytes.fromhex("45000028000000004006000001020304050607080050 01bb") + bytes(40)
_NATIVE, _LINUX, _UBPF, _UBPF_SLOW, _JIT, _QUICK, _SLOW = (
    "native",
    "Linux",
    "ubpf JIT",
    "ubpf interpreter",
    "JIT",
    "JIT -O0",
    "interpreter",
)
Timer = Callable[[int], float]
"""Nanoseconds a run, of so many runs."""


def report(rounds: int) -> None:
    try:
        with tempfile.TemporaryDirectory() as directory:
            print(_measure(Path(directory), rounds), flush=True)
    except BenchmarkError as error:
        print(f"\nskipped: {error}", flush=True)
    print(_beside(), flush=True)


class _Native:
    """The workloads as functions of a shared library, on the maps and the memory that it is given."""

    def __init__(self, directory: Path) -> None:
        import ziglang

        assert ziglang.__file__ is not None
        library = directory / "native.so"
        zig = Path(ziglang.__file__).with_name("zig")
        flags = ["-target", f"{os.uname().machine}-linux-gnu", "-O2", "-fPIC", "-x", "c"]
        made = directory / "native.o"
        environment = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": str(directory), "ZIG_LOCAL_CACHE_DIR": str(directory)}
        for command in (
            [zig, "clang", *flags, "-c", SOURCE, "-o", made],
            [zig, "ld.lld", "-shared", "-o", library, made],
        ):
            done = subprocess.run([str(each) for each in command], capture_output=True, text=True, env=environment)
            if done.returncode:
                raise BenchmarkError(f"{SOURCE.name} does not compile: {done.stderr}")
        self.library = ctypes.CDLL(str(library))
        self.packet = ctypes.create_string_buffer(PACKET, len(PACKET))
        start = ctypes.addressof(self.packet)
        self.context = (ctypes.c_void_p * 2)(start, start + len(PACKET))
        for name in ("time_calls", "time_interpreter"):
            getattr(self.library, name).restype = ctypes.c_double

    def use_maps(self, array: int, hash: int) -> None:
        from stingless._sys import runtime, runtime_machine

        self._env = runtime._Env()
        for name, value in {
            "env": ctypes.addressof(self._env),
            "lookup": runtime_machine.helper(1),
            "array_map": array,
            "hash_map": hash,
        }.items():
            ctypes.c_void_p.in_dll(self.library, name).value = value

    def time(self, function: Any, context: Any, times: int) -> float:
        return float(self.library.time_calls(function, context, ctypes.c_uint64(times)))

    def timer(self, name: str) -> Timer:
        function = getattr(self.library, name)
        return lambda times: self.time(function, self.context, times)


class _Ubpf:
    """ubpf on the same instructions, rewritten as for our runtime: maps by address, packets by 64-bit pointers."""

    def __init__(self, path: str, native: _Native) -> None:
        self.native = native
        self.library = ctypes.CDLL(path)
        for name in ("ubpf_create", "ubpf_compile"):
            getattr(self.library, name).restype = ctypes.c_void_p
        self.context = ctypes.create_string_buffer(256)
        start = ctypes.addressof(native.packet)
        for offset, value in ((192, start), (200, start + len(PACKET)), (208, start)):  # struct st_packet
            ctypes.memmove(ctypes.addressof(self.context) + offset, value.to_bytes(8, "little"), 8)

    def timers(self, code: bytes) -> tuple[Timer, Timer]:
        vm = ctypes.c_void_p(self.library.ubpf_create())
        said = ctypes.c_char_p()
        self.library.ubpf_toggle_bounds_check(vm, False)
        self.library.ubpf_toggle_undefined_behavior_check(vm, False)
        self.library.ubpf_register(vm, 1, b"lookup", self.native.library.lookup_for_ubpf)
        if self.library.ubpf_load(vm, code, len(code), ctypes.byref(said)):
            raise BenchmarkError(f"ubpf: {said.value!r}")
        function = ctypes.c_void_p(self.library.ubpf_compile(vm, ctypes.byref(said)))
        if not function.value:
            raise BenchmarkError(f"ubpf: {said.value!r}")
        execute = self.library.ubpf_exec

        def interpreter(times: int) -> float:
            timer = self.native.library.time_interpreter
            return float(timer(execute, vm, self.context, ctypes.c_uint64(times)))

        return lambda times: self.native.time(function, self.context, times), interpreter


def _timer(program: Any) -> Timer:
    return lambda times: float(program.run(PACKET, repeat=times).duration_ns)


def _measure(directory: Path, rounds: int) -> str:
    from stingless import load
    from stingless.compile.plain import compile_file
    from stingless.embedded.kernel import EmbeddedKernel
    from stingless.kernel import Kernel
    from stingless.linux.kernel import LinuxKernel

    path = directory / "vm.bpf.o"
    path.write_bytes(compile_file(SOURCE))
    native = _Native(directory)
    kernels: dict[str, Kernel] = {_JIT: EmbeddedKernel(engine="jit"), _SLOW: EmbeddedKernel(engine="interpreter")}
    if os.geteuid() == 0:
        kernels[_LINUX] = LinuxKernel()
    loaded = {name: load(path, kernel=kernel) for name, kernel in kernels.items()}
    for each in loaded.values():
        for i in range(64):
            each.maps["hash"][i * 3] = 0
    interpreted: Any = loaded[_SLOW]
    addresses = [interpreted._map(name).handle.address for name in ("array", "hash")]
    native.use_maps(*addresses)
    library = os.environ.get("UBPF")
    ubpf = _Ubpf(library, native) if library else None
    engines = [_NATIVE, _LINUX, _UBPF, _JIT, _UBPF_SLOW, _SLOW]
    rows = []
    for name, told in WORKLOADS.items():
        timers = {_NATIVE: native.timer(name)}
        timers |= {each: _timer(loaded[each].programs[name].program) for each in loaded}
        if ubpf is not None:
            code = interpreted.programs[name].program.handle.code
            timers[_UBPF], timers[_UBPF_SLOW] = ubpf.timers(code)
        best = _least(timers, rounds)
        base = best[_NATIVE]
        cells = [f"{best[each] / base:.2f}" if each in best else "-" for each in engines[1:]]
        rows.append([told, f"{base:.0f}", *cells])
    for each in loaded.values():
        each.close()
    for kernel in kernels.values():
        kernel.close()
    title = f"Engines: native code in ns, the others as multiples of it (least of {rounds} rounds)"
    return table(title, ["", *engines], rows)


def _least(timers: dict[str, Timer], rounds: int) -> dict[str, float]:
    """Of each, over so many rounds of a millisecond."""
    times = {name: max(1, min(100_000, int(5e5 / max(timer(2), 1)))) for name, timer in timers.items()}
    found = {name: float("inf") for name in timers}
    for _ in range(rounds):
        for name, timer in timers.items():
            found[name] = min(found[name], timer(times[name]))
    return found


def _beside() -> str:
    """What a run costs besides the program, and how soon a long one gives its first result."""
    from stingless._gen.uapi import ProgramType
    from stingless.asm.instruction import add_imm, encode, exit_, mov_imm
    from stingless.embedded.jit.tiers import translate
    from stingless.embedded.kernel import EmbeddedKernel
    from stingless.obj.spec import ProgramSpec

    long = [mov_imm(0, 1), *(add_imm(0, i) for i in range(1998)), exit_()]
    specs = [ProgramSpec("p", "xdp", ProgramType.XDP, encode(code)) for code in ([mov_imm(0, 2), exit_()], long)]
    rows = []
    with EmbeddedKernel(engine="interpreter") as kernel:
        firsts: list[float] = []
        compiles: list[float] = []
        quick: list[float] = []
        for _ in range(10):
            begin = time.perf_counter()
            program = kernel.load_program(specs[1], {})
            program.run(PACKET)
            firsts.append(time.perf_counter() - begin)
            for level, found in ((0, quick), (2, compiles)):
                begin = time.perf_counter()
                translate(program.handle, level)
                found.append(time.perf_counter() - begin)
        rows.append(["first result of 2000 instructions, interpreter, ms", f"{min(firsts) * 1e3:.1f}"])
        rows.append(["machine code of them at -O0, ms", f"{min(quick) * 1e3:.1f}"])
        rows.append(["machine code of them at -O2, ms", f"{min(compiles) * 1e3:.1f}"])
        program = kernel.load_program(specs[0], {})
        program.compile()
        packets, prepared = [PACKET] * 1000, program.prepare(PACKET)
        for what, function, count in (
            ("run() of one packet", lambda: [program.run(PACKET) for _ in range(1000)], 1000),
            ("run_many(), a packet", lambda: program.run_many(packets), 1000),
            ("a prepared run", lambda: [prepared() for _ in range(1000)], 1000),
        ):
            least = float("inf")
            for _ in range(20):
                begin = time.perf_counter()
                function()
                least = min(least, (time.perf_counter() - begin) / count)
            rows.append([f"{what}, ns", f"{least * 1e9:.0f}"])
    return table("Runs from Python", ["", "least"], rows)

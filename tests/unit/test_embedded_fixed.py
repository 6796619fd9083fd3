"""Time, random numbers, CPUs and the task that programs see, set instead of the machine's."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from stingless._gen.helpers import Helper
from stingless._gen.uapi import MapType
from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction, add_imm, call, mov, mov_imm, store
from stingless.cpus import possible_cpus
from stingless.embedded.fixed import Fixed
from stingless.embedded.kernel import EmbeddedKernel, Engine
from stingless.obj.spec import MapSpec
from tests.tracer_target import KPROBE, array, program, values_of

ENGINES: list[Engine] = ["interpreter", "jit", "checked"]


def called(*helpers: Helper) -> list[Instruction]:
    """value[1...] = what each helper gives."""
    return [each for i, helper in enumerate(helpers) for each in (call(helper), store(op.DW, 7, 8 + 8 * i, 0))]


def seen(kernel: EmbeddedKernel, *helpers: Helper) -> tuple[int, ...]:
    counted = array(kernel, 1 + len(helpers))
    program(kernel, KPROBE, counted, called(*helpers)).run()
    return values_of(counted)[1:]


@pytest.mark.parametrize("engine", ENGINES)
def test_time_that_passes_as_it_is_read(engine: Engine) -> None:
    if engine == "jit":
        pytest.importorskip("llvmlite")
    with EmbeddedKernel(engine=engine, fixed=Fixed(time_ns=1_000_000, step_ns=500)) as kernel:
        clocks = Helper.ktime_get_ns, Helper.ktime_get_boot_ns, Helper.ktime_get_ns
        assert seen(kernel, *clocks) == (1_000_000, 1_000_500, 1_001_000)
        assert kernel.time_ns == 1_001_500
        kernel.time_ns = 7
        assert seen(kernel, Helper.ktime_get_ns) == (7,)


def test_time_of_the_machine_cannot_be_set() -> None:
    with EmbeddedKernel(fixed=Fixed(seed=1)) as kernel:
        with pytest.raises(ValueError, match="time_ns="):
            kernel.time_ns = 5
        assert seen(kernel, Helper.ktime_get_ns)[0] > 10**9


def test_random_numbers_by_their_seed() -> None:
    draws = []
    for seed in (4, 4, 5):
        with EmbeddedKernel(fixed=Fixed(seed=seed)) as kernel:
            draws.append(seen(kernel, *[Helper.get_prandom_u32] * 4) + seen(kernel, Helper.get_prandom_u32))
    assert draws[0] == draws[1] != draws[2]
    assert len(set(draws[0])) == 5
    assert all(each < 1 << 32 for each in draws[0])


def test_order_of_keys_by_the_seed() -> None:
    orders = []
    for seed in (1, 1, 2):
        with EmbeddedKernel(fixed=Fixed(seed=seed)) as kernel:
            map_ = kernel.create_map(MapSpec("m", MapType.HASH, 4, 4, 200))
            for key in range(100):
                map_.update(key.to_bytes(4, "little"), bytes(4))
            orders.append([key for key, _ in map_.items()])
    assert orders[0] == orders[1] != orders[2]


def test_task_of_runs() -> None:
    fixed = Fixed(pid=700, tid=701, comm="browser", uid=33, gid=44)
    with EmbeddedKernel(fixed=fixed) as kernel:
        numbers = seen(kernel, Helper.get_current_pid_tgid, Helper.get_current_uid_gid)
        assert numbers == (700 << 32 | 701, 44 << 32 | 33)
        counted = array(kernel, 3)
        name = [mov(1, 7), add_imm(1, 8), mov_imm(2, 16), call(Helper.get_current_comm)]
        program(kernel, KPROBE, counted, name).run()
        assert values_of(counted)[1].to_bytes(8, "little") == b"browser\0"


@pytest.mark.parametrize("cpu", range(min(possible_cpus(), 2)))
def test_one_processor(cpu: int) -> None:
    with EmbeddedKernel(fixed=Fixed(cpu=cpu)) as kernel:
        assert seen(kernel, *[Helper.get_smp_processor_id] * 2) == (cpu, cpu)


def test_how_many_processors() -> None:
    script = """
    from stingless.cpus import possible_cpus
    from stingless.embedded.fixed import Fixed
    from stingless.embedded.kernel import EmbeddedKernel
    from stingless._gen.uapi import MapType
    from stingless.obj.spec import MapSpec
    with EmbeddedKernel(fixed=Fixed(cpus=7, cpu=6)) as kernel:
        print(len(kernel.create_map(MapSpec("m", MapType.PERCPU_ARRAY, 4, 8, 1)).lookup(bytes(4))))
    try:
        Fixed(cpus=3).native()
    except ValueError as error:
        print("before any map" in str(error))
    from stingless.errors import NotSupportedError
    from stingless.linux.kernel import LinuxKernel
    try:
        LinuxKernel()
    except NotSupportedError:
        print("no Linux")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split("\n")[:3] == ["56", "True", "no Linux"]


def test_what_cannot_be() -> None:
    with pytest.raises(ValueError, match="cpu is 5000"):
        Fixed(cpu=5000)

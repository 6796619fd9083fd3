"""C sources compiled, resolved against the running kernel, and loaded: externs, CO-RE, sub-programs, refusals."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stingless.errors import LoadError, ObjectError, UnknownNameError, VerifierError
from stingless.linux.kernel import LinuxKernel
from stingless.programs import LoadedObject
from stingless.target.kallsyms import addresses
from stingless.target.kconfig import kernel_config
from stingless.target.release import kernel_version
from tests.linux_support import IS_ROOT
from tests.load_support import Loaded, compiled, run

pytestmark = pytest.mark.skipif(not IS_ROOT, reason="bpf(2) needs root")


@pytest.fixture
def kernel() -> Iterator[LinuxKernel]:
    with LinuxKernel() as k:
        yield k


def test_values_of_the_configuration(kernel: LinuxKernel) -> None:
    values = run(
        kernel,
        """
extern int LINUX_KERNEL_VERSION __kconfig;
extern _Bool LINUX_HAS_SYSCALL_WRAPPER __kconfig;
extern _Bool CONFIG_BPF_SYSCALL __kconfig;
extern enum libbpf_tristate CONFIG_NET __kconfig;
extern char CONFIG_CC_VERSION_TEXT[8] __kconfig;
extern int CONFIG_HZ __kconfig;
extern int CONFIG_THERE_IS_NO_SUCH_THING __kconfig __weak;
int version, wrapper, bpf, net, hz, absent; char text[8];
SEC("syscall") int probe(void *ctx)
{
    version = LINUX_KERNEL_VERSION; wrapper = LINUX_HAS_SYSCALL_WRAPPER; bpf = CONFIG_BPF_SYSCALL;
    net = CONFIG_NET; hz = CONFIG_HZ; absent = CONFIG_THERE_IS_NO_SUCH_THING;
    for (int i = 0; i < 8; i++) text[i] = CONFIG_CC_VERSION_TEXT[i];
    return 0;
}
""",
    )
    config = kernel_config()
    a, b, c = kernel_version()
    assert values["version"] == a << 16 | b << 8 | min(c, 255)
    assert (values["wrapper"], values["bpf"], values["net"], values["absent"]) == (1, 1, 1, 0)
    assert values["hz"] == int(config["CONFIG_HZ"])
    text = config["CONFIG_CC_VERSION_TEXT"].strip('"').encode()[:7] + b"\0"
    assert values["text"] == int.from_bytes(text, "little")


def test_symbols_by_address(kernel: LinuxKernel) -> None:
    values = run(
        kernel,
        """
extern const void _stext __ksym;
extern const void there_is_no_such_symbol __ksym __weak;
__u64 start, absent = 1;
SEC("syscall") int probe(void *ctx)
{
    start = (__u64)&_stext;
    absent = (__u64)&there_is_no_such_symbol;
    return 0;
}
""",
    )
    assert values == {"start": addresses({"_stext"})["_stext"][0], "absent": 0}


KFUNCS = """
extern struct bpf_cpumask *bpf_cpumask_create(void) __ksym;
extern void bpf_cpumask_release(struct bpf_cpumask *cpumask) __ksym;
extern void bpf_cpumask_set_cpu(u32 cpu, struct bpf_cpumask *cpumask) __ksym;
extern bool bpf_cpumask_test_cpu(u32 cpu, const struct cpumask *cpumask) __ksym;
extern int there_is_no_such_kfunc(int x) __ksym __weak;
"""


def test_functions_of_the_kernel(kernel: LinuxKernel) -> None:
    values = run(
        kernel,
        KFUNCS
        + """
int set, unset = 1, here, absent = 1;
SEC("syscall") int probe(void *ctx)
{
    struct bpf_cpumask *mask = bpf_cpumask_create();
    if (!mask) return 1;
    bpf_cpumask_set_cpu(0, mask);
    set = bpf_cpumask_test_cpu(0, (const struct cpumask *)mask);
    unset = bpf_cpumask_test_cpu(1, (const struct cpumask *)mask);
    bpf_cpumask_release(mask);
    absent = bpf_ksym_exists(there_is_no_such_kfunc) ? there_is_no_such_kfunc(1) : 0;
    return 0;
}
""",
    )
    assert (values["set"], values["unset"], values["absent"]) == (1, 0, 0)


def test_a_missing_function_is_called(kernel: LinuxKernel) -> None:
    text = KFUNCS + 'SEC("syscall") int probe(void *ctx)\n{\n    return there_is_no_such_kfunc(1);\n}\n'
    with pytest.raises(VerifierError, match="there_is_no_such_kfunc") as e:
        run(kernel, text)
    assert e.value.source.endswith("return there_is_no_such_kfunc(1);")
    assert "bpf_ksym_exists" in e.value.hint


def test_a_function_that_is_declared_otherwise(kernel: LinuxKernel) -> None:
    text = """
extern int bpf_cpumask_create___mine(int cpus, int extra) __ksym;
SEC("syscall") int probe(void *ctx) { return bpf_cpumask_create___mine(1, 2); }
"""
    with pytest.raises(ObjectError, match=r"int \(int, int\).*struct bpf_cpumask \* \(void\)"):
        kernel.resolve(compiled(text))


@pytest.mark.parametrize(
    ("extern", "use", "named"),
    [
        ("extern int CONFIG_BPF_SYSCAL __kconfig;", "CONFIG_BPF_SYSCAL", "CONFIG_BPF_SYSCALL"),
        ("extern int bpf_cpumask_creat(void) __ksym;", "bpf_cpumask_creat()", "bpf_cpumask_create"),
        ("extern const int there_is_no_such_variable __ksym;", "there_is_no_such_variable", "prog.bpf.c:6"),
    ],
)
def test_strong_externs_that_are_missing(kernel: LinuxKernel, extern: str, use: str, named: str) -> None:
    text = f'{extern}\nSEC("syscall") int probe(void *ctx) {{ return {use}; }}\n'
    with pytest.raises(UnknownNameError, match="__weak") as e:
        kernel.resolve(compiled(text))
    assert named in str(e.value)


def test_fields_at_other_places(kernel: LinuxKernel) -> None:
    """The object's types have a few of the kernel's fields, in another order, and one that the kernel lacks."""
    values = run(
        kernel,
        """
struct task_struct___mine { int tgid; char comm[16]; int pid; long no_such_field; }
    __attribute__((preserve_access_index));
struct no_such_struct { int x; } __attribute__((preserve_access_index));
int same, field, type, size; char comm[16];
SEC("syscall") int probe(void *ctx)
{
    struct task_struct___mine *task = (void *)bpf_get_current_task_btf();
    __u64 ids = bpf_get_current_pid_tgid();
    same = BPF_CORE_READ(task, pid) == (int)ids && BPF_CORE_READ(task, tgid) == ids >> 32;
    bpf_core_read_str(comm, 16, &task->comm);
    field = bpf_core_field_exists(task->no_such_field) ? BPF_CORE_READ(task, no_such_field) : 7;
    type = bpf_core_type_exists(struct no_such_struct);
    size = bpf_core_field_size(task->comm);
    return 0;
}
""",
    )
    assert (values["same"], values["field"], values["type"], values["size"]) == (1, 7, 0, 16)
    comm = Path("/proc/thread-self/comm").read_bytes().rstrip(b"\n")
    assert values["comm"].to_bytes(16, "little").rstrip(b"\0") == comm


UNGUARDED = """
struct task_struct___mine { long no_such_field; } __attribute__((preserve_access_index));
SEC("syscall") int probe(void *ctx)
{
    struct task_struct___mine *task = (void *)bpf_get_current_task_btf();
    return task->no_such_field;
}
"""


def test_a_missing_field_is_read(kernel: LinuxKernel) -> None:
    with pytest.raises(VerifierError, match="no_such_field") as e:
        run(kernel, UNGUARDED)
    assert e.value.source == "prog.bpf.c:10: return task->no_such_field;"
    assert "task_struct___mine" in e.value.summary
    assert "bpf_core_field_exists" in e.value.hint
    assert "195896080" in e.value.log


def test_programs_are_resolved_when_they_are_loaded(kernel: LinuxKernel) -> None:
    """One that was left out by `resolve` says then what stands in the way."""
    text = 'extern int no_such_kfunc(void) __ksym;\nSEC("?syscall") int probe(void *ctx) { return no_such_kfunc(); }\n'
    spec = kernel.resolve(compiled(text))
    with pytest.raises(UnknownNameError, match="no_such_kfunc"):
        kernel.load_program(spec.programs["probe"], {})


def test_sub_programs(kernel: LinuxKernel) -> None:
    values = run(
        kernel,
        """
int sum;
static __noinline int add(int a, int b) { return a + b + (int)bpf_get_prandom_u32() * 0; }
__noinline int twice(int x) { return add(x, x); }
static int each(__u32 i, void *ctx) { sum += twice(i); return 0; }
SEC("syscall") int probe(void *ctx) { bpf_loop(5, each, 0, 0); return 0; }
""",
    )
    assert values["sum"] == 2 * (0 + 1 + 2 + 3 + 4)


def test_what_is_loaded_for_a_target(kernel: LinuxKernel) -> None:
    loaded = Loaded(
        kernel,
        compiled("""
SEC("iter/task") int tasks(struct bpf_iter__task *ctx) { return ctx->task ? 0 : 0; }
SEC("iter/bpf_map") int maps(struct bpf_iter__bpf_map *ctx) { return 0; }
SEC("tp_btf/sched_switch") int switched(u64 *ctx) { return 0; }
SEC("raw_tp/sched_switch") int raw(u64 *ctx) { return 0; }
SEC("?fentry/no_such_function") int never(u64 *ctx) { return 0; }
"""),
    )
    assert set(loaded.programs) == {"tasks", "maps", "switched", "raw"}
    assert {p.info.name for p in loaded.programs.values()} == set(loaded.programs)


def test_a_target_that_is_not_there(kernel: LinuxKernel) -> None:
    with pytest.raises(UnknownNameError, match=r"tracepoint.*sched_swich.*nearest: .*sched_switch.*'p'"):
        kernel.resolve(compiled('SEC("tp_btf/sched_swich") int p(u64 *ctx) { return 0; }'))
    with pytest.raises(UnknownNameError, match=r"iterator.*tsk.*nearest: .*task"):
        kernel.resolve(compiled('SEC("iter/tsk") int p(u64 *ctx) { return 0; }'))


def test_a_function_of_another_program(kernel: LinuxKernel) -> None:
    """freplace needs to be told the program; whether it then loads is a matter of the host."""
    target = Loaded(
        kernel,
        compiled("""
__noinline int verdict(struct xdp_md *ctx) { volatile int r = XDP_PASS; return r; }
SEC("xdp") int filter(struct xdp_md *ctx) { return verdict(ctx); }
"""),
    )
    spec = compiled('SEC("freplace/verdict") int drop(struct xdp_md *ctx) { return XDP_DROP; }').programs["drop"]
    with pytest.raises(LoadError, match="target=program"):
        kernel.load_program(spec, {})
    wrong = replace(spec, attach_target="verdikt")
    with pytest.raises(UnknownNameError, match=r"verdikt.*nearest: verdict"):
        kernel.load_program(wrong, {}, target=target.programs["filter"])


def test_the_source_line_of_a_refusal(kernel: LinuxKernel) -> None:
    text = """
struct { __uint(type, BPF_MAP_TYPE_HASH); __type(key, int); __type(value, long); __uint(max_entries, 4); }
    counts SEC(".maps");
SEC("syscall") int probe(void *ctx)
{
    int key = 1;
    long *value = bpf_map_lookup_elem(&counts, &key);
    *value += 1;
    return 0;
}
"""
    with pytest.raises(VerifierError) as e:
        run(kernel, text)
    error = e.value
    assert error.source == "prog.bpf.c:12: *value += 1;"
    assert error.source in str(error)
    assert "check the pointer" in error.hint
    assert error.errno == errno.EACCES
    assert "processed" in error.log.splitlines()[-1]  # it is whole


def test_programs_that_nobody_was_expected_to_ask_for(kernel: LinuxKernel) -> None:
    """They are resolved when they are."""
    spec = compiled(
        """
extern const void there_is_no_such_symbol __ksym;
SEC("?xdp") int later(struct xdp_md *ctx)
{
    struct task_struct *task = (void *)bpf_get_current_task();
    return BPF_CORE_READ(task, tgid);
}
SEC("?xdp") int never(struct xdp_md *ctx) { return (long)&there_is_no_such_symbol; }
"""
    )
    loaded = LoadedObject(kernel, spec)
    try:
        assert loaded.program("later").run(bytes(64)).retval == os.getpid()
        with pytest.raises(UnknownNameError, match="there_is_no_such_symbol"):
            loaded.program("never")
    finally:
        loaded.close()

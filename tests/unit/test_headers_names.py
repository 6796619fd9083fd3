"""Every name that programs take from libbpf's headers is defined by ours."""

from __future__ import annotations

import pytest

from stingless._gen.helpers import PROTOTYPES
from stingless.compile import compile_text

MACROS = {
    "bpf_helpers": """
        SEC KERNEL_VERSION NULL offsetof container_of barrier barrier_var likely unlikely
        __uint __ulong __type __array __always_inline __noinline __weak __hidden __kconfig __ksym
        __kptr __kptr_untrusted __percpu_kptr __uptr
        __arg_ctx __arg_nonnull __arg_nullable __arg_trusted __arg_untrusted __arg_arena
        __bpf_unreachable bpf_ksym_exists bpf_printk __bpf_printk __bpf_vprintk bpf_stream_printk
        BPF_PRINTK_FMT_MOD BPF_SEQ_PRINTF BPF_SNPRINTF bpf_for bpf_for_each bpf_repeat
        ___bpf_concat ___bpf_narg ___bpf_nth ___bpf_apply ___bpf_fill ___bpf_pick_printk __bpf_fastcall
    """,
    "bpf_tracing": """
        BPF_PROG BPF_PROG2 BPF_KPROBE BPF_KRETPROBE BPF_UPROBE BPF_URETPROBE BPF_KSYSCALL BPF_KPROBE_SYSCALL
        BPF_KPROBE_READ_RET_IP BPF_KRETPROBE_READ_RET_IP
        PT_REGS_PARM1 PT_REGS_PARM2 PT_REGS_PARM3 PT_REGS_PARM4 PT_REGS_PARM5 PT_REGS_PARM6 PT_REGS_PARM7 PT_REGS_PARM8
        PT_REGS_PARM1_CORE PT_REGS_PARM2_CORE PT_REGS_PARM3_CORE PT_REGS_PARM4_CORE
        PT_REGS_PARM5_CORE PT_REGS_PARM6_CORE PT_REGS_PARM7_CORE PT_REGS_PARM8_CORE
        PT_REGS_PARM1_SYSCALL PT_REGS_PARM2_SYSCALL PT_REGS_PARM3_SYSCALL PT_REGS_PARM4_SYSCALL
        PT_REGS_PARM5_SYSCALL PT_REGS_PARM6_SYSCALL PT_REGS_PARM7_SYSCALL
        PT_REGS_PARM1_CORE_SYSCALL PT_REGS_PARM2_CORE_SYSCALL PT_REGS_PARM3_CORE_SYSCALL PT_REGS_PARM4_CORE_SYSCALL
        PT_REGS_PARM5_CORE_SYSCALL PT_REGS_PARM6_CORE_SYSCALL PT_REGS_PARM7_CORE_SYSCALL
        PT_REGS_RET PT_REGS_FP PT_REGS_RC PT_REGS_SP PT_REGS_IP
        PT_REGS_RET_CORE PT_REGS_FP_CORE PT_REGS_RC_CORE PT_REGS_SP_CORE PT_REGS_IP_CORE PT_REGS_SYSCALL_REGS
        __PT_REGS_CAST ___bpf_ctx_cast ___bpf_kprobe_args ___bpf_kretprobe_args
    """,
    "bpf_core_read": """
        bpf_core_read bpf_core_read_user bpf_core_read_str bpf_core_read_user_str
        BPF_CORE_READ BPF_CORE_READ_INTO BPF_CORE_READ_STR_INTO
        BPF_CORE_READ_USER BPF_CORE_READ_USER_INTO BPF_CORE_READ_USER_STR_INTO
        BPF_PROBE_READ BPF_PROBE_READ_INTO BPF_PROBE_READ_STR_INTO
        BPF_PROBE_READ_USER BPF_PROBE_READ_USER_INTO BPF_PROBE_READ_USER_STR_INTO
        BPF_CORE_READ_BITFIELD BPF_CORE_READ_BITFIELD_PROBED BPF_CORE_WRITE_BITFIELD
        bpf_core_field_exists bpf_core_field_offset bpf_core_field_size
        bpf_core_type_exists bpf_core_type_matches bpf_core_type_size bpf_core_type_id_local bpf_core_type_id_kernel
        bpf_core_enum_value bpf_core_enum_value_exists bpf_core_cast
        __CORE_RELO ___type ___arrow ___bpf_field_ref
    """,
    "bpf_endian": """
        bpf_htons bpf_ntohs bpf_htonl bpf_ntohl bpf_cpu_to_be64 bpf_be64_to_cpu
        __bpf_htons __bpf_ntohs __bpf_htonl __bpf_ntohl __bpf_cpu_to_be64 __bpf_be64_to_cpu
        __bpf_constant_htons __bpf_constant_ntohs __bpf_constant_htonl __bpf_constant_ntohl
        __bpf_constant_cpu_to_be64 __bpf_constant_be64_to_cpu ___bpf_swab16 ___bpf_swab32 ___bpf_swab64
    """,
}
ENUMERATORS = """
    LIBBPF_PIN_NONE LIBBPF_PIN_BY_NAME TRI_NO TRI_YES TRI_MODULE
    BPF_FIELD_BYTE_OFFSET BPF_FIELD_BYTE_SIZE BPF_FIELD_EXISTS BPF_FIELD_SIGNED BPF_FIELD_LSHIFT_U64
    BPF_FIELD_RSHIFT_U64 BPF_TYPE_ID_LOCAL BPF_TYPE_ID_TARGET BPF_TYPE_EXISTS BPF_TYPE_SIZE BPF_TYPE_MATCHES
    BPF_ENUMVAL_EXISTS BPF_ENUMVAL_VALUE
"""
FUNCTIONS = "bpf_tail_call_static bpf_iter_num_new bpf_iter_num_next bpf_iter_num_destroy bpf_rdonly_cast"


@pytest.fixture(autouse=True)
def uncached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STINGLESS_CACHE", "")


@pytest.mark.parametrize("header", MACROS)
def test_macros(header: str) -> None:
    """Each header alone, with none before it."""
    checks = "".join(f"#ifndef {name}\n#error {name}\n#endif\n" for name in MACROS[header].split())
    compile_text(f"#include <bpf/{header}.h>\n{checks}")


def test_other_names() -> None:
    uses = "".join(f'_Static_assert({name} >= 0, "");\n' for name in ENUMERATORS.split())
    uses += "".join(f"__typeof__({name}) *use_{name};\n" for name in FUNCTIONS.split())
    uses += "enum libbpf_pin_type a; enum libbpf_tristate b; enum bpf_field_info_kind c; enum bpf_type_id_kind d;\n"
    compile_text(f"#include <bpf/bpf_helpers.h>\n#include <bpf/bpf_core_read.h>\n{uses}")


def test_helpers() -> None:
    uses = "".join(f"void *use_{name}(void) {{ return bpf_{name}; }}\n" for name in PROTOTYPES)
    compile_text(f"#include <bpf/bpf_helpers.h>\n{uses}")


def test_names_that_users_define_themselves() -> None:
    """libbpf leaves these to vmlinux.h or the program, so that programs declare them."""
    compile_text(
        "#include <bpf/bpf_helpers.h>\n#include <bpf/bpf_tracing.h>\n"
        "typedef unsigned long size_t; typedef unsigned long u64; typedef _Bool bool;\n"
        "struct bpf_map_def { unsigned int type, key_size, value_size, max_entries, map_flags; };\n"
        "struct pt_regs { long di; }; struct bpf_iter_num { long a; };\n"
    )


@pytest.mark.parametrize("uapi", ["linux/bpf.h", "linux/ptrace.h", "linux/types.h", "linux/stddef.h", "stddef.h"])
def test_before_and_after_other_headers(uapi: str) -> None:
    ours = "".join(f"#include <bpf/{header}.h>\n" for header in MACROS)
    for text in (f"#include <{uapi}>\n{ours}", f"{ours}#include <{uapi}>\n"):
        compile_text(text + "static __always_inline int f(int a) { return a; }\nint g(int a) { return f(a); }\n")

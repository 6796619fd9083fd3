"""The verifier says no: a pointer from a lookup is used without a NULL check."""

from stingless import BPF

refused = r"""
BPF_HASH(syscalls);

int peek(void *ctx) {
    u64 key = 1;
    u64 *count = syscalls.lookup(&key);
    return *count > 10;
}
"""
mended = refused.replace("return *count", "if (!count) return 0; return *count")

try:
    BPF(text=refused).load_func("peek", BPF.KPROBE)
    raise SystemExit("the verifier should have refused this program")
except Exception as error:
    print(error.render())

BPF(text=mended).load_func("peek", BPF.KPROBE)
print("with `if (!count) return 0;` the verifier accepts it")

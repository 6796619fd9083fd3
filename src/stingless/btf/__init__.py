"""BTF, the type format of eBPF objects and of the kernel."""

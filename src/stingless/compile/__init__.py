"""From C text to an ELF object of eBPF code, with clang."""

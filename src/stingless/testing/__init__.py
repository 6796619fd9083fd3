"""What a test of an eBPF program needs."""

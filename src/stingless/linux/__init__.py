"""The Linux kernel behind the `Kernel` protocol: bpf(2), perf_event_open(2) and links."""

"""Kernel objects of traced tasks, in the layout of a kernel's BTF: what bpf_get_current_task() leads to."""

"""Declarations that programs in bcc's dialect may need, each found by name: the kernel's types, macros of UAPI headers,
and shims for what only the kernel's own headers have."""

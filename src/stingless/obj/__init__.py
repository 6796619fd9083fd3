"""Object files: ELF to specs.  Pure: no kernel, no root."""

"""The eBPF instruction set (RFC 9669): instructions, assembler, disassembler."""

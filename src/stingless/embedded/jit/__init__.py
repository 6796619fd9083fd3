"""Machine code for verified programs: bytecode to LLVM IR to the machine's own, by llvmlite.

`flow` finds functions, blocks and what registers are known to hold; `emit` writes the IR; `lower` one instruction;
`machine` has LLVM make code of it; `tiers` says when, and swaps it in while programs run.
"""

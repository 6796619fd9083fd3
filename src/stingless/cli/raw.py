"""`stingless raw`: raw eBPF instructions on a piece of memory."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from stingless.cli.output import show, write
from stingless.errors import StinglessError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="stingless raw",
        description="Run raw eBPF instructions on a piece of memory: R1 has its address, R2 its size; there are no "
        "maps and no helpers. Every access is checked. R0 is printed; the exit status is 1 for a program that was "
        "stopped, whose instruction is named, and 2 for code that is not a program.",
    )
    parser.add_argument("code", help="a file of 8-byte instructions, or of their hexadecimal digits; -: standard input")
    parser.add_argument("-m", "--memory", metavar="FILE", help="what the memory holds at first (default: no memory)")
    parser.add_argument("-o", "--output", metavar="FILE", help="write what the memory holds at the end")
    parser.add_argument("-d", "--disassemble", action="store_true", help="list the instructions and run nothing")
    parser.add_argument(
        "-t", "--trace", action="store_true", help="list the instructions that are executed, with R0 to R10"
    )
    parser.add_argument("--limit", type=int, default=1000, metavar="N", help="list at most N (%(default)s)")
    parser.add_argument("--budget", type=int, metavar="N", help="stop after N instructions (16 million)")
    return parser


def _code(source: str) -> bytes:
    data = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    if re.fullmatch(rb"[0-9a-fA-F\s]*", data):
        return bytes.fromhex(data.decode())
    return data


def main(argv: Sequence[str]) -> int:
    options = _parser().parse_args(argv)
    from stingless.asm.listing import listing
    from stingless.embedded.vm import BUDGET, Vm

    try:
        code = _code(options.code)
        memory = bytearray(Path(options.memory).read_bytes() if options.memory else b"")
        vm = Vm(code, budget=BUDGET if options.budget is None else options.budget)
    except (OSError, ValueError, StinglessError) as error:
        print(f"stingless raw: {error}", file=sys.stderr)
        return 2
    if options.disassemble:
        return show(listing(code))
    if options.trace:
        from stingless.asm.disasm import disassemble
        from stingless.asm.instruction import decode

        insns = decode(code)
        result, steps = vm.trace(memory, limit=options.limit)
        for step in steps:
            at = int(step["insn"])
            text = disassemble(insns[at], insns[at + 1] if at + 1 < len(insns) else None)
            registers = " ".join(f"{value:x}" for value in step["registers"])
            print(f"{at:5}: {'  ' * int(step['depth'])}{text:<40} {registers}")
    else:
        result = vm.run(memory)
    if options.output:
        write(Path(options.output), bytes(memory))
    if result.fault is not None:
        print(f"stingless raw: stopped at {result.fault}", file=sys.stderr)
        return 1
    return show(f"{result.r0:#x}")

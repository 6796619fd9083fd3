"""Names: of the kernel's symbols, of code made at run time, and as the source has them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stingless._sys.demangle import cxa_demangle
from stingless.symbols import perf_map
from stingless.symbols.binary import binary
from stingless.symbols.demangle import demangled
from stingless.symbols.kernel import KernelSymbol, KernelSymbols
from stingless.symbols.rust import demangled_v0
from tests.symbol_programs import CPP, build

CXX_LIBRARY = pytest.mark.skipif(cxa_demangle(b"_Z1fv") is None, reason="no C++ run-time library")

KALLSYMS = b"""\
0000000000000000 A fixed_percpu_data
000000000001a000 A early_stack
ffffffff81000000 T _stext
ffffffff81000000 T _text
ffffffff81000100 t inner.cold
ffffffff81000100 W inner_weak
ffffffff81000200 D data_here
ffffffff81000300 T doubled
ffffffffc0000000 t init\t[veth]
ffffffffc0000040 t doubled\t[veth]
ffffffffc0001000 t bpf_prog_6deef7357e7b4530\t[bpf]
ffffffffc0001100 t bpf_prog_6deef7357e7b4530_x\t[bpf]
"""


def test_kernel_symbols() -> None:
    symbols = KernelSymbols(KALLSYMS)
    find = symbols.find
    assert find(0x1A000) is None
    assert find(0xFFFFFFFF81000000) == KernelSymbol(b"_stext", 0xFFFFFFFF81000000, b"kernel")
    assert find(0xFFFFFFFF810000FF) == KernelSymbol(b"_stext", 0xFFFFFFFF81000000, b"kernel")
    assert find(0xFFFFFFFF81000280) == KernelSymbol(b"inner.cold", 0xFFFFFFFF81000100, b"kernel")  # no variables
    assert find(0xFFFFFFFFC0000041) == KernelSymbol(b"doubled", 0xFFFFFFFFC0000040, b"veth")
    assert find((1 << 64) - 1) == KernelSymbol(b"bpf_prog_6deef7357e7b4530_x", 0xFFFFFFFFC0001100, b"bpf")
    names = (b"_text", b"doubled", b"init", b"nit", b"data_here", b"early_stack", b"bpf_prog_6deef7357e7b4530")
    assert [symbols.address(name) for name in names] == [
        0xFFFFFFFF81000000, 0xFFFFFFFFC0000040, 0xFFFFFFFFC0000000, None, None, None, 0xFFFFFFFFC0001000,
    ]  # fmt: skip


@pytest.mark.parametrize("text", [b"", b"\n", b"0000000000000000 T hidden\n0000000000000000 t too\t[m]\n"])
def test_kernel_symbols_that_are_hidden(text: bytes) -> None:
    symbols = KernelSymbols(text)
    assert symbols.find(1 << 63) is None
    assert symbols.address(b"hidden") is None


def test_perf_map() -> None:
    table = perf_map.parse(
        b"7f00 100 Loop::run(int) [interpreted]\n"
        b"not a line\n\n"
        b"0x8000 0x20 LazyCompile:~f /tmp/a b.js:1\n"
        b"7f00 40 Loop::again\n"
        b"9000 10 cut"
    )
    names = [(at, found.name if (found := table.find(at)) else None) for at in (0x7EFF, 0x7F10, 0x7F80, 0x801F, 0x9001)]
    assert names == [
        (0x7EFF, None),
        (0x7F10, b"Loop::again"),  # what was compiled later
        (0x7F80, b"Loop::run(int) [interpreted]"),
        (0x801F, b"LazyCompile:~f /tmp/a b.js:1"),
        (0x9001, b"cut"),
    ]


@CXX_LIBRARY
def test_cxx_names_of_a_program(tmp_path: Path) -> None:
    program = build(CPP, tmp_path / "cart", compiler="g++")
    names = {demangled(name) for name, _, _ in binary(program).functions}
    assert {b"int shop::Cart::add<long>(long)", b"int shop::Cart::add<char>(char)", b"main"} <= names


@CXX_LIBRARY
@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        (b"_ZNSt6vectorIiSaIiEE9push_backERKi", b"std::vector<int, std::allocator<int> >::push_back(int const&)"),
        (b"_ZN4core3fmt5write17h0123456789abcdefE", b"core::fmt::write::h0123456789abcdef"),
        (b"main", b"main"),
        (b"_Z", b"_Z"),
        (b"_Znot a name", b"_Znot a name"),
    ],
)
def test_demangling(name: bytes, wanted: bytes) -> None:
    assert demangled(name) == wanted


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        # From RFC 2603 and the tests of rustc-demangle.
        (b"_RNvCskwGfYPst2Cb_3foo16example_function", b"foo::example_function"),
        (b"_RINvNtC3std3mem8align_ofdE", b"std::mem::align_of::<f64>"),
        (b"_RNCNCNgCs6DXkGYLi8lr_2cc5spawn00B5_", b"cc::spawn::{closure#0}::{closure#0}"),
        (b"_RNvC6_123foo3bar", b"123foo::bar"),
        (b"_RNvNtNtC1a1b1c1d.llvm.123", b"a::b::c::d"),
        (b"_RNvXs_C7mycrateNtB4_3FooNtB4_5Trait3run", b"<mycrate::Foo as mycrate::Trait>::run"),
        (b"_RNvMC7mycrateINtB2_3FoojE3bar", b"<mycrate::Foo<usize>>::bar"),
        (
            b"_RNqCs4fqI2P2rA04_11utf8_identsu30____7hkackfecea1cbdathfdh9hlq6y",
            "utf8_idents::საჭმელად_გემრიელი_სადილი".encode(),
        ),
        (
            b"_RINbNbCskIICzLVPPb_5alloc5alloc8box_freeDINbNiB4_5boxed5FnBoxuEp6OutputuEL_ECs1iopQbuBiw2_3std",
            b"alloc::alloc::box_free::<dyn alloc::boxed::FnBox<(), Output = ()>>",
        ),
        (b"_RINvC1a1bRShE", b"a::b::<&[u8]>"),
        (b"_RINvC1a1bTlmEKj1f_E", b"a::b::<(i32, u32), 31>"),
        (b"_RINvC1a1bFUKCPcOhEuE", b'a::b::<unsafe extern "C" fn(*const char, *mut u8)>'),
        (b"_RINvC1a1bDNtB2_1TEL_E", b"a::b::<dyn a::T>"),
        (b"_R", None),
        (b"_RNvC3foo", None),
        (b"_RNvB0_3foo", None),
        (b"_RB_", None),
    ],
)
def test_rust_names(name: bytes, wanted: bytes | None) -> None:
    assert demangled_v0(name) == wanted


@given(st.text("_RNvCsBIMXYFDEKLgpnuT0123456789abcz", max_size=40))
def test_any_text_is_a_rust_name_or_not(text: str) -> None:
    assert demangled_v0(b"_R" + text.encode()) != b""


RUST = """
#[inline(never)] pub fn add<T: std::ops::Add<Output = T>>(a: T, b: T) -> T { a + b }
fn main() { print!("{}", add(1u8, 2)); }
"""


def test_rust_program(tmp_path: Path) -> None:
    (tmp_path / "adds.rs").write_text(RUST)
    try:
        subprocess.run(
            ["rustc", "-C", "symbol-mangling-version=v0", "-o", tmp_path / "adds", tmp_path / "adds.rs"],
            check=True,
            capture_output=True,
        )
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("no rustc that makes v0 names")
    names = {demangled(name) for name, _, _ in binary(tmp_path / "adds").functions}
    assert {b"adds::add::<u8>", b"adds::main"} <= names
    assert not [name for name in names if name.startswith(b"_R")]

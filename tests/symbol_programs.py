"""C and C++ programs whose symbols are known, and a process of them that tells its addresses."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

TARGET = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

__attribute__((noinline)) static int hidden(int x) { __asm__ volatile("" : "+r"(x)); return x * 3; }
__attribute__((noinline)) int visible(int x) { __asm__ volatile("" : "+r"(x)); return hidden(x) + 1; }
int variable = 7;

/* It tells where its functions are, and obeys: m maps a page of code without a file, x PATH becomes that program. */
int main(int argc, char **argv)
{
    char line[512];
    printf("%lx %lx %lx %d\n", (long)hidden, (long)visible, (long)&variable, visible(argc) > 0);
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        if (line[0] == 'm')
            printf("%lx\n", (long)mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        if (line[0] == 'x')
            execl(line + 2, line + 2, (char *)0);
        fflush(stdout);
    }
    return 0;
}
"""

CPP = r"""
namespace shop { struct Cart {
    template <class T> __attribute__((noinline)) int add(T price) { return static_cast<int>(price) + items++; }
    int items = 0;
}; }
int main() { shop::Cart cart; return cart.add<long>(1) + cart.add<char>('a'); }
"""


def build(source: str, out: Path, *flags: str, compiler: str = "gcc") -> Path:
    """Skips the test where there is no compiler."""
    language = "c++" if compiler == "g++" else "c"
    try:
        command = [compiler, "-w", "-O1", "-fno-omit-frame-pointer", "-x", language, "-", "-x", "none"]
        command += [*flags, "-o", str(out)]
        subprocess.run(command, input=source.encode(), check=True)
    except FileNotFoundError:
        pytest.skip(f"no {compiler}")
    return out


def tool(name: str, *arguments: str | Path) -> None:
    """A program of binutils."""
    if shutil.which(name) is None:
        pytest.skip(f"no {name}")
    subprocess.run([name, *map(str, arguments)], check=True)


class Target:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid
        hidden, visible, variable, _ = self._line().split()
        self.hidden, self.visible, self.variable = int(hidden, 16), int(visible, 16), int(variable, 16)

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def ask(self, command: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return self._line()


@contextmanager
def running(program: Path | str, arguments: Sequence[str] = ()) -> Iterator[Target]:
    with subprocess.Popen(
        [str(program), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Target(process)
        finally:
            process.kill()

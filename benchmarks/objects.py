"""Which objects load: libbpf's verdict and ours for each, on this host and in guests.

    python -m benchmarks.objects [-k KERNEL]... [--no-host] [-o TABLE.md] FILE|DIRECTORY...

Prints counts for each directory of objects, and what only one of the two loads; -o writes a file that also has the
reasons of all that was refused, and a row for each object.  Nothing is attached.  libbpf is the one that
`benchmarks.peers` finds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks import object_table
from benchmarks.measure import BenchmarkError
from benchmarks.object_table import Verdict, Verdicts
from benchmarks.peers import build, libbpf_version
from stingless._gen.uapi import MapType
from stingless.obj.spec import ObjectSpec
from tests.vm.guest import GuestError
from tests.vm.missing import explain_missing
from tests.vm.run import GuestTimeoutError, run_guest

_T = MapType
_SIZED = (_T.HASH, _T.ARRAY, _T.PERCPU_HASH, _T.PERCPU_ARRAY, _T.LRU_HASH, _T.STACK_TRACE)


def objects_in(places: Iterable[str]) -> list[Path]:
    """The object files named, and those under the directories named."""
    found = []
    for place in map(Path, places):
        if place.is_dir():
            found += sorted(p for p in place.rglob("*") if p.suffix in (".o", ".elf"))
        else:
            found.append(place)
    return [path.resolve() for path in found]


@contextlib.contextmanager
def pin_directory() -> Iterator[Path]:
    """A file system for pinned maps, which nobody else uses.  Raises `BenchmarkError`."""
    with tempfile.TemporaryDirectory() as directory:
        mounted = subprocess.run(["mount", "-t", "bpf", "bpf", directory], capture_output=True, text=True)
        if mounted.returncode:
            raise BenchmarkError(f"no file system for pinned maps: {mounted.stderr.strip()}")
        try:
            pins = Path(directory, "pins")  # what the kernel itself pins, its iterators, stays beside it
            pins.mkdir()
            yield pins
        finally:
            subprocess.run(["umount", directory], check=True)


def verdicts(peer: Path, paths: Iterable[Path], pins: Path) -> Iterator[tuple[str, tuple[Verdict, Verdict]]]:
    """Ask both, here."""
    for path in paths:
        try:
            yield str(path), (_libbpf(peer, path, pins), _ours(path, pins))
        except subprocess.TimeoutExpired as error:  # the verifier can take minutes over one program, whoever asks
            late = Verdict(f"no answer in {error.timeout:g} s", {})
            yield str(path), (late, Verdict("not asked: libbpf gave no answer", {}))


def _unpin(pins: Path) -> None:
    for pinned in pins.iterdir():
        pinned.unlink()


def _libbpf(peer: Path, path: Path, pins: Path) -> Verdict:
    def ask(verb: str) -> str:
        environment = {**os.environ, "PINS": str(pins)}
        done = subprocess.run([peer, verb, path], capture_output=True, text=True, timeout=120, env=environment)
        _unpin(pins)
        return done.stdout if done.returncode == 0 else f"died of {done.returncode}"

    rows = (line.partition("\t") for line in ask("programs").splitlines() if "\t" in line)
    return Verdict(ask("verdict").strip(), {name: verdict for name, _, verdict in rows if name})


def _ours(path: Path, pins: Path) -> Verdict:
    from stingless import StinglessError, load, open_object
    from stingless.linux.kernel import LinuxKernel

    def attempt(source: ObjectSpec | Path, **options: Any) -> str:
        with LinuxKernel() as kernel:
            try:
                load(source, kernel=kernel, pin_path=pins, **options).close()
            except (StinglessError, OSError) as error:
                return f"{type(error).__name__}: {error}".splitlines()[0]
            except Exception as error:  # of another kind: a bug, which the table shows
                return f"BUG {type(error).__name__}: {error}".splitlines()[0]
            finally:
                _unpin(pins)
        return "ok"

    whole = attempt(path)
    try:
        spec = _with_sizes(open_object(path))
    except ValueError:  # which the verdict on the whole tells
        return Verdict(whole, {})
    together = whole == "ok" or (len(spec.programs) > 1 and attempt(spec) == "ok")  # then each loads by itself
    alone = {
        name: "ok" if together and program.autoload else attempt(spec, programs=[name])
        for name, program in spec.programs.items()
    }
    return Verdict(whole, alone)


def _with_sizes(spec: ObjectSpec) -> ObjectSpec:
    """Maps whose size the application sets before the load, as the peer sets them."""
    sized = {}
    for name, map in spec.maps.items():
        if map.type in _SIZED and map.max_entries == 0:
            map = replace(map, max_entries=1024)
        if map.type is MapType.STACK_TRACE and map.value_size == 0:
            map = replace(map, value_size=127 * 8)
        sized[name] = map
    return replace(spec, maps=sized)


def in_guest(kernel: str, peer: Path, paths: Sequence[Path], timeout: float) -> dict[str, tuple[Verdict, Verdict]]:
    """Ask both in a guest; without those it did not come to in time.  Raises `BenchmarkError`."""
    if (reason := explain_missing(kernel)) is not None:
        raise BenchmarkError(reason)
    environment = {"PYTHONPATH": path} if (path := os.environ.get("PYTHONPATH")) else {}
    argv = [sys.executable, "-m", "benchmarks.objects", "--here", str(peer), *map(str, paths)]
    answered = bytearray()
    here = Path(__file__).parent.parent
    try:
        done = run_guest(kernel, argv, cwd=here, env=environment, timeout=timeout, on_stdout=answered.extend)
    except GuestTimeoutError:
        print(f"{kernel}: no end after {timeout:g} s", file=sys.stderr)
    except GuestError as error:
        raise BenchmarkError(str(error)) from error
    else:
        if done.returncode:
            raise BenchmarkError(f"in the guest: {done.stderr.strip()}")
    rows = [json.loads(line) for line in bytes(answered).splitlines(keepends=True) if line.endswith(b"\n")]
    return {path: (Verdict(**theirs), Verdict(**ours)) for path, theirs, ours in rows}


def _with_progress(found: Iterable[tuple[str, tuple[Verdict, Verdict]]], count: int) -> Iterator[Any]:
    """The same, counted on a terminal."""
    for number, row in enumerate(found, 1):
        if sys.stderr.isatty():
            print(f"\r{number} of {count}", end="" if number < count else "\n", file=sys.stderr, flush=True)
        yield row


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.objects", description=__doc__.splitlines()[0])
    parser.add_argument("places", nargs="+", metavar="FILE|DIRECTORY")
    parser.add_argument("-k", "--kernel", action="append", default=[], help="in a guest with this kernel")
    parser.add_argument("--no-host", action="store_true", help="in the guests only")
    parser.add_argument("--timeout", type=float, default=3600, help="for each guest, in seconds")
    parser.add_argument("-o", "--output", type=Path, help="write a file with the reasons and a row for each object")
    parser.add_argument("--here", type=Path, help=argparse.SUPPRESS)  # in the guest: the peer's program; answers JSON
    options = parser.parse_args()
    paths = objects_in(options.places)
    if options.here:
        with pin_directory() as pins:
            for path, both in verdicts(options.here, paths, pins):
                print(json.dumps([path, *map(asdict, both)]), flush=True)
        return
    columns: dict[str, Verdicts] = {}
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        try:
            peer = build("load_object", Path(directory))
            if not options.no_host:
                with pin_directory() as pins:
                    found = dict(_with_progress(verdicts(peer, paths, pins), len(paths)))
                columns[f"Linux {os.uname().release.split('-')[0]}"] = found
            for kernel in options.kernel:
                columns[f"guest {kernel}"] = in_guest(kernel, peer, paths, options.timeout)
        except BenchmarkError as error:
            sys.exit(str(error))
    head = f"libbpf {libbpf_version()}; {len(paths)} objects in {time.monotonic() - start:.0f} s"
    said = [head, object_table.summary(columns), object_table.differences(columns)]
    print("\n\n".join(said))
    if options.output:
        said += [object_table.reasons(columns), object_table.objects(columns)]
        options.output.write_text("\n\n".join(said) + "\n")


if __name__ == "__main__":
    main()

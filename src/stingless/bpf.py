"""`BPF`: the front door, with bcc's API.

A program text in bcc's dialect is compiled, its maps are created, and its functions are loaded when they are attached.
"""

from __future__ import annotations

import atexit
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

# Most of the package is imported while clang works on the program: see `Module._run_clang`.
from stingless.bcc.kprobes import Kprobes
from stingless.bcc.module import Function as Function
from stingless.bcc.module import event_marker as event_marker
from stingless.bcc.module import find_source
from stingless.bcc.names import Name, bytes_of, text_of
from stingless.bcc.perf_events import PerfEvents
from stingless.bcc.reading import Reading
from stingless.bcc.sockets import Sockets
from stingless.bcc.statics import Statics
from stingless.bcc.tracepoints import Tracepoints
from stingless.bcc.trampolines import Trampolines
from stingless.bcc.uprobes import Uprobes
from stingless.errors import CompileError

if TYPE_CHECKING:
    from stingless.kernel import Kernel
    from stingless.obj.spec import ObjectSpec


class BPF(Kprobes, Uprobes, Tracepoints, PerfEvents, Trampolines, Sockets, Reading, Statics):
    """Programs in bcc's C dialect and their tables.

    `text` or `src_file` is the C; `object_file` is an object compiled before, loaded with no source at hand.  `cflags`
    go to clang, `debug` is a sum of `bcc.DEBUG_...`, `usdt_contexts` are `USDT` objects whose probes are attached and
    whose arguments the program reads; with `attach_usdt_ignore_pid`, in all processes.  Functions named
    `kprobe__NAME`, `kretprobe__NAME`, `tracepoint__CATEGORY__EVENT`, `raw_tracepoint__EVENT`, `kfunc__FUNCTION`,
    `kretfunc__FUNCTION` and `lsm__HOOK` are attached at once, as in bcc.  `bpf["name"]` is a table.

    bcc's `hdr_file` must exist and is not read, as there.  With `allow_rlimit` false, the process's limit on locked
    memory, which kernels before 5.11 count maps and programs against, is left as it is from then on.

    Raises `CompileError`, `ObjectError`, `VerifierError`, `LoadError`, `AttachError`, `PrivilegeError`.
    """

    Function = Function

    def __init__(
        self,
        src_file: Name = b"",
        hdr_file: Name = b"",
        text: Name | None = None,
        debug: int = 0,
        cflags: Sequence[Name] = (),
        usdt_contexts: Sequence[Any] = (),
        allow_rlimit: bool = True,
        device: Name | None = None,
        attach_usdt_ignore_pid: bool = False,
        *,
        object_file: str | Path | None = None,
        kernel: Kernel | None = None,
    ) -> None:
        if (text is not None) + bool(src_file) + (object_file is not None) != 1:
            raise ValueError("BPF() needs exactly one of text=, src_file= and object_file=")
        if isinstance(cflags, str | bytes):
            raise TypeError(f"cflags is a list of arguments for clang: [{cflags!r}], not {cflags!r}")
        super().__init__(debug, kernel)
        if device is not None:
            self._refuse_offload(text_of(device))
        if not allow_rlimit:
            from stingless._sys.limits import keep_memlock

            keep_memlock()
        self._begin()
        self._load(self._spec(src_file, hdr_file, text, [text_of(flag) for flag in cflags], usdt_contexts, object_file))
        atexit.register(self.cleanup)
        try:
            for context in usdt_contexts:
                context.attach_uprobes(self, attach_usdt_ignore_pid)
            from stingless.bcc.autoload import autoload

            autoload(self, self.spec.programs)
        except BaseException:
            self.cleanup()
            raise

    def _spec(
        self,
        src_file: Name,
        hdr_file: Name,
        text: Name | None,
        cflags: Sequence[str],
        usdt_contexts: Sequence[Any],
        object_file: str | Path | None,
    ) -> ObjectSpec:
        if object_file is not None:
            return self._read(Path(object_file).read_bytes(), str(object_file), "")
        if hdr_file:
            find_source(text_of(hdr_file))
        path = find_source(text_of(src_file)) if src_file else None
        name = "main.c" if path is None else str(path)
        source = _source(text if text is not None else path.read_bytes() if path else b"", name)
        if usdt_contexts:
            from stingless.bcc.usdt import generated

            # The lines of the user's own text keep their numbers.
            source = generated(usdt_contexts) + f'\n#line 1 "{name}"\n' + source
        return self._compile(source, name, cflags)

    # The end

    def cleanup(self) -> None:
        """Detach and close everything.  Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._detach_all()
        self._close_readers()
        self._object.close()
        atexit.unregister(self.cleanup)

    close = cleanup

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cleanup()


def _source(text: Name, name: str) -> str:
    if isinstance(text, str):
        return text
    data = bytes_of(text)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        bad = f"byte {data[error.start]:#04x} is not UTF-8; convert the text, as with `iconv -f latin1 -t utf-8`"
        raise CompileError(f"{name}:{line}: {bad}") from None

"""A tool of bcc under either package, until it waits: `python tool.py bcc|stingless SCRIPT [ARGUMENT...]`."""

import os
import resource
import runpy
import sys
import time
from contextlib import suppress
from typing import NoReturn

package, *sys.argv = sys.argv[1:]
if package == "stingless":
    from stingless.bcc import alias

    alias.install()

said = os.dup(1)
null = os.open(os.devnull, os.O_WRONLY)
os.dup2(null, 1)
os.close(null)


def attached(*_: object, **__: object) -> NoReturn:
    os.write(said, b"attached\n")
    sys.stdin.read()
    os.write(said, b"%d\n" % resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    raise KeyboardInterrupt  # as it would be ended


import bcc  # noqa: E402 - the package's, or what stands for it

time.sleep = attached
bcc.BPF.perf_buffer_poll = bcc.BPF.ring_buffer_poll = attached
with suppress(KeyboardInterrupt):
    runpy.run_path(sys.argv[0], run_name="__main__")

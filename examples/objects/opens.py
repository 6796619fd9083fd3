"""The files that a command opens: `stingless run opens.py -- COMMAND`."""

from pathlib import Path

import stingless

with stingless.load(Path(__file__).with_name("opens.bpf.c")) as obj:
    obj.attach()
    for event in obj.ring_buffer("opens", "struct opened"):
        print(f"{event.pid:7} {event.comm.decode():16} {event.path.decode()}", flush=True)

"""bcc's Python API on top of the `Kernel` protocol.  `stingless run` also offers it as the module `bcc`."""

from stingless.bcc.tables import Table as Table
from stingless.bpf import BPF as BPF

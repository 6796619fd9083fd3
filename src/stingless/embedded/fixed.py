"""`Fixed`: time, random numbers, CPUs and the task as programs see them, set instead of the machine's."""

from __future__ import annotations

from stingless import cpus
from stingless._sys.runtime import Task
from stingless._sys.runtime_fixed import Fixed as Native
from stingless.frozen import frozen


@frozen
class Fixed:
    """The same inputs give the same outputs.  What is None is the machine's.

    `time_ns` is what the clocks tell first; each reading is `step_ns` later.  `seed` is that of bpf_get_prandom_u32()
    and of what maps spread keys with, `cpu` the one that all programs run on, `cpus` how many there are (for the whole
    process: before any map is made).  `pid` (the thread group, and the thread if `tid` is None), `comm`, `uid` and
    `gid` are those of the task that `Program.run()` runs for; a traced command's tasks have their own.
    """

    time_ns: int | None = None
    step_ns: int = 0
    seed: int | None = None
    cpu: int | None = None
    cpus: int | None = None
    pid: int | None = None
    tid: int | None = None
    comm: str | None = None
    uid: int = 0
    gid: int = 0

    def __post_init__(self) -> None:
        if self.cpu is not None and not 0 <= self.cpu < (self.cpus or cpus.possible_cpus()):
            raise ValueError(f"cpu is {self.cpu}, and there are {self.cpus or cpus.possible_cpus()}")

    def native(self) -> Native:
        """Raises `ValueError` when it is too late for the number of CPUs."""
        if self.cpus is not None:
            cpus.pretend(self.cpus)
        made = Native(time=self.time_ns or 0, step=self.step_ns, random=self.seed or 0)
        made.cpu = -1 if self.cpu is None else self.cpu
        made.has_time, made.has_random = self.time_ns is not None, self.seed is not None
        if self.pid is not None or self.tid is not None or self.comm is not None:
            pid = self.pid if self.pid is not None else self.tid or 1
            tid = self.tid if self.tid is not None else pid
            name = (self.comm or "program").encode()[:15]
            made.task = Task(pid=tid, tgid=pid, uid=self.uid, gid=self.gid, comm=name)
            made.has_task = True
        return made

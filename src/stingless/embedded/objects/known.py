"""The kernel objects of one embedded kernel, and what programs read of them in vain."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from stingless._sys.runtime_objects import Objects
from stingless.embedded.objects.layout import layout, name_at

if TYPE_CHECKING:
    from stingless.btf.types import Btf


class KnownObjects:
    """`unread` names each place that a program read and that is not known here, once, in the order of the reads."""

    def __init__(self, btf: Btf) -> None:
        self._btf = btf
        self._lock = threading.Lock()
        self.unread: list[str] = []
        places = layout(btf)
        self.native = Objects(places.sizes, places.fields)

    def look(self) -> None:
        """Tell, by the logger "stingless", what was read for the first time."""
        with self._lock:
            places = self.native.take_unread()
            names = dict.fromkeys(name_at(self._btf, struct, offset) for struct, offset in places)
            fresh = [name for name in names if name not in self.unread]
            self.unread += fresh
        if fresh:
            import logging

            logging.getLogger("stingless").warning(
                "stingless: the embedded kernel does not know %s: programs read zero there", ", ".join(fresh)
            )

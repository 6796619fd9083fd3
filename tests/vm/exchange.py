"""What the host's pytest and the guest's pytest tell each other, through files in one shared directory."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

DIRECTORY_VARIABLE = "STINGLESS_GUEST_DIR"
KERNEL_VARIABLE = "STINGLESS_GUEST_KERNEL"

Event = dict[str, Any]


def exchange_directory() -> Path | None:
    """Set in the guest only: this is how a process knows that it is in one."""
    directory = os.environ.get(DIRECTORY_VARIABLE)
    return Path(directory) if directory else None


class Exchange:
    def __init__(self, directory: Path) -> None:
        self._selection = directory / "selection.json"
        self._events = directory / "events.jsonl"
        self._position = 0

    def write_selection(self, nodeids: Iterable[str]) -> None:
        self._selection.write_text(json.dumps(list(nodeids)))
        self._events.touch()

    def selection(self) -> list[str]:
        nodeids: list[str] = json.loads(self._selection.read_text())
        return nodeids

    def send(self, event: Event) -> None:
        """Opened anew for each event, so that it is on the host before the next test can bring the guest down."""
        with self._events.open("a") as out:
            out.write(json.dumps(event, default=str) + "\n")

    def receive(self) -> Iterator[Event]:
        """The complete events that came since the last call."""
        with self._events.open("rb") as lines:
            lines.seek(self._position)
            for line in lines:
                if not line.endswith(b"\n"):
                    return
                self._position += len(line)
                yield json.loads(line)

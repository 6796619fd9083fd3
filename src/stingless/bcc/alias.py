"""`import bcc` and `import bcc.utils` are this package: one module under two names, not two modules."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

_OURS = "stingless.bcc"


class _Finder:
    """Of `sys.meta_path`, and the loader of what it finds."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "bcc" and not name.startswith("bcc."):
            return None
        ours = _OURS + name.removeprefix("bcc")
        if importlib.util.find_spec(ours) is None:
            return None
        return ModuleSpec(name, self)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        """The import system takes what is in `sys.modules` afterwards."""
        name = module.__name__
        sys.modules[name] = importlib.import_module(_OURS + name.removeprefix("bcc"))


def install() -> None:
    """Idempotent.  A `bcc` that is installed is hidden by it."""
    if not any(isinstance(each, _Finder) for each in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    sys.modules["bcc"] = importlib.import_module(_OURS)

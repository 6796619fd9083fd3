"""Loads the plugin that runs tests/guest/ in a guest."""

from __future__ import annotations

import sys
from pathlib import Path

# `pytest` does not put the checkout on the path as `python -m pytest` does.
if (root := str(Path(__file__).parents[1])) not in sys.path:
    sys.path.insert(0, root)

pytest_plugins = ["tests.vm.plugin"]

"""Helpers that call a function of the program, any number of times, before they return."""

from __future__ import annotations

from stingless._gen.helpers import Helper

CALLING = frozenset({Helper.loop, Helper.for_each_map_elem, Helper.find_vma, Helper.user_ringbuf_drain})

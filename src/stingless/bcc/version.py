"""The version of bcc whose API this is; scripts ask for it."""

from __future__ import annotations

__version__ = "0.35.0"

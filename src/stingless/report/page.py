"""The page: one HTML file with its own style and scripts, which asks for nothing from anywhere."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Iterable
from importlib.resources import files
from string import Template

from stingless.report.model import Walk, data

# In the order in which they need one another.
_SCRIPTS = ("data.js", "list.js", "state.js", "diagnostic.js", "search.js", "keys.js", "main.js")


def page(title: str, walks: Iterable[Walk]) -> str:
    """The HTML of a report.  What comes from programs is never markup, and a policy in the page lets nothing run but
    its own script.  Raises `ValueError` when there is no program."""
    programs = [_program(walk) for walk in walks]
    if not programs:
        raise ValueError("a report needs at least one program")
    folder = files("stingless.report") / "page"
    text = {name: folder.joinpath(name).read_text("utf-8") for name in ("report.html", "report.css", *_SCRIPTS)}
    script = "\n" + "\n".join(text[name] for name in _SCRIPTS)
    style = "\n" + text["report.css"]
    policy = f"default-src 'none'; img-src data:; script-src {_hash(script)}; style-src {_hash(style)}; base-uri 'none'"
    return Template(text["report.html"]).substitute(
        title=html.escape(title),
        policy=policy,
        style=style,
        script=script,
        data="\n".join(programs),
    )


def _program(walk: Walk) -> str:
    """In a data block, which a browser does not run; without "<" it cannot end early."""
    text = json.dumps(data(walk), separators=(",", ":")).replace("<", "\\u003c")
    label = html.escape(walk.label, quote=True)
    return f'<script type="application/json" data-program="{label}">{text}</script>'


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"

# SPDX-License-Identifier: GPL-2.0-only
"""The page as HTML: one file, no script, nothing to fetch."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from lab.report.page import Page
from lab.report.visible import visible

_TEMPLATES = Path(__file__).parent / "templates"


def render_page(page: Page) -> str:
    """The whole document. Whatever was recorded is text in it: escaped, and its unseen characters spelled out."""
    return _template().render(page=page)


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_seen,
    )
    # The style sheet is the project's own, and has to stand in the page as it is.
    environment.globals["style"] = Markup((_TEMPLATES / "report.css").read_text())
    return environment.get_template("report.html.j2")


def _seen(value: Any) -> Any:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value

# SPDX-License-Identifier: GPL-2.0-only
"""Drawings as inline SVG. Colours, fonts and widths of lines are the style sheet's, by class."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup, escape

from lab.report.visible import visible

#: What an attribute or a child may be; None leaves an attribute out.
Value = str | float | int | None
#: Width of a character of the drawings' font, in their own unit, and its height.
CHAR_WIDTH, LINE_HEIGHT = 6.2, 13.0


def element(name: str, *children: str | Markup, **attributes: Value) -> Markup:
    """One element. `class_` is the attribute class, `_` in a name a hyphen; children but Markup are text."""
    written = "".join(_attribute(key, value) for key, value in attributes.items() if value is not None)
    inside = Markup("").join(_child(child) for child in children)
    if not children:
        return Markup(f"<{name}{written}/>")
    return Markup(f"<{name}{written}>{inside}</{name}>")


def _child(child: str | Markup) -> Markup:
    return child if isinstance(child, Markup) else escape(visible(child))


def _attribute(key: str, value: Value) -> str:
    name = key.removesuffix("_").replace("_", "-") if key != "viewBox" else key
    return f' {name}="{escape(visible(compact(value)))}"'


def compact(value: Value) -> str:
    """A number with one decimal at most; text as it is."""
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


def drawing(
    ident: str, title: str, about: str, size: tuple[float, float], parts: Iterable[Markup], class_: str = ""
) -> Markup:
    """A whole drawing: `title` names it and `about` says what it shows, for whoever cannot see it."""
    width, height = size
    return element(
        "svg",
        element("title", title, id=f"{ident}-title"),
        element("desc", about, id=f"{ident}-desc"),
        *parts,
        class_=f"drawing {class_}".strip(),
        viewBox=f"0 0 {compact(width)} {compact(height)}",
        # A drawing takes the room that it is given, but never less than it needs to be read.
        style=f"--natural: {compact(width)}px",
        role="img",
        aria_labelledby=f"{ident}-title {ident}-desc",
    )


def text(x: float, y: float, content: str, class_: str | None = None, anchor: str | None = None) -> Markup:
    """A line of text whose base line begins, or where `anchor` says so is centred or ends, at (x, y)."""
    return element("text", content, x=float(x), y=float(y), class_=class_, text_anchor=anchor)


def rect(
    x: float, y: float, width: float, height: float, class_: str, tip: str | None = None, radius: float = 0.0
) -> Markup:
    """A rectangle; `tip` is shown where one points at it."""
    tips = () if tip is None else (element("title", tip),)
    return element(
        "rect",
        *tips,
        x=float(x),
        y=float(y),
        width=max(0.0, float(width)),
        height=float(height),
        class_=class_,
        rx=radius or None,
    )


def line(x1: float, y1: float, x2: float, y2: float, class_: str, tip: str | None = None) -> Markup:
    """A straight line."""
    tips = () if tip is None else (element("title", tip),)
    return element("line", *tips, x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), class_=class_)


def path(commands: str, class_: str) -> Markup:
    """A path by its commands."""
    return element("path", d=commands, class_=class_)


def group(*parts: Markup, class_: str | None = None, tip: str | None = None) -> Markup:
    """Several parts as one."""
    tips = () if tip is None else (element("title", tip),)
    return element("g", *tips, *parts, class_=class_)


def fits(content: str, width: float) -> bool:
    """Whether `content` is as short as `width`."""
    return len(content) * CHAR_WIDTH <= width


def clipped(content: str, width: float) -> str:
    """`content`, or its beginning and an ellipsis, within `width`; empty where nothing of it would be told."""
    room = int(width / CHAR_WIDTH)
    if len(content) <= room:
        return content
    return f"{content[: room - 1]}…" if room > 2 else ""

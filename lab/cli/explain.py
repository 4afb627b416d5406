# SPDX-License-Identifier: GPL-2.0-only
"""`lab explain`: what a key of a topology means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.completing import complete_keys
from lab.cli.desk import desk_of
from lab.cli.parameters import JsonOption
from lab.cli.schema import KnobsOption, LoadsOption, SweepsOption, chosen_schema
from lab.errors import InputError

if TYPE_CHECKING:
    from lab.topology.explain import Explained


def explain(
    ctx: typer.Context,
    key: Annotated[
        str,
        typer.Argument(
            metavar="[KEY]",
            help="Its path with dots, such as expect.steal.max. Default: the keys there are.",
            autocompletion=complete_keys,
        ),
    ] = "",
    knobs: KnobsOption = False,
    loads: LoadsOption = False,
    sweeps: SweepsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Explain a key of a topology.

    What it means, what it takes, in which unit, what it is where it is left out, an example, and the keys below it.
    """
    from lab.topology.explain import UnknownKeyError, explain_key

    chosen = chosen_schema("explain", knobs=knobs, loads=loads, sweeps=sweeps)
    try:
        explained = explain_key(chosen, key)
    except UnknownKeyError as error:
        raise InputError(f"lab explain: {error}", "`lab explain` lists the keys at the top") from None
    desk = desk_of(ctx)
    if as_json:
        desk.print_json({**asdict(explained), "keys": dict(explained.keys)})
    else:
        desk.print("\n".join(_lines(explained)))


def _lines(explained: Explained) -> Iterator[str]:
    from lab.judge.layout import wrap

    if explained.path:
        yield explained.path
        for part in explained.about.split("\n\n"):
            yield from wrap(" ".join(part.split()), 2, 2)
        yield from wrap(f"takes: {explained.type}", 2, 9)
        yield from [f"  default: {explained.default}"] if explained.default is not None else []
        yield from ["  required"] if explained.required else []
        yield from [f"  example: {explained.example}"] if explained.example is not None else []
    if explained.keys:
        yield from ["", "keys:"] if explained.path else ["keys:"]
        width = max(len(name) for name, _ in explained.keys)
        for name, about in explained.keys:
            yield from wrap(f"{name:<{width}}  {about}", 2, 4 + width)

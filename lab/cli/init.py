# SPDX-License-Identifier: GPL-2.0-only
"""`lab init`: a topology to begin with."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from lab.cli.desk import desk_of
from lab.errors import InputError


def init(
    ctx: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="[FILE]", help="Where to; - for standard output. Never overwritten.")
    ] = Path("lab.yaml"),
) -> None:
    """Write a commented topology to begin with.

    It can be planned and run as it is; the lab is named after the file.
    """
    desk = desk_of(ctx)
    if str(file) == "-":
        desk.print(_text("mine"))
        return
    try:
        with file.open("x") as target:
            target.write(_text(_name_of(file)))
    except FileExistsError:
        raise InputError(f"{file} exists, and is not overwritten", "lab init OTHER-FILE") from None
    except OSError as error:
        raise InputError(f"{file}: cannot be written: {error.strerror}") from None
    desk.print(f"wrote {file}\n\n  lab plan {file}\n  lab run {file}\n  lab explain expect.steal")


def _name_of(file: Path) -> str:
    from lab.topology.atoms import NAME_PATTERN

    name = re.sub(r"[^a-z0-9-]+", "-", file.stem.lower()).strip("-")
    return name if re.fullmatch(NAME_PATTERN, name) else "mine"


def _text(name: str) -> str:
    licence, _, text = files("lab.cli").joinpath("data", "topology.yaml").read_text().partition("\n")
    assert "SPDX" in licence  # of the lab's own file; what comes out of it is the user's
    return text.replace("\nname: mine\n", f"\nname: {name}\n")

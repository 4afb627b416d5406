# SPDX-License-Identifier: GPL-2.0-only
"""`lab image`: root images of guests and of the host VM."""

from __future__ import annotations

from typing import Annotated

import typer

from lab.cli.desk import desk_of
from lab.cli.parameters import JsonOption


def _known(ctx: typer.Context, kind: str) -> str:
    from lab.artifacts.images import image_kinds

    kinds = image_kinds(desk_of(ctx).places.images_dir)
    if kind not in kinds:
        raise typer.BadParameter(f"{kind!r} is none of {', '.join(kinds)}")
    return kind


def build(
    ctx: typer.Context,
    kind: Annotated[
        str,
        typer.Argument(
            help="guest, guest-loads (for loads that need more), or host (of the host VM).", callback=_known
        ),
    ],
) -> None:
    """Build a root image."""
    from lab.artifacts.images import ensure_image

    desk = desk_of(ctx)
    image = ensure_image(desk.wiring.workshop, kind)
    desk.print(f"{kind} {image.image}")


def list_(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """List root images and emulator toolboxes that are built."""
    from lab.artifacts.listing import list_images
    from lab.cli.listings import print_listed

    desk = desk_of(ctx)
    print_listed(desk, list_images(desk.cache), as_json)

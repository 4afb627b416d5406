# SPDX-License-Identifier: GPL-2.0-only
"""`lab image`: root images of guests and of the host VM, and the Vagrant box."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from lab.cli.desk import Desk, desk_of
from lab.cli.parameters import JsonOption
from lab.errors import InputError


def _known(ctx: typer.Context, kind: str | None) -> str | None:
    from lab.artifacts.images import image_kinds

    kinds = image_kinds(desk_of(ctx).places.images_dir)
    if kind is not None and kind not in kinds:
        raise typer.BadParameter(f"{kind!r} is none of {', '.join(kinds)}")
    return kind


def build(
    ctx: typer.Context,
    kind: Annotated[
        str | None,
        typer.Argument(
            help="guest, guest-loads (for loads that need more), or host (of the host VM).", callback=_known
        ),
    ] = None,
    vagrant_box: Annotated[
        bool,
        typer.Option("--vagrant-box", help="Build the box of the project's Vagrantfile instead of an image."),
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write the box.", dir_okay=False)
    ] = None,
) -> None:
    """Build a root image, or the Vagrant box: a Debian machine with all that the lab needs.

    Written as paravirt-lab.box beside the Vagrantfile, the box is what `vagrant up` takes there.
    """
    from lab.artifacts.images import ensure_image

    desk = desk_of(ctx)
    if vagrant_box:
        _build_box(desk, kind, output)
        return
    if kind is None or output is not None:
        raise InputError(
            "`lab image build` takes the kind of an image, or --vagrant-box and where to write it (-o FILE)",
            "`lab image build guest`, or `lab image build --vagrant-box -o paravirt-lab.box`",
        )
    image = ensure_image(desk.wiring.workshop, kind)
    desk.print(f"{kind} {image.image}")


def _build_box(desk: Desk, kind: str | None, output: Path | None) -> None:
    from lab.artifacts.vagrantbox import ensure_vagrant_box

    if kind is not None:
        raise InputError(
            f"`lab image build` was given the image {kind} and --vagrant-box: one at a time", "leave out one"
        )
    if output is not None and not output.absolute().parent.is_dir():
        raise InputError(
            f"--output {output}: there is no directory {output.parent}", f"mkdir {output.parent}"
        )
    box = ensure_vagrant_box(desk.wiring.workshop).box
    if output is not None:
        _copy(box, output)
    desk.print(f"vagrant-box {output or box}")


def _copy(box: Path, output: Path) -> None:
    try:
        shutil.copyfile(box, output)
    except OSError as error:
        raise InputError(f"--output {output}: the box cannot be written there: {error.strerror}") from None


def list_(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """List root images, emulator toolboxes and Vagrant boxes that are built."""
    from lab.artifacts.listing import list_images
    from lab.cli.listings import print_listed

    desk = desk_of(ctx)
    print_listed(desk, list_images(desk.cache), as_json)

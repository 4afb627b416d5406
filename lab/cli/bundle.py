# SPDX-License-Identifier: GPL-2.0-only
"""`lab bundle`: a recording with all that belongs to it as one file, and what such a file holds."""

from __future__ import annotations

import getpass
import os
import platform
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from lab.cli.desk import Desk, desk_of
from lab.cli.parameters import JsonOption
from lab.errors import ExitCode, InputError

if TYPE_CHECKING:
    from lab.bundle.manifest import Part
    from lab.bundle.redact import Secrets
    from lab.places import Places

_SUFFIX = ".tar.zst"


def bundle(
    ctx: typer.Context,
    recording: Annotated[
        Path, typer.Argument(metavar="RECORDING", help="The directory of a recording; with --list a bundle.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Where to. Default: NAME.tar.zst beside the recording."
        ),
    ] = None,
    without: Annotated[
        str,
        typer.Option(
            "--without",
            metavar="PART,...",
            help="Leave out kernels (images of), traces, consoles, logs (of builds), lost (attempts).",
        ),
    ] = "",
    with_: Annotated[
        str, typer.Option("--with", metavar="PART,...", help="Also vmlinux, modules (of kernels).")
    ] = "",
    redact: Annotated[
        bool,
        typer.Option(
            "--redact/--no-redact",
            help="Replace names of machine and user, private paths, foreign addresses and processes, keys.",
        ),
    ] = True,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE where it exists.")] = False,
    list_: Annotated[
        bool,
        typer.Option("--list", help="Verify a bundle and tell what is in it; nothing is unpacked for good."),
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Make a bug report that replays, in one file.

    `lab repro FILE` runs it again elsewhere. The same recording gives the same bytes while the cache is the same.
    Exit status: 0 where it was written (or, with --list, is sound), 2 where it is refused.
    """
    desk = desk_of(ctx)
    if list_:
        _check_alone(output, without, with_)
        return _list(desk, recording, as_json=as_json)
    target = output or recording.absolute().with_name(f"{recording.absolute().name}{_SUFFIX}")
    if target.exists() and not (force and target.is_file()):
        raise InputError(f"{target}: exists already", "--force replaces a file")
    secrets = _find_secrets(desk.places, recording) if redact else None
    return _make(desk, recording, target, _parts(without, with_), secrets, as_json=as_json)


def _check_alone(output: Path | None, *words: str) -> None:
    if output is not None or any(words):
        raise InputError("--list takes a bundle and none of -o, --with and --without")


def _list(desk: Desk, file: Path, *, as_json: bool) -> int:
    from lab.bundle.listing import listing_json, render_listing
    from lab.bundle.opening import verify_bundle

    manifest = verify_bundle(file)
    size = file.stat().st_size
    if as_json:
        desk.print_json(listing_json(manifest, size, verified=True))
    else:
        desk.print(render_listing(manifest, size, verified=True))
    return ExitCode.PASSED


def _make(
    desk: Desk,
    recording: Path,
    target: Path,
    parts: frozenset[Part],
    secrets: Secrets | None,
    *,
    as_json: bool,
) -> int:
    from lab.bundle.archive import write_archive
    from lab.bundle.collect import Choices, Sources, collect_bundle
    from lab.bundle.listing import listing_json, render_size, summarize_left_out

    with tempfile.TemporaryDirectory(prefix="lab-bundle-") as scratch:
        sources = Sources(desk.cache, desk.places.images_dir)
        try:
            manifest = collect_bundle(recording, sources, Choices(parts, secrets), Path(scratch))
        except OSError as error:
            what = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
            raise InputError(
                f"{recording}: cannot be bundled: {what}", "TMPDIR names another place to gather it in"
            ) from None
        size = write_archive(Path(scratch), manifest, target)
    for line in summarize_left_out(manifest):
        desk.terminal.say(line)
    if as_json:
        desk.print_json({"bundle": str(target), **listing_json(manifest, size, verified=True)})
    else:
        unpacked = f"{len(manifest.files)} files of {render_size(manifest.size_bytes)}"
        desk.print(f"{target}: {render_size(size)} ({unpacked})")
    return ExitCode.PASSED


def _parts(without: str, with_: str) -> frozenset[Part]:
    from lab.bundle.manifest import PARTS, USUALLY_LEFT_OUT

    left_out, added = _words(without), _words(with_)
    for option, words in (("--without", left_out), ("--with", added)):
        for word in sorted(words - set(PARTS)):
            raise InputError(f"{option} {word}: no part of a bundle; there are {', '.join(PARTS)}")
    usual = set(PARTS) - set(USUALLY_LEFT_OUT)
    return frozenset(cast("Part", one) for one in (usual | added) - left_out)


def _words(text: str) -> set[str]:
    return {word.strip() for word in text.split(",") if word.strip()}


def _find_secrets(places: Places, recording: Path) -> Secrets:
    """What tells whose machine this is. Bundles are made where the recording was, or redact less."""
    from lab.bundle.redact import Secrets

    return Secrets(
        machines=_machine_names(), users=_user_names(os.environ), paths=_private_paths(places, recording)
    )


def _machine_names() -> tuple[str, ...]:
    name = platform.node()
    return tuple(dict.fromkeys(one for one in (name, name.partition(".")[0]) if one))


def _user_names(environ: Mapping[str, str]) -> tuple[str, ...]:
    names = [environ.get(key, "") for key in ("LOGNAME", "USER", "SUDO_USER")]
    try:
        names.append(getpass.getuser())
    except (KeyError, OSError):  # a user without an entry anywhere
        names.append("")
    return tuple(dict.fromkeys(name for name in names if name))


def _private_paths(places: Places, recording: Path) -> dict[str, str]:
    checkout = places.images_dir.parent
    paths = {
        str(Path.home()): "HOME",
        str(checkout): "LAB",
        str(places.state_dir): "STATE",
        str(places.cache_dir): "CACHE",
        str(recording.absolute()): "RECORDING",
    }
    return {path: name for path, name in paths.items() if path not in ("/", "")}

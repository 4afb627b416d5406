# SPDX-License-Identifier: GPL-2.0-only
"""Recipes of file trees: which Debian packages, what is kept of them, what is put on top.

A recipe is a directory with `recipe.yaml` and, if it adds files, `files/`, a tree that is copied over the
packages' own.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from lab.artifacts.debian import KEYRING, read_archive
from lab.artifacts.packages import listing_hook, take_listing
from lab.artifacts.tree import cut_tree
from lab.artifacts.workshop import Workshop, tree_digests
from lab.errors import InputError

#: Counts up when the code below makes something else out of the same recipe.
_VERSION = 1
_BOOTSTRAP_TIMEOUT_S = 1800
_UNPACK_TIMEOUT_S = 600


#: What a recipe on a base has of both.
_ADDED = ("packages", "keep", "programs", "directories")


class Recipe(BaseModel):
    """One recipe.yaml. `keep` empty means everything; `prefer` is the suite that wins over newer rules.

    `base` names the recipe beside it whose tree this one adds to; it has no base itself. `needs` are files that no
    package has and the user puts below `files/`, each with where it is had from. `kernel_keep` are patterns of what
    of Debian's Linux `kernel_source` gets in (lab.artifacts.kernelpart).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str | None = None
    suites: tuple[str, ...] = ()
    packages: tuple[str, ...]
    prefer: str | None = None
    keep: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()
    needs: Mapping[str, str] = {}
    kernel_source: str | None = None
    kernel_keep: tuple[str, ...] = ()


def read_recipe(directory: Path) -> Recipe:
    """The recipe in `directory`, with its base's. Raises InputError that names the file and what is wrong."""
    recipe = _read_own(directory)
    if recipe.base is None:
        if not recipe.suites:
            raise InputError(
                f"{directory / 'recipe.yaml'}: the recipe cannot be used: it has no suites and no base"
            )
        return recipe
    base = _read_own(directory.parent / recipe.base)
    cut = base.keep and (recipe.keep or not recipe.packages)
    if base.base is not None or not cut or recipe.suites or recipe.prefer:
        raise InputError(
            f"{directory / 'recipe.yaml'}: the recipe cannot be used: on a base it has keep and no suites, and "
            f"{recipe.base} has keep and no base"
        )
    added = {one: (*getattr(base, one), *getattr(recipe, one)) for one in _ADDED}
    own = {"kernel_source": recipe.kernel_source, "kernel_keep": recipe.kernel_keep}
    return base.model_copy(update={**added, **own})


def check_needs(directory: Path) -> None:
    """Whether all files are there that the recipe in `directory` leaves to the user. Raises InputError."""
    for name, where in _read_own(directory).needs.items():
        if not (directory / "files" / name).is_file():
            raise InputError(f"the root image {directory.name} needs {directory / 'files' / name}: {where}")


def _files_of(directory: Path) -> tuple[Path, ...]:
    """The trees that are put on top, in order."""
    base = _read_own(directory).base
    return tuple(one / "files" for one in ([directory.parent / base] if base else []) + [directory])


def _read_own(directory: Path) -> Recipe:
    path = directory / "recipe.yaml"
    try:
        return Recipe.model_validate(yaml.safe_load(path.read_text()))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise InputError(f"{path}: the recipe cannot be used: {error}") from None


def recipe_inputs(directory: Path) -> dict[str, Any]:
    """Everything of a recipe that decides what comes out, for the cache's key.

    The packages' versions are not part of it: an image stays as it is until its recipe changes.
    """
    found = read_recipe(directory)
    # Newer keys are left out where they say nothing: what was built without them stays what it is.
    unsaid = {"base", "needs"} | (set() if found.kernel_source else {"kernel_source", "kernel_keep"})
    recipe = found.model_dump(mode="json", exclude=unsaid)
    files = {
        name: digest
        for tree in _files_of(directory)
        if tree.is_dir()
        for name, digest in tree_digests(tree).items()
    }
    return {"version": _VERSION, "recipe": recipe, "files": files}


def write_tree(workshop: Workshop, directory: Path, target: Path, work: Path, log: Path) -> None:
    """Make the tree of the recipe in `directory` at `target`; `work` is an empty directory for scratch, and gets
    the list of packages (lab.artifacts.packages).

    Raises CommandFailed where packages cannot be had, BuildFailed where a kept file does not exist.
    """
    recipe = read_recipe(directory)
    whole = work / "packages" if recipe.keep else target
    _unpack_packages(workshop, recipe, whole, work, log)
    if recipe.keep:
        cut_tree(workshop.commands, whole, recipe.keep, target)
    for files in _files_of(directory):
        if files.is_dir():
            shutil.copytree(files, target, symlinks=True, dirs_exist_ok=True)
    for name in recipe.directories:
        (target / name).mkdir(parents=True, exist_ok=True)


def _unpack_packages(workshop: Workshop, recipe: Recipe, tree: Path, work: Path, log: Path) -> None:
    """Through a tar archive rather than straight into a directory: without root, mmdebstrap works as
    another user, whose files this one could neither read nor remove."""
    archive = read_archive(workshop.commands)
    packed = work / "packages.tar"
    prefer = [f'--aptopt=APT::Default-Release "{recipe.prefer}"'] if recipe.prefer else []
    workshop.commands.run(
        [
            *("mmdebstrap", "--variant=extract", "--format=tar", f"--keyring={KEYRING}"),
            *prefer,
            listing_hook(),
            f"--include={','.join(recipe.packages)}",
            recipe.suites[0],
            packed,
            *(archive.source_line(suite) for suite in recipe.suites),
        ],
        what=f"fetching the packages {', '.join(recipe.packages)}",
        log=log,
        timeout_s=_BOOTSTRAP_TIMEOUT_S,
    )
    tree.mkdir(exist_ok=True)
    workshop.commands.run(
        # Device nodes need root, and every user of the tree mounts its own /dev.
        ["tar", "-xpf", packed, "-C", tree, "--no-same-owner", "--exclude=./dev/*"],
        what="unpacking the packages",
        log=log,
        timeout_s=_UNPACK_TIMEOUT_S,
    )
    packed.unlink()
    take_listing(tree, work)

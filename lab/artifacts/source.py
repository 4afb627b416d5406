# SPDX-License-Identifier: GPL-2.0-only
"""Kernel source trees: where they come from, what identifies them, and how a build gets a copy.

Sources that cannot change (packages, tarballs) are unpacked once and shared: a build takes hard links. A
developer's tree is copied as it is at that moment.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lab.artifacts.debian import (
    fetch_package,
    own_and_foreign_suites,
    parse_package_version,
    read_archive,
)
from lab.artifacts.workshop import Workshop, file_digest
from lab.errors import CommandFailed, InputError
from lab.plan.labplan import KernelSourcePlan

_TIMEOUT_S = 1200
_GIT_TIMEOUT_S = 120


Take = Callable[[Sequence[str], Path, Path], None]


@dataclass(frozen=True)
class Source:
    """`identity` changes with the content; `unpack` makes the tree at a path that does not exist yet.

    `take(names, target, log)` copies only these files of it, those that it has, into an empty directory.
    """

    identity: str
    unpack: Callable[[Path, Path], None]
    take: Take


def open_source(workshop: Workshop, plan: KernelSourcePlan) -> Source:
    """The source that `plan` names, fetched where it is not in the cache. `unpack(target, log)` copies it.

    Raises InputError where a path or ref does not exist, HostError where no suite has the package.
    """
    if plan.kind == "debian":
        return _debian_source(workshop, plan.value)
    path = Path(plan.value)
    if not path.exists():
        raise InputError(f"kernel source {path} does not exist")
    if plan.kind == "tarball":
        return _tarball_source(workshop, path)
    if plan.kind == "tree":
        return _git_ref_source(workshop, path, plan.ref) if plan.ref else _directory_source(workshop, path)
    raise InputError(f"a kernel source of kind {plan.kind} is not built")


def _debian_source(workshop: Workshop, version: str) -> Source:
    """Pinned when first fetched: the newest package of that moment stays until it is removed."""
    name = f"linux-source-{version}"

    def build(directory: Path) -> None:
        log = workshop.build_log("source", directory)
        workshop.progress.step(f"fetching {name}")
        archive = read_archive(workshop.commands)
        suites = own_and_foreign_suites(archive)
        package = fetch_package(workshop.commands, archive, name, suites, directory, log)
        (directory / "identity").write_text(f"debian {name} {parse_package_version(package)}\n")
        _run(workshop, ["dpkg-deb", "-x", package, directory / "package"], f"unpacking {name}", log)
        (tarball,) = (directory / "package").rglob(f"{name}.tar*")
        _unpack_tarball(workshop, tarball, directory / "tree", log)
        shutil.rmtree(directory / "package")
        shutil.rmtree(directory / ".apt")
        package.unlink()

    entry = workshop.cache.ensure("source", {"kind": "debian", "package": name}, build)
    tree = entry / "tree"
    return Source((entry / "identity").read_text().strip(), _hard_links(workshop, tree), _copies(tree))


def _tarball_source(workshop: Workshop, path: Path) -> Source:
    digest = file_digest(path)

    def build(directory: Path) -> None:
        _unpack_tarball(workshop, path, directory / "tree", workshop.build_log("source", directory))

    entry = workshop.cache.ensure("source", {"kind": "tarball", "sha256": digest}, build)
    tree = entry / "tree"
    return Source(f"tarball {digest}", _hard_links(workshop, tree), _copies(tree))


def _git_ref_source(workshop: Workshop, path: Path, ref: str) -> Source:
    argv: list[str | Path] = [
        "git",
        "-C",
        path,
        "rev-parse",
        "--verify",
        "--end-of-options",
        f"{ref}^{{commit}}",
    ]
    try:
        commit = workshop.commands.output(argv, what=f"looking up {ref} in {path}").strip()
    except CommandFailed as error:
        raise InputError(f"kernel source {path}: there is no ref {ref}") from error

    def unpack(target: Path, log: Path) -> None:
        packed = target.with_name("source.tar")
        _run(workshop, ["git", "-C", path, "archive", "-o", packed, commit], f"reading {ref} of {path}", log)
        target.mkdir()
        _run(workshop, ["tar", "-xf", packed, "-C", target], f"unpacking {ref} of {path}", log)
        packed.unlink()

    def take(names: Sequence[str], target: Path, log: Path) -> None:
        git: list[str | Path] = ["git", "-C", path, "--literal-pathspecs"]
        argv = [*git, "ls-tree", "-r", "-z", "--name-only", commit, "--", *filter(is_inside, names)]
        found = workshop.commands.output(argv, what=f"looking up files of {ref}", timeout_s=_GIT_TIMEOUT_S)
        if names := [name for name in found.split("\0") if name]:
            packed = target / ".taken.tar"
            _run(
                workshop,
                [*git, "archive", "-o", packed, commit, "--", *names],
                f"reading {ref} of {path}",
                log,
            )
            _run(workshop, ["tar", "-xf", packed, "-C", target], f"unpacking {ref} of {path}", log)
            packed.unlink()

    return Source(f"git {commit}", unpack, take)


def _directory_source(workshop: Workshop, path: Path) -> Source:
    if not (path / "Kconfig").is_file():
        raise InputError(f"kernel source {path} has no Kconfig: it is not a kernel tree")
    identity = _git_identity(workshop, path) if (path / ".git").exists() else _listing_identity(path)

    def unpack(target: Path, log: Path) -> None:
        _run(workshop, ["cp", "-a", "--reflink=auto", path, target], f"copying {path}", log)
        shutil.rmtree(target / ".git", ignore_errors=True)
        # A tree that was built in place cannot be built out of tree before it is clean.
        _run(workshop, ["make", "-C", target, "mrproper"], f"cleaning the copy of {path}", log)

    return Source(identity, unpack, _copies(path))


def _git_identity(workshop: Workshop, path: Path) -> str:
    """The commit, and a hash of what differs from it: changed files and new ones that are not ignored."""

    def git(*words: str) -> str:
        argv: list[str | Path] = ["git", "-C", path, *words]
        return workshop.commands.output(argv, what=f"asking git about {path}", timeout_s=_GIT_TIMEOUT_S)

    commit = git("rev-parse", "HEAD").strip()
    changes = hashlib.sha256(git("diff", "HEAD", "--binary", "--no-ext-diff").encode())
    for name in sorted(filter(None, git("ls-files", "--others", "--exclude-standard", "-z").split("\0"))):
        changes.update(f"{name}\0{file_digest(path / name)}\0".encode())
    return f"git {commit} {changes.hexdigest()}"


def _listing_identity(path: Path) -> str:
    """A hash of every file's name, size and time of change: content would take minutes to read."""
    listing = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        status = file.lstat()
        listing.update(f"{file.relative_to(path)}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return f"listing {listing.hexdigest()}"


def _hard_links(workshop: Workshop, tree: Path) -> Callable[[Path, Path], None]:
    def unpack(target: Path, log: Path) -> None:
        _run(workshop, ["cp", "-al", tree, target], "linking the source tree", log)

    return unpack


def _copies(tree: Path) -> Take:
    def take(names: Sequence[str], target: Path, _log: Path) -> None:
        for name in filter(is_inside, names):
            if (tree / name).is_file():
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(tree / name, target / name)

    return take


def is_inside(name: str) -> bool:
    """Whether a path that a patch names stays inside of the tree."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


def _unpack_tarball(workshop: Workshop, tarball: Path, target: Path, log: Path) -> None:
    workshop.progress.step(f"unpacking {tarball.name}")
    target.mkdir()
    argv: list[str | Path] = ["tar", "-xf", tarball, "-C", target, "--strip-components=1", "--no-same-owner"]
    _run(workshop, argv, f"unpacking {tarball}", log)


def _run(workshop: Workshop, argv: list[str | Path], what: str, log: Path) -> None:
    workshop.commands.run(argv, what=what, log=log, timeout_s=_TIMEOUT_S)

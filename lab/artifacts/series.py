# SPDX-License-Identifier: GPL-2.0-only
"""A patch series, out of an mbox, a directory, the lab's own series, or a mailing list's archive.

Mails are read by b4 (`b4 am`), which knows threads: it takes the latest of several versions, puts patches in order,
decodes them, and adds the trailers of replies. What is said about the series besides, such as to whom a reply goes,
is read from the mails themselves.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lab.artifacts.catalogue import FRAGMENT, shipped_series
from lab.artifacts.difftext import has_diff
from lab.artifacts.mails import Mail, find_versions, missing_numbers, parse_mail, read_mails
from lab.artifacts.patches import Patch, patch_digest, read_patches
from lab.artifacts.ports import Commands
from lab.errors import CommandFailed, HostError, InputError, LabFailure
from lab.plan.kernels import parse_series

_TIMEOUT_S = 600
#: No white space, and no dash at the beginning that would make an option of it.
_MESSAGE_ID = re.compile(r"^<?[^\s<>-][^\s<>]*@[^\s<>]+>?$")
_SLUG = re.compile(r"[^A-Za-z0-9.]+")


@dataclass(frozen=True)
class Series:
    """Patches in the order in which they apply, and what is known about them.

    `mail` is the one that a reply goes to, the cover letter or the first patch, with `subject` and `message_id` of
    its own; None and "" for patches without mails. `notes` are what a reader should know of how the series
    was found. `fragment` is the config that came with it, `same_as` the series of the lab that it equals.
    """

    source: str
    patches: tuple[Patch, ...]
    subject: str = ""
    message_id: str = ""
    version: int = 1
    base_commit: str | None = None
    mail: Mail | None = None
    fragment: bytes | None = None
    same_as: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The subject, or where the patches are from."""
        return self.subject or self.source


@dataclass(frozen=True)
class SeriesReader:
    """Finds series. `work` is a directory for b4's files; `images_dir` the project's `images`."""

    commands: Commands
    images_dir: Path
    work: Path

    def read(self, source: str) -> Series:
        """The series that `source` names: an mbox or patch file, a maildir, a directory of patches or with a
        `series` file, the name of a shipped series, or a message id.

        Only a message id, which is known by its @, lets b4 ask the network. Raises InputError for what is no series
        or an incomplete one, HostError where b4 is missing or the archive does not answer.
        """
        path, shipped = Path(source), shipped_series(self.images_dir)
        if "/" not in source and source in shipped:
            found = _read_quilt(self.images_dir / "kernels" / source, source)
        elif path.exists():
            found = self._read_path(path)
        elif _MESSAGE_ID.match(source):
            found = self._fetch(source.strip("<>"))
        else:
            known = ", ".join(shipped) or "none"
            raise InputError(
                f"{source}: there is no such file or directory, and it is neither a shipped series ({known}) "
                "nor a message id",
                "a message id looks like 20261124055730.1234-1-name@example.org",
            )
        return self._recognised(found)

    def _recognised(self, found: Series) -> Series:
        """With what the lab knows about the series where it is one of its own."""
        digests = [patch_digest(patch) for patch in found.patches]
        for name in shipped_series(self.images_dir):
            ours = _read_quilt(self.images_dir / "kernels" / name, name)
            if [patch_digest(patch) for patch in ours.patches] == digests:
                return replace(found, same_as=name, fragment=found.fragment or ours.fragment)
        return found

    def _read_path(self, path: Path) -> Series:
        if (path / "series").is_file():
            return _read_quilt(path, path.name)
        if path.is_dir() and not (path / "cur").is_dir():
            return _read_directory(path)
        mails = read_mails(path)
        tagged = [mail for mail in mails if mail.tag]
        if not tagged or any(not mail.message_id for mail in tagged):
            return _without_threads(path, mails)
        return self._read_threads(path, mails)

    # ---- by b4

    def _read_threads(self, path: Path, mails: Sequence[Mail], version: int | None = None) -> Series:
        """What b4 makes of mails. Of several versions it takes the latest unless one is named."""
        versions = find_versions(mails)
        chosen = version or versions[-1]
        patches = self._b4_am(path, chosen)
        tags = [mail.tag for mail in patches if mail.tag]
        if missing := missing_numbers(tags):
            numbers = ", ".join(map(str, missing))
            raise InputError(
                f"{path}: the series is incomplete: patch {numbers} of {max(tag.total for tag in tags)} is missing",
                "`b4 mbox MESSAGE-ID` fetches all of a thread",
            )
        of_version = [mail for mail in mails if mail.tag and mail.tag.version == chosen]
        head = min(of_version, key=lambda mail: mail.tag.number if mail.tag else 0)
        commits = (mail.base_commit for mail in (head, *of_version))
        return Series(
            source=path.name,
            patches=tuple(_numbered(mail) for mail in patches),
            subject=head.subject,
            message_id=head.message_id,
            version=chosen,
            base_commit=next((commit for commit in commits if commit), None),
            mail=head,
            notes=_version_notes(versions, chosen),
        )

    def _b4_am(self, path: Path, version: int) -> tuple[Mail, ...]:
        """The patches as b4 puts them in order, without a word to the network."""
        out = self.work / "am"
        try:
            self._b4("--offline-mode", "am", f"--use-version={version}", "-M", "--no-cover", "-n", "found",
                     "-o", out, "-m", path.absolute())  # fmt: skip
        except CommandFailed as error:
            raise InputError(f"{path}: b4 finds no series in it: {_last_line(error)}") from error
        found = sorted(
            file for file in out.rglob("*") if file.parent.name in ("new", "cur") and file.is_file()
        )
        mails = [
            mail for mail in map(parse_mail, (file.read_bytes() for file in found)) if has_diff(mail.text)
        ]
        if not mails:
            raise InputError(f"{path}: there is no patch of version {version} in it")
        return tuple(sorted(mails, key=lambda mail: mail.tag.number if mail.tag else 0))

    def _fetch(self, message_id: str) -> Series:
        """The thread of a message, from the archive that b4 is configured for.

        The version of that message is meant, whatever came after it.
        """
        out = self.work / "fetched"
        out.mkdir(parents=True)
        try:
            self._b4("mbox", "-M", "-n", "thread", "-o", out, message_id)
        except CommandFailed as error:
            raise HostError(f"{message_id}: b4 cannot fetch it: {_last_line(error)}") from error
        found = sorted(out.glob("thread*"))
        if not found:
            raise InputError(f"{message_id}: the archive has no thread with it")
        mails = read_mails(found[0])
        named = next((mail.tag for mail in mails if mail.message_id == message_id), None)
        series = self._read_threads(found[0], mails, named.version if named else None)
        return replace(series, source=message_id)

    def _b4(self, *words: str | Path) -> None:
        beside = Path(sys.executable).with_name("b4")
        program = beside if beside.exists() else Path(shutil.which("b4") or "b4")
        self.work.mkdir(parents=True, exist_ok=True)
        self.commands.run(
            [program, "--no-stdin", "-n", "-c", "b4.attestation-policy=off", *words],
            what="reading the series",
            log=self.work / "b4.log",
            cwd=self.work,
            # What b4 remembers about series that somebody reviews is none of the lab's business.
            env={"XDG_DATA_HOME": str(self.work / "b4"), "XDG_CACHE_HOME": str(self.work / "b4")},
            timeout_s=_TIMEOUT_S,
        )


def _last_line(error: LabFailure) -> str:
    return error.message.strip().splitlines()[-1].strip()


def _version_notes(versions: Sequence[int], chosen: int) -> tuple[str, ...]:
    if len(versions) == 1:
        return ()
    listed = ", ".join(f"v{version}" for version in versions)
    which = f"the latest, v{chosen}," if chosen == versions[-1] else f"v{chosen}"
    return (f"versions {listed} are there: {which} is taken",)


def _numbered(mail: Mail) -> Patch:
    tag = mail.tag
    name = f"{tag.number}/{tag.total} {tag.title}" if tag else mail.subject
    head = (
        ("From", mail.sender),
        ("Date", mail.date),
        ("Subject", mail.subject),
        ("Message-ID", f"<{mail.message_id}>"),
    )
    lines = "".join(f"{key}: {value}\n" for key, value in head if value.strip("<>"))
    return Patch(name, lines.encode() + b"\n" + mail.text)


# ---- without b4


def _without_threads(path: Path, mails: Sequence[Mail]) -> Series:
    """Patches that were not sent: mails without a message id, or diffs without mails."""
    patches = read_patches((path,))
    tags = [mail.tag for mail in mails if mail.tag and has_diff(mail.text)]
    missing = missing_numbers(tags)
    if missing:
        raise InputError(f"{path}: the series is incomplete: patch {', '.join(map(str, missing))} is missing")
    commits = (mail.base_commit for mail in mails)
    return Series(
        source=path.name,
        patches=patches,
        base_commit=next((commit for commit in commits if commit), None),
        notes=("its mails have no message ids: taken in the order of their numbers",) if tags else (),
    )


def _read_quilt(directory: Path, source: str) -> Series:
    try:
        names = parse_series((directory / "series").read_text())
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{directory / 'series'}: {reason}") from None
    fragment = directory / FRAGMENT
    return Series(
        source=source,
        patches=read_patches(tuple(directory / name for name in names)),
        fragment=fragment.read_bytes() if fragment.is_file() else None,
    )


def _read_directory(directory: Path) -> Series:
    """Patches by name, as `git format-patch` numbers them; a cover letter has no diff."""
    files = sorted(path for path in directory.iterdir() if path.suffix in (".patch", ".diff", ".eml"))
    patches = [path for path in files if has_diff(path.read_bytes())]
    if not patches:
        raise InputError(f"{directory}: there is neither a series file nor a *.patch with a diff in it")
    fragment = directory / FRAGMENT
    commits = (parse_mail(path.read_bytes()).base_commit for path in files)
    return Series(
        source=directory.absolute().name,
        patches=read_patches(tuple(patches)),
        base_commit=next((commit for commit in commits if commit), None),
        fragment=fragment.read_bytes() if fragment.is_file() else None,
    )


# ---- writing


def write_series(series: Series, directory: Path) -> None:
    """`series` as a directory that a topology can name under `patches`: a `series` file, a file for each patch, and
    the config fragment if there is one."""
    directory.mkdir(parents=True)
    names = [f"{number:04}-{_slug(patch.name)}.patch" for number, patch in enumerate(series.patches, 1)]
    for name, patch in zip(names, series.patches, strict=True):
        (directory / name).write_bytes(patch.text)
    (directory / "series").write_text("".join(f"{name}\n" for name in names))
    if series.fragment is not None:
        (directory / FRAGMENT).write_bytes(series.fragment)


def _slug(name: str) -> str:
    title = re.sub(r"^(?:\d+/\d+ |\d+-)", "", name.removesuffix(".patch"))
    return _SLUG.sub("-", title).strip("-.")[:52] or "patch"

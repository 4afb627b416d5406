# SPDX-License-Identifier: GPL-2.0-only
"""Debian's archive as this machine is configured to reach it, and packages of any suite out of it.

No mirror is named in this project: the machine's own apt knows one. Other suites of the same archive are read
through a private apt root, so that the machine's package lists and sources stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lab.artifacts.ports import Commands
from lab.errors import HostError

#: Holds the keys of all Debian suites, older and newer than the machine's own (package
#: debian-archive-keyring).
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

_INDEX_LINE = re.compile(r"^'(?P<uri>\S+?)/+dists/(?P<suite>\S+?)/(?:In)?Release' ", re.MULTILINE)
_UPDATE_TIMEOUT_S = 300
_DOWNLOAD_TIMEOUT_S = 1800


@dataclass(frozen=True)
class Archive:
    """The Debian archive: its base URI, and the suites this machine has of it in the order of its sources."""

    uri: str
    suites: tuple[str, ...]

    def source_line(self, suite: str) -> str:
        """A line of sources.list for one suite, main only."""
        return f"deb [signed-by={KEYRING}] {self.uri} {suite} main"


def parse_index_uris(text: str) -> tuple[tuple[str, str], ...]:
    """(base URI, suite) pairs of `apt-get update --print-uris`, in order and unique."""
    pairs = ((match["uri"], match["suite"]) for match in _INDEX_LINE.finditer(text))
    return tuple(dict.fromkeys(pairs))


def choose_archive(sources: Iterable[tuple[str, str]], codename: str) -> Archive:
    """The Debian archive among a machine's sources: the one that carries the suite `codename` itself.

    Security archives and third parties' (which may reuse the codename) lose against a URI that says debian.
    Raises HostError where there is none.
    """
    pairs = [(uri, suite) for uri, suite in sources if "security" not in suite and "security" not in uri]
    candidates = [uri for uri, suite in pairs if suite in (codename, "stable", "testing", "unstable", "sid")]
    if not candidates:
        raise HostError(
            f"apt has no source for the Debian archive (looked for the suite {codename})",
            "add Debian's main archive under /etc/apt/sources.list.d/ and run `apt-get update`",
        )
    uri = max(candidates, key=lambda uri: (uri.endswith("debian"), "debian" in uri))
    return Archive(uri, tuple(suite for owner, suite in pairs if owner == uri))


def parse_codename(os_release: str) -> str:
    """The codename in the text of /etc/os-release, or "stable" where it has none."""
    match = re.search(r"^VERSION_CODENAME=\"?([a-z]+)", os_release, re.MULTILINE)
    return match[1] if match else "stable"


def read_archive(commands: Commands, os_release: Path = Path("/etc/os-release")) -> Archive:
    """The archive that this machine's apt is configured for. Raises HostError where there is none.

    `apt-get update --print-uris` touches nothing, needs no root and no downloaded lists, and understands
    every format of sources.
    """
    if not KEYRING.is_file():
        raise HostError(f"{KEYRING} is missing", "apt-get install debian-archive-keyring")
    what = "reading this machine's apt sources"
    text = commands.output(["apt-get", "update", "--print-uris"], what=what)
    codename = parse_codename(os_release.read_text() if os_release.is_file() else "")
    return choose_archive(parse_index_uris(text), codename)


def own_and_foreign_suites(archive: Archive) -> tuple[str, ...]:
    """The machine's own suites, then Debian 13 and its backports: where packages are looked for.

    A kernel source is taken from the newest regular suite that has it; from backports only when no other
    has it, because apt ranks backports lower by itself (their Release says NotAutomatic).
    """
    return tuple(dict.fromkeys((*archive.suites, "trixie", "trixie-backports")))


def render_apt_options(root: Path) -> tuple[str, ...]:
    """Options that make apt-get keep everything below `root` and ignore the machine's sources and state."""
    settings = {
        "Dir::Etc::sourcelist": root / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Dir::State": root / "state",
        "Dir::State::status": root / "status",
        "Dir::Cache": root / "cache",
        "Acquire::Languages": "none",
        "APT::Get::List-Cleanup": "false",
        # Root's apt would switch to a user who may not be able to write here.
        "APT::Sandbox::User": "root",
    }
    return tuple(word for name, value in settings.items() for word in ("-o", f"{name}={value}"))


def fetch_package(
    commands: Commands, archive: Archive, name: str, suites: Iterable[str], directory: Path, log: Path
) -> Path:
    """Download the newest `name` that `suites` have into `directory`; the path of the .deb.

    Raises HostError where no suite has the package, CommandFailed where the archive cannot be read.
    """
    root = directory / ".apt"
    _write_apt_root(root, [archive.source_line(suite) for suite in suites])
    apt = ["apt-get", "--quiet", *render_apt_options(root)]
    commands.run([*apt, "update"], what="reading package lists", log=log, timeout_s=_UPDATE_TIMEOUT_S)
    commands.run(
        [*apt, "download", name],
        what=f"downloading {name}",
        log=log,
        cwd=directory,
        timeout_s=_DOWNLOAD_TIMEOUT_S,
    )
    found = sorted(directory.glob(f"{name}_*.deb"))
    if not found:
        raise HostError(f"apt downloaded no package {name}", f"see {log}")
    return found[-1]


def parse_package_version(deb: Path) -> str:
    """The version in the name of a downloaded package: NAME_VERSION_ARCH.deb, with %3a for a colon."""
    return deb.name.split("_")[1].replace("%3a", ":")


def _write_apt_root(root: Path, lines: Iterable[str]) -> None:
    for directory in ("state/lists/partial", "cache/archives/partial"):
        (root / directory).mkdir(parents=True, exist_ok=True)
    (root / "status").touch()
    (root / "sources.list").write_text("".join(f"{line}\n" for line in lines))

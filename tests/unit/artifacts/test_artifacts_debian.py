# SPDX-License-Identifier: GPL-2.0-only
"""Finding Debian's archive in a machine's apt configuration, and fetching packages through a private root."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes import FakeCommands

from lab.artifacts.debian import (
    Archive,
    choose_archive,
    fetch_package,
    own_and_foreign_suites,
    parse_codename,
    parse_index_uris,
    parse_package_version,
    render_apt_options,
)
from lab.errors import HostError

PRINTED = """\
'http://a.example.org/debian/dists/bookworm/InRelease' a.example.org_debian_dists_bookworm_InRelease 0 
'http://a.example.org/debian/dists/bookworm-updates/InRelease' a_dists_bookworm-updates_InRelease 0 
'http://a.example.org/debian-security/dists/bookworm-security/InRelease' a_bookworm-security_InRelease 0 
'https://tools.example.org/apt/dists/bookworm/InRelease' tools.example.org_apt_dists_bookworm_InRelease 0 
'http://a.example.org/debian/dists/bookworm/main/binary-amd64/Packages.xz' a_Packages 0 
"""  # noqa: W291


def test_the_archive_is_the_one_that_has_the_release_itself():
    assert choose_archive(parse_index_uris(PRINTED), "bookworm") == Archive(
        "http://a.example.org/debian", ("bookworm", "bookworm-updates")
    )


def test_a_mirror_list_in_a_file_is_an_archive():
    printed = "'mirror+file:/etc/apt/mirrors/debian.list/dists/trixie/InRelease' x 0 \n"
    archive = choose_archive(parse_index_uris(printed), "trixie")
    assert archive.uri == "mirror+file:/etc/apt/mirrors/debian.list"


def test_a_suite_by_its_role_is_an_archive():
    printed = "'http://a.example.org/debian/dists/stable/InRelease' x 0 \n"
    assert choose_archive(parse_index_uris(printed), "trixie").suites == ("stable",)


@pytest.mark.parametrize(
    "printed",
    [
        "",
        "'http://a.example.org/debian-security/dists/bookworm-security/InRelease' x 0 \n",
        "'http://a.example.org/ubuntu/dists/noble/InRelease' x 0 \n",
    ],
)
def test_without_debian_the_error_says_what_to_do(printed: str):
    with pytest.raises(HostError, match="no source for the Debian archive") as caught:
        choose_archive(parse_index_uris(printed), "bookworm")
    assert "apt-get update" in (caught.value.hint or "")


def test_own_suites_come_first_and_none_twice():
    archive = Archive("http://a.example.org/debian", ("bookworm", "trixie"))
    assert own_and_foreign_suites(archive) == ("bookworm", "trixie", "trixie-backports")


def test_codename():
    assert parse_codename('NAME="Debian"\nVERSION_CODENAME=trixie\n') == "trixie"
    assert parse_codename("NAME=Debian\n") == "stable"


def test_apt_is_kept_out_of_the_machine(tmp_path: Path):
    options = render_apt_options(tmp_path)
    assert f"Dir::State={tmp_path}/state" in options
    assert f"Dir::Etc::sourcelist={tmp_path}/sources.list" in options
    assert "Dir::Etc::sourceparts=/dev/null" in options


def test_a_package_is_fetched_from_the_suites_given(tmp_path: Path):
    deb = "linux-source-6.12_6.12.9-1_all.deb"

    def apt_get(words):
        if "download" in words:
            (tmp_path / deb).touch()
        return ""

    commands = FakeCommands({"apt-get": apt_get})
    archive = Archive("http://a.example.org/debian", ())
    suites = ("trixie", "trixie-backports")
    found = fetch_package(commands, archive, "linux-source-6.12", suites, tmp_path, tmp_path / "log")
    assert found == tmp_path / deb
    assert parse_package_version(found) == "6.12.9-1"
    lines = (tmp_path / ".apt/sources.list").read_text().splitlines()
    assert [line.split()[-3:] for line in lines] == [
        ["http://a.example.org/debian", "trixie", "main"],
        ["http://a.example.org/debian", "trixie-backports", "main"],
    ]


def test_epochs_in_package_names(tmp_path: Path):
    assert parse_package_version(tmp_path / "qemu_1%3a11.1-1_amd64.deb") == "1:11.1-1"

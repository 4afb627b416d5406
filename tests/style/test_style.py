# SPDX-License-Identifier: GPL-2.0-only
"""The rules of the house, run as tests."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tree import ROOT, find, is_shell, matching_any, read_lines, read_mirror_hosts, tracked

MAX_MODULE_LINES = 450

#: Files in which a line of ours cannot stand, or which are kept exactly as something made them.
WITHOUT_SPDX = (
    ".gitignore",
    "LICENSE*",
    "COPYING*",
    "LICENSES/*",
    "*.json",
    "*.patch",
    "*/series",
    "images/*/files/etc/*",
    "tests/data/*",
    "tests/golden/*",
)

MIRROR_HOSTS = re.compile(r"\b((mirror|mirrors|deb|ftp|pypi|registry)\.[a-z0-9-]+\.(com|org|net|io))\b")
MACHINE_PATHS = re.compile(r"(?<![\w.$}~-])/(work|root|home/\w+)/")


def check(*command: str | Path) -> None:
    """Run a checker in the checkout; the test fails with what it printed."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    if done.returncode:
        pytest.fail(
            f"{' '.join(map(str, command))} exited {done.returncode}:\n{done.stdout[-8000:]}", pytrace=False
        )


def outside_tests() -> list[Path]:
    return [path for path in tracked() if path.parts[0] != "tests"]


def python_files() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".py"]


def test_ruff_finds_nothing():
    check(sys.executable, "-m", "ruff", "check", "lab", "tests")


def test_ruff_would_format_nothing():
    check(sys.executable, "-m", "ruff", "format", "--check", "lab", "tests")


def test_types_are_strict():
    check(sys.executable, "-m", "mypy", "--strict", "lab")


def test_imports_point_one_way():
    check(Path(sys.executable).parent / "lint-imports")


def test_shell_passes_shellcheck():
    assert shutil.which("shellcheck"), "shellcheck is not installed: apt-get install shellcheck"
    scripts = [path for path in tracked() if is_shell(path)]
    if scripts:
        check("shellcheck", *scripts)


def test_every_source_file_names_its_licence():
    licence = re.compile(r"SPDX-License-Identifier: GPL-2\.0-only")
    missing = [
        str(path)
        for path in tracked()
        if not matching_any(path, WITHOUT_SPDX)
        and read_lines(path)
        and not any(licence.search(line) for line in read_lines(path)[:3])
    ]
    assert not missing, "no SPDX line among the first three"


def test_no_mirror_is_named():
    assert not find(MIRROR_HOSTS, outside_tests()), "take mirrors from the machine's own configuration"


def test_no_mirror_of_this_machine_is_named():
    hosts = sorted(set(read_mirror_hosts()))
    if not hosts:
        pytest.skip("this machine has no package source with a host name")
    own = Path(__file__).parent.relative_to(ROOT)
    elsewhere = [path for path in tracked() if own not in path.parents]
    assert not find(re.compile("|".join(map(re.escape, hosts))), elsewhere)


def test_no_path_of_a_machine_is_named():
    assert not find(MACHINE_PATHS, outside_tests()), "an absolute path that exists on one machine only"


def test_modules_are_of_one_idea():
    long = [
        f"{path}: {len(read_lines(path))} lines"
        for path in python_files()
        if path.parts[0] == "lab" and len(read_lines(path)) >= MAX_MODULE_LINES
    ]
    assert not long, f"{MAX_MODULE_LINES} lines and more: look for the second idea"


def test_no_module_is_called_utils():
    assert not [str(path) for path in python_files() if path.stem == "utils"]


def test_fakes_are_passed_not_patched_in():
    patching = re.compile(r"\bmock\s*\.\s*patch\b|\bunittest\.mock\b|import\s+mock\b")
    here = Path(__file__).relative_to(ROOT)
    assert not find(patching, (path for path in python_files() if path != here))


@pytest.mark.parametrize(
    "line",
    [
        "deb http://deb.example.org/debian bookworm main",
        "https://pypi.example.org/simple",
        "http://mirror.example.com/",
    ],
)
def test_the_pattern_for_mirrors_finds(line):
    assert MIRROR_HOSTS.search(line)


@pytest.mark.parametrize(
    "line", ["https://docs.kernel.org/x.html", "libvirt.org/formatdomain.html", "deb.name.split()"]
)
def test_the_pattern_for_mirrors_leaves_alone(line):
    assert not MIRROR_HOSTS.search(line)


@pytest.mark.parametrize("line", ["cp /work/x .", 'open("/root/.ssh/id")', "PATH=/home/me/bin:$PATH"])
def test_the_pattern_for_machine_paths_finds(line):
    assert MACHINE_PATHS.search(line)


@pytest.mark.parametrize(
    "line", ["$tree/root/.ssh", "images/work/x", "~/work/x", "/var/lib/x", "${root}/root/x"]
)
def test_the_pattern_for_machine_paths_leaves_alone(line):
    assert not MACHINE_PATHS.search(line)


def test_mirror_hosts_are_read_from_where_a_machine_keeps_them(tmp_path):
    sources = tmp_path / "etc/apt/sources.list.d"
    sources.mkdir(parents=True)
    (sources / "a.sources").write_text(
        "# https://example.org\nURIs: http://packages.example.net:8080/debian\n"
    )
    (tmp_path / "etc/pip.conf").write_text("[global]\nindex-url = https://user@index.example.net/simple\n")
    assert set(read_mirror_hosts(tmp_path)) == {"packages.example.net", "index.example.net"}

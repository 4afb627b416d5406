# SPDX-License-Identifier: GPL-2.0-only
"""The shipped kernel series are complete, signed, licensed, and apply to the tree that they are for."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

KERNELS = Path(__file__).parents[3] / "images" / "kernels"
SERIES = sorted(path.parent for path in KERNELS.glob("*/series"))
PATCHES = sorted(KERNELS.glob("*/*.patch"))

# The name and the address that `git am` and checkpatch.pl accept.
SIGNED_OFF = re.compile(r"^Signed-off-by: \S.* <[^<>\s]+@[^<>\s]+>$", re.MULTILINE)
NEW_FILE = re.compile(r"^--- /dev/null\n\+\+\+ b/(\S+)\n@@ .*\n\+(.*)$", re.MULTILINE)
CHANGED_FILE = re.compile(r"^--- a/(\S+)$", re.MULTILINE)
SUBJECT_NUMBER = re.compile(r"^Subject: \[PATCH (\d+)/(\d+)\]", re.MULTILINE)


def names_in(series: Path) -> list[str]:
    lines = (line.strip() for line in (series / "series").read_text().splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def patch_id(path: Path) -> str:
    return str(path.relative_to(KERNELS))


def test_first_reference_series_is_shipped() -> None:
    assert "paravirt-cpus" in [series.name for series in SERIES]


@pytest.mark.parametrize("series", SERIES, ids=lambda path: path.name)
def test_series_lists_exactly_the_patches_there(series: Path) -> None:
    assert names_in(series) == sorted(path.name for path in series.glob("*.patch"))


@pytest.mark.parametrize("series", SERIES, ids=lambda path: path.name)
def test_patches_are_numbered_in_order(series: Path) -> None:
    names = names_in(series)
    numbers = [SUBJECT_NUMBER.search((series / name).read_text()) for name in names]
    found = [tuple(map(int, match.groups())) if match else None for match in numbers]
    # git pads numbers, [PATCH 01/13], where a series has ten patches or more.
    assert found == [(nr, len(names)) for nr in range(1, len(names) + 1)]


@pytest.mark.parametrize("series", SERIES, ids=lambda path: path.name)
def test_fragment_turns_something_on(series: Path) -> None:
    lines = (series / "fragment.config").read_text().splitlines()
    assert any(re.fullmatch(r"CONFIG_[A-Z0-9_]+=[ym]", line) for line in lines)


@pytest.mark.parametrize("patch", PATCHES, ids=patch_id)
def test_patch_is_signed_off_above_the_diff(patch: Path) -> None:
    message = patch.read_text().split("\n---\n", 1)[0]
    assert SIGNED_OFF.search(message)


@pytest.mark.parametrize("patch", PATCHES, ids=patch_id)
def test_new_files_start_with_their_licence(patch: Path) -> None:
    unlicensed = [
        path for path, first in NEW_FILE.findall(patch.read_text()) if "SPDX-License-Identifier:" not in first
    ]
    assert unlicensed == []


def test_the_series_has_new_files_to_look_at() -> None:
    """Guards the pattern above: the first series is known to add files."""
    added = {path for patch in PATCHES for path, _ in NEW_FILE.findall(patch.read_text())}
    assert {"include/linux/cpu_paravirt.h", "kernel/cpu_paravirt.c"} <= added


def copy_files_to_change(series: Path, tree: Path, destination: Path) -> None:
    for name in names_in(series):
        for path in CHANGED_FILE.findall((series / name).read_text()):
            if (tree / path).is_file() and not (destination / path).exists():
                (destination / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(tree / path, destination / path)


def apply_patch(patch: Path, directory: Path) -> str | None:
    """What `patch` had to say if the patch did not go in cleanly, without fuzz or offset; else None."""
    command = ["patch", "-p1", "--batch", "--fuzz=0", f"--input={patch}"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=60)
    shifted = re.search(r"offset|fuzz|FAILED", done.stdout)
    return done.stdout + done.stderr if done.returncode or shifted else None


@pytest.mark.kernelbuild
@pytest.mark.parametrize("series", SERIES, ids=lambda path: path.name)
def test_series_applies_in_order(series: Path, kernel_tree: Path, tmp_path: Path) -> None:
    copy_files_to_change(series, kernel_tree, tmp_path)
    complaints = {name: apply_patch(series / name, tmp_path) for name in names_in(series)}
    assert {name: said for name, said in complaints.items() if said} == {}

# SPDX-License-Identifier: GPL-2.0-only
"""Patches: read from files and mboxes, applied by the real `patch`, rejects told with file and hunk."""

from __future__ import annotations

import base64
import os
import quopri
from pathlib import Path

import pytest

from lab.adapters.commands import ProcessCommands
from lab.artifacts.patches import Patch, apply_patches, parse_rejects, read_patches
from lab.errors import InputError, PatchRejected

LINES = [f"line {number}" for number in range(1, 31)]


def diff(old: str, new: str, at: int, name: str = "kernel/file.c") -> str:
    """A patch that replaces one line of LINES, with one line of context on each side."""
    before, after = LINES[at - 2], LINES[at]
    hunk = f"@@ -{at - 1},3 +{at - 1},3 @@\n {before}\n-{old}\n+{new}\n {after}\n"
    return f"diff --git a/{name} b/{name}\n--- a/{name}\n+++ b/{name}\n{hunk}"


def message(subject: str, body: str, encoding: str = "8bit") -> str:
    coded = {
        "8bit": body,
        "quoted-printable": quopri.encodestring(body.encode()).decode(),
        "base64": base64.encodebytes(body.encode()).decode(),
    }[encoding]
    head = f"From 0123456789 Mon Sep 17 00:00:00 2001\nFrom: A <a@example.org>\nSubject: {subject}\n"
    kind = f"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: {encoding}\n\n"
    return head + kind + coded + "\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "kernel").mkdir(parents=True)
    (tree / "kernel/file.c").write_text("".join(f"{line}\n" for line in LINES))
    return tree


def apply(tree: Path, *patches: Patch) -> None:
    work = tree.parent
    apply_patches(ProcessCommands(), tree, patches, work, work / "build.log")


def test_patches_apply_in_order_and_leave_nothing_behind(tree: Path):
    second = diff("changed", "changed again", 5)
    apply(tree, Patch("1", diff("line 5", "changed", 5).encode()), Patch("2", second.encode()))
    assert (tree / "kernel/file.c").read_text().splitlines()[4] == "changed again"
    assert [path.name for path in (tree / "kernel").iterdir()] == ["file.c"]
    assert "applying patch 2 of 2, 2" in (tree.parent / "build.log").read_text()


def test_a_tree_of_hard_links_is_patched_without_touching_the_original(tree: Path):
    shared = tree.parent / "shared.c"
    os.link(tree / "kernel/file.c", shared)
    apply(tree, Patch("1", diff("line 5", "changed", 5).encode()))
    assert "changed" in (tree / "kernel/file.c").read_text()
    assert "changed" not in shared.read_text()


def test_a_reject_names_patch_file_and_hunk_and_shows_it(tree: Path):
    good, bad = diff("line 5", "five", 5), diff("line twenty", "20", 20)
    both = good + bad[bad.index("@@") :]
    with pytest.raises(PatchRejected) as caught:
        apply(tree, Patch("0001-both.patch", both.encode()))
    said = caught.value.message
    assert "patch 0001-both.patch does not apply" in said
    assert "kernel/file.c: hunk 2 does not apply at line 19" in said
    assert "-line twenty" in said
    assert "hunk 1" not in said


def test_a_hunk_with_other_context_is_a_reject_not_a_guess(tree: Path):
    fuzzy = diff("line 5", "five", 5).replace(" line 4\n", " line four\n")
    with pytest.raises(PatchRejected, match="hunk 1"):
        apply(tree, Patch("fuzzy", fuzzy.encode()))


def test_a_patch_that_is_already_there_says_so(tree: Path):
    patch = Patch("twice", diff("line 5", "five", 5).encode())
    apply(tree, patch)
    with pytest.raises(PatchRejected, match=r"kernel/file\.c: the change is already there"):
        apply(tree, patch)


def test_a_patch_for_a_file_that_is_not_there_names_the_file(tree: Path):
    with pytest.raises(PatchRejected, match=r"kernel/absent\.c: there is no such file"):
        apply(tree, Patch("absent", diff("line 5", "five", 5, "kernel/absent.c").encode()))


def test_a_malformed_patch_is_told(tree: Path):
    wrapped = diff("line 5", "five", 5).replace("+five", "five")
    with pytest.raises(PatchRejected, match=r"kernel/file\.c: malformed patch at line"):
        apply(tree, Patch("wrapped", wrapped.encode()))


def test_several_failed_hunks_are_all_told():
    output = (
        "patching file a.c\nHunk #1 FAILED at 3.\nHunk #4 FAILED at 90.\n2 out of 4 hunks FAILED\n"
        "patching file 'b d.c'\nHunk #2 FAILED at 7.\n"
    )
    assert [(reject.file, reject.hunk) for reject in parse_rejects(output)] == [
        ("a.c", 1),
        ("a.c", 4),
        ("b d.c", 2),
    ]


@pytest.mark.parametrize("encoding", ["8bit", "quoted-printable", "base64"])
def test_an_mbox_is_split_decoded_ordered_and_its_cover_left_out(tmp_path: Path, tree: Path, encoding: str):
    second = message("[PATCH v3 2/2] again", diff("= five", "six", 5), encoding)
    cover = message("[PATCH v3 0/2] a series", "It changes a line.", encoding)
    first = message("[PATCH v3 1/2] once", diff("line 5", "= five", 5), encoding)
    box = tmp_path / "series.mbox"
    box.write_text(second + cover + first)
    patches = read_patches((box,))
    assert [patch.name for patch in patches] == [
        "series.mbox: [PATCH v3 1/2] once",
        "series.mbox: [PATCH v3 2/2] again",
    ]
    apply(tree, *patches)
    assert (tree / "kernel/file.c").read_text().splitlines()[4] == "six"


def test_plain_patches_keep_their_bytes(tmp_path: Path):
    path = tmp_path / "0001.patch"
    path.write_bytes(diff("line 5", "caf\xe9", 5).encode("latin-1"))
    assert read_patches((path,)) == (Patch("0001.patch", path.read_bytes()),)


def test_a_file_without_a_diff_or_without_existence_is_bad_input(tmp_path: Path):
    empty = tmp_path / "empty.patch"
    empty.write_text("nothing to see\n")
    with pytest.raises(InputError, match="no diff"):
        read_patches((empty,))
    with pytest.raises(InputError, match="No such file"):
        read_patches((tmp_path / "absent.patch",))

# SPDX-License-Identifier: GPL-2.0-only
"""Selftests out of a source tree: with the real make and patch, on a tree that has a little of what Linux has."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from fakes import RecordedProgress

from lab.adapters.commands import ProcessCommands
from lab.artifacts.cache import Cache
from lab.artifacts.selftests import COLLECTIONS, ensure_selftests, read_selftests_archive
from lab.artifacts.workshop import Workshop
from lab.errors import BuildFailed, InputError
from lab.plan.labplan import KernelPlan, KernelSourcePlan

TOP = "headers:\n\ttouch headers\nmrproper:\n\trm -f headers\n"
TESTS = """\
install:
	test -e ../../../headers
	for one in $(TARGETS); do \\
		mkdir -p $(INSTALL_PATH)/$$one && cp $$one.sh $(INSTALL_PATH)/$$one/ && \\
		echo $$one:$$one.sh >>$(INSTALL_PATH)/kselftest-list.txt || exit 1; \\
	done
	echo runner >$(INSTALL_PATH)/run_kselftest.sh
	echo "$(LDFLAGS)" >$(INSTALL_PATH)/flags
"""
PATCH = """\
--- a/tools/testing/selftests/sched.sh
+++ b/tools/testing/selftests/sched.sh
@@ -1 +1 @@
-echo sched
+echo patched
"""


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    progress = RecordedProgress()
    return Workshop(Cache(tmp_path / "cache", progress), ProcessCommands(), progress, tmp_path)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tests = tmp_path / "linux/tools/testing/selftests"
    tests.mkdir(parents=True)
    (tmp_path / "linux/Kconfig").write_text("config A\n")
    (tmp_path / "linux/Makefile").write_text(TOP)
    (tests / "Makefile").write_text(TESTS)
    for name in COLLECTIONS:
        (tests / f"{name}.sh").write_text(f"echo {name}\n")
        (tests / f"{name}.sh").chmod(0o755)
    return tmp_path / "linux"


def kernel(tree: Path, *patches: str) -> KernelPlan:
    return KernelPlan("mine", KernelSourcePlan("tree", str(tree), None), patches, (), "")


def unpack(archive: Path, into: Path) -> Path:
    into.mkdir()
    subprocess.run(["cpio", "-id", "--quiet"], cwd=into, input=archive.read_bytes(), check=True, timeout=30)
    return into / "lib/modules/kselftest"


def test_what_the_tree_installs_is_the_archive(workshop: Workshop, tree: Path, tmp_path: Path) -> None:
    there = unpack(ensure_selftests(workshop, kernel(tree)), tmp_path / "out")
    assert (there / "run_kselftest.sh").read_text() == "runner\n"
    assert (there / "flags").read_text() == "-static -s\n"
    assert (there / "cpu-hotplug/cpu-hotplug.sh").stat().st_mode & 0o777 == 0o755
    assert (there / "run_kselftest.sh").stat().st_mode & 0o777 == 0o644
    assert not (tree / "headers").exists()


def test_patches_of_the_kernel_are_in_it(workshop: Workshop, tree: Path, tmp_path: Path) -> None:
    (tmp_path / "p.patch").write_text(PATCH)
    plain = ensure_selftests(workshop, kernel(tree))
    patched = ensure_selftests(workshop, kernel(tree, str(tmp_path / "p.patch")))
    assert plain != patched
    there = unpack(patched, tmp_path / "out")
    assert (there / "sched/sched.sh").read_text() == "echo patched\n"
    assert ensure_selftests(workshop, kernel(tree)) == plain


def test_the_compilers_words_are_told(workshop: Workshop, tree: Path) -> None:
    makefile = tree / "tools/testing/selftests/Makefile"
    makefile.write_text("install:\n\t@echo 'a.c:1:2: error: no such thing'; false\n")
    with pytest.raises(BuildFailed, match="no such thing"):
        ensure_selftests(workshop, kernel(tree))


def test_a_test_that_did_not_build_is_told(tmp_path: Path) -> None:
    for name in COLLECTIONS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_text("")
    listed = [f"{name}:a" for name in COLLECTIONS]
    (tmp_path / "kselftest-list.txt").write_text("\n".join([*listed, "cgroup:b"]))
    with pytest.raises(BuildFailed, match="collection cgroup: b did not build"):
        read_selftests_archive(tmp_path)
    (tmp_path / "kselftest-list.txt").write_text("\n".join(listed[1:]))
    with pytest.raises(BuildFailed, match="collection sched: it has no tests"):
        read_selftests_archive(tmp_path)


def test_a_ready_image_has_no_source(workshop: Workshop) -> None:
    plan = KernelPlan("ready", KernelSourcePlan("image", "/boot/vmlinuz", None), (), (), "")
    with pytest.raises(InputError, match="ready image"):
        ensure_selftests(workshop, plan)

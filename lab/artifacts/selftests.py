# SPDX-License-Identifier: GPL-2.0-only
"""Selftests out of a kernel's source with its patches (tools/testing/selftests), as an archive that follows a
guest's initramfs.

Installed by the tree's own Makefiles, with its own runner; programs are static, so that any root image runs them.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.artifacts.initrd import CpioEntry, cpio_newc
from lab.artifacts.kernels import ARCHITECTURES, first_errors, read_compiler
from lab.artifacts.modules import MODULES
from lab.artifacts.patches import Patch, apply_patches, patch_digest, read_patches
from lab.artifacts.source import Source, open_source
from lab.artifacts.workshop import Workshop
from lab.errors import BuildFailed, CommandFailed, InputError
from lab.plan.labplan import KernelPlan

#: Counts up when the code below makes something else out of the same inputs.
_VERSION = 1
#: Directories of tools/testing/selftests.
COLLECTIONS = ("sched", "cpu-hotplug", "cgroup")
#: Where they are in a guest: below what init brings along from the initramfs (images/guest/init/mounts.c).
INSTALLED = MODULES / "kselftest"
_TIMEOUT_S = 900


def ensure_selftests(workshop: Workshop, plan: KernelPlan, arch: str = "x86_64") -> Path:
    """A cpio archive of the selftests of a kernel, built unless it is in the cache.

    Raises InputError for a ready image, which has no source, PatchRejected, and BuildFailed with the compiler's
    words.
    """
    if plan.source.kind == "image":
        raise InputError(
            f"kernel {plan.name} is a ready image: its selftests would have to be out of its source",
            "give the kernel as a tree or a tarball",
        )
    source = open_source(workshop, plan.source)
    patches = read_patches(tuple(Path(path) for path in plan.patches))
    inputs = {
        "version": _VERSION,
        "arch": arch,
        "compiler": read_compiler(workshop),
        "source": source.identity,
        "patches": [patch_digest(patch) for patch in patches],
        "collections": list(COLLECTIONS),
    }
    job = _Job(workshop, plan.name, source, patches, ARCHITECTURES[arch].name)
    return workshop.cache.ensure("selftests", inputs, job.build) / "selftests.cpio"


@dataclass(frozen=True)
class _Job:
    """In the tree itself: some collections cannot be installed out of an output directory (6.12: sched)."""

    workshop: Workshop
    kernel: str
    source: Source
    patches: tuple[Patch, ...]
    arch: str

    def build(self, directory: Path) -> None:
        log = self.workshop.build_log("selftests", directory)
        self.workshop.progress.step(f"building the selftests of kernel {self.kernel} (log: {log})")
        work = directory / "work"
        work.mkdir()
        self.source.unpack(work / "src", log)
        apply_patches(self.workshop.commands, work / "src", self.patches, work, log)
        self._make(work / "src", log, "headers")
        tests, installed = work / "src/tools/testing/selftests", work / "installed"
        words = (
            f"TARGETS={' '.join(COLLECTIONS)}",
            "LDFLAGS=-static -s",
            f"INSTALL_PATH={installed}",
            "install",
        )
        self._make(tests, log, *words)
        archive = read_selftests_archive(installed)
        (directory / "selftests.cpio").write_bytes(archive)
        shutil.copyfile(log, directory / "build.log")
        shutil.rmtree(work)

    def _make(self, directory: Path, log: Path, *words: str) -> None:
        start = log.stat().st_size
        parallel = f"-j{len(os.sched_getaffinity(0))}"
        try:
            self.workshop.commands.run(
                ["make", "-C", directory, f"ARCH={self.arch}", parallel, *words],
                what=f"making {words[-1]}",
                log=log,
                timeout_s=_TIMEOUT_S,
            )
        except CommandFailed as error:
            errors = first_errors(log.read_bytes()[start:].decode(errors="replace"))
            message = f"selftests of kernel {self.kernel}: making {words[-1]} failed:\n{errors}"
            raise BuildFailed(message if errors else error.message, f"the whole log is {log}") from error


def read_selftests_archive(installed: Path) -> bytes:
    """What `make install` of the selftests left, as a cpio archive, equal for equal trees.

    Raises BuildFailed where a collection installed nothing: kselftest goes on over tests that do not build.
    """
    listed = (installed / "kselftest-list.txt").read_text().split()
    for collection in COLLECTIONS:
        tests = [test.partition(":")[2] for test in listed if test.startswith(f"{collection}:")]
        missing = [test for test in tests if not (installed / collection / test).exists()]
        if missing or not tests:
            what = f"{', '.join(missing)} did not build" if missing else "it has no tests"
            raise BuildFailed(f"selftests, collection {collection}: {what}")
    return cpio_newc(_entries(installed))


def _entries(installed: Path) -> Iterator[CpioEntry]:
    for parent in (*reversed(INSTALLED.parents[:-1]), INSTALLED):
        yield CpioEntry(str(parent), stat.S_IFDIR | 0o755)
    for path in sorted(installed.rglob("*")):
        name = str(INSTALLED / path.relative_to(installed))
        if path.is_dir():
            yield CpioEntry(name, stat.S_IFDIR | 0o755)
        elif path.is_file():
            mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            yield CpioEntry(name, stat.S_IFREG | mode, path.read_bytes())

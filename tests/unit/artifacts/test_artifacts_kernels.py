# SPDX-License-Identifier: GPL-2.0-only
"""Kernel builds: what decides the key, what is checked, what is kept, and what a failure says."""

from __future__ import annotations

import dataclasses
import struct
from pathlib import Path

import pytest
from fakes import FakeCommands, RecordedProgress

from lab.adapters.commands import ProcessCommands
from lab.artifacts.cache import Cache, entry_key
from lab.artifacts.given import kept_fragment, kept_patch
from lab.artifacts.kernels import (
    count_work,
    ensure_kernel,
    first_errors,
    host_kernel_plan,
    image_name,
    image_release,
    kernel_inputs,
)
from lab.artifacts.listing import list_kernels
from lab.artifacts.patches import Patch
from lab.artifacts.workshop import Workshop
from lab.errors import BuildFailed, CommandFailed, InputError, PatchRejected
from lab.plan.labplan import KernelPlan, KernelSourcePlan

IMAGES = Path(__file__).parents[3] / "images"
WORK = "  CC      init/main.o\n  AS      a.o\n  LD      vmlinux\n"
PATCH = "--- a/Kconfig\n+++ b/Kconfig\n@@ -1 +1 @@\n-config KNOWN\n+config RENAMED\n"


class Kbuild:
    """A make that knows a few symbols: BUILTIN and KNOWN can be set, BLOCKED never sticks."""

    def __init__(self) -> None:
        self.failure = ""
        self.commands = FakeCommands(
            {
                "make": self.make,
                "cp": self.real,
                "patch": self.real,
                "objcopy": self.objcopy,
                "gcc": "gcc 12\n",
            }
        )

    def real(self, words: list[str]) -> str:
        cwd = self.tree if words[0] == "patch" else None
        return ProcessCommands().output(words, what=words[0], cwd=cwd)

    def objcopy(self, words: list[str]) -> str:
        Path(words[-1]).write_bytes(b"stripped")
        return ""

    def make(self, words: list[str]) -> str:
        self.tree = Path(words[words.index("-C") + 1])
        if words[-1] == "mrproper":
            return ""
        options = dict(word.split("=", 1) for word in words if "=" in word)
        obj = Path(options["O"])
        if words[-1] == "allnoconfig":
            wanted = Path(options["KCONFIG_ALLCONFIG"]).read_text().splitlines()
            known = [line for line in wanted if line.startswith(("CONFIG_BUILTIN", "CONFIG_KNOWN"))]
            (obj / ".config").write_text("\n".join(line for line in known if not line.endswith("=n")))
            return ""
        if words[-1] == "modules_install":
            assert "INSTALL_MOD_STRIP=1" in words
            return self.install_modules(Path(options["INSTALL_MOD_PATH"]) / "lib/modules/6.12.1")
        if self.failure:
            raise CommandFailed(self.failure)
        for name in ("arch/x86/boot/bzImage", "System.map", "vmlinux", "include/config/kernel.release"):
            (obj / name).parent.mkdir(parents=True, exist_ok=True)
            (obj / name).write_text("6.12.1\n")
        return WORK

    def install_modules(self, directory: Path) -> str:
        (directory / "kernel").mkdir(parents=True)
        (directory / "kernel/known.ko").write_bytes(b"module")
        (directory / "modules.dep").write_text("kernel/known.ko:\n")
        return ""


@pytest.fixture
def kbuild() -> Kbuild:
    return Kbuild()


@pytest.fixture
def workshop(tmp_path: Path, kbuild: Kbuild) -> Workshop:
    progress = RecordedProgress()
    images = tmp_path / "images"
    (images / "kernels/configs").mkdir(parents=True)
    return Workshop(Cache(tmp_path / "cache", progress), kbuild.commands, progress, images)


@pytest.fixture
def plan(tmp_path: Path) -> KernelPlan:
    tree, fragment = tmp_path / "linux", tmp_path / "my.config"
    tree.mkdir()
    (tree / "Kconfig").write_text("config KNOWN\n\tbool\nconfig BLOCKED\n\tbool\n\tdepends on PIGS_FLY\n")
    fragment.write_text("CONFIG_BUILTIN=y\n")
    source = KernelSourcePlan("tree", str(tree))
    return KernelPlan("mine", source, (), (str(fragment),), "quiet")


def with_fragment(plan: KernelPlan, path: Path, text: str) -> KernelPlan:
    path.write_text(text)
    return dataclasses.replace(plan, fragments=(*plan.fragments, str(path)))


def test_a_build_keeps_the_images_and_what_explains_them(
    workshop: Workshop, kbuild: Kbuild, plan: KernelPlan
):
    kernel = ensure_kernel(workshop, plan)
    assert kernel.release == "6.12.1"
    assert kernel.fragments == ("my.config",)
    assert kernel.bzimage is not None
    assert kernel.boot_image == kernel.vmlinux
    assert kernel.boot_image.read_bytes() == b"stripped"
    kept = {path.name for path in kernel.bzimage.parent.iterdir() if path.is_file()}
    named = {"config", "System.map", "build.log", "about.json", "inputs.json"}
    assert kept == {"bzImage", "vmlinux", "vmlinux.debug", *named}
    (fragment,) = plan.fragments
    copy = kept_fragment(kernel.bzimage.parent, 1, fragment)
    assert copy is not None
    assert copy.read_text() == Path(fragment).read_text()
    makes = kbuild.commands.count("make")
    assert ensure_kernel(workshop, plan) == kernel
    assert kbuild.commands.count("make") == makes


def test_modules_are_built_and_kept_with_their_kernel(
    workshop: Workshop, kbuild: Kbuild, plan: KernelPlan, tmp_path: Path
):
    kernel = ensure_kernel(workshop, with_fragment(plan, tmp_path / "m.config", "CONFIG_KNOWN=m\n"))
    assert kernel.modules is not None
    assert b"lib/modules/6.12.1/kernel/known.ko" in kernel.modules.read_bytes()
    assert any(call[-1] == "modules" for call in kbuild.commands.calls)
    assert list_kernels(workshop.cache)[0].title == "6.12.1 +1 module"


def test_a_kernel_without_modules_builds_and_keeps_none(workshop: Workshop, kbuild: Kbuild, plan: KernelPlan):
    kernel = ensure_kernel(workshop, plan)
    assert kernel.modules is None
    assert not any(call[-1].startswith("modules") for call in kbuild.commands.calls)
    assert list_kernels(workshop.cache)[0].title == "6.12.1"


def test_the_second_kernel_tells_how_far_it_is(workshop: Workshop, plan: KernelPlan, tmp_path: Path):
    ensure_kernel(workshop, plan)
    progress = workshop.progress
    assert isinstance(progress, RecordedProgress)
    assert progress.updates[-1] == (None, "compiled 3 files in 0 s")
    ensure_kernel(workshop, with_fragment(plan, tmp_path / "two.config", "CONFIG_KNOWN=y\n"))
    assert progress.updates[-1] == (0.99, "compiled 3 files in 0 s")
    assert len([step for step in progress.steps if step.startswith("building kernel mine")]) == 2


def test_a_symbol_that_does_not_stick_fails_the_build(workshop: Workshop, plan: KernelPlan, tmp_path: Path):
    wrong = with_fragment(plan, tmp_path / "w.config", "\nCONFIG_BLOCKED=y\nCONFIG_ABSENT=y\n")
    with pytest.raises(BuildFailed) as caught:
        ensure_kernel(workshop, wrong)
    said = caught.value.message
    assert f"{tmp_path}/w.config:2: CONFIG_BLOCKED: wanted y, got n; it depends on PIGS_FLY" in said
    assert f"{tmp_path}/w.config:3: CONFIG_ABSENT: wanted y, got n; this kernel has no such symbol" in said
    assert "BUILTIN" not in said
    assert workshop.cache.entries("kernel") == ()


def test_the_labs_own_fragments_may_name_symbols_of_other_versions(workshop: Workshop, plan: KernelPlan):
    own = workshop.images_dir / "kernels/configs/base.config"
    kernel = ensure_kernel(workshop, with_fragment(plan, own, "CONFIG_ABSENT=y\n"))
    assert kernel.log is not None
    assert "note: " in kernel.log.read_text()
    with pytest.raises(BuildFailed, match="PIGS_FLY"):
        ensure_kernel(workshop, with_fragment(plan, own, "CONFIG_BLOCKED=y\n"))


def test_tolerated_fragments_may_name_symbols_of_other_kernels(
    workshop: Workshop, plan: KernelPlan, tmp_path: Path
):
    strict = with_fragment(plan, tmp_path / "theirs.config", "CONFIG_ABSENT=y\n")
    tolerant = dataclasses.replace(strict, tolerated=strict.fragments[-1:])
    kernel = ensure_kernel(workshop, tolerant)
    assert kernel.log is not None
    assert "note: " in kernel.log.read_text()
    with pytest.raises(BuildFailed, match="no such symbol"):
        ensure_kernel(workshop, strict)
    (tmp_path / "theirs.config").write_text("CONFIG_BLOCKED=y\n")
    with pytest.raises(BuildFailed, match="PIGS_FLY"):
        ensure_kernel(workshop, tolerant)


def test_a_later_fragment_wins_over_an_earlier_one(workshop: Workshop, plan: KernelPlan, tmp_path: Path):
    kernel = ensure_kernel(workshop, with_fragment(plan, tmp_path / "off.config", "CONFIG_BUILTIN=n\n"))
    assert kernel.config is not None
    assert "BUILTIN" not in kernel.config.read_text()


def test_a_failed_build_shows_errors_and_keeps_its_log(workshop: Workshop, kbuild: Kbuild, plan: KernelPlan):
    kbuild.failure = "compiling: the command exited with status 2: ..."
    with pytest.raises(BuildFailed, match="exited with status 2") as caught:
        ensure_kernel(workshop, plan)
    log = Path((caught.value.hint or "").removeprefix("the whole log is "))
    assert log.is_file()
    assert not list((workshop.cache.root / "kernel").iterdir())


def test_patches_are_applied_to_a_copy(workshop: Workshop, kbuild: Kbuild, plan: KernelPlan, tmp_path: Path):
    patch = tmp_path / "0001.patch"
    patch.write_text(PATCH)
    kernel = ensure_kernel(workshop, dataclasses.replace(plan, patches=(str(patch),)))
    assert kbuild.commands.count("patch") == 1
    assert (tmp_path / "linux/Kconfig").read_text().startswith("config KNOWN\n")
    patch.write_text("something else by now")
    copy = kept_patch(workshop.cache.root / "kernel" / kernel.key, 1, str(patch))
    assert copy is not None
    assert copy.read_text() == PATCH


def test_a_reject_stops_before_anything_is_compiled(workshop: Workshop, kbuild: Kbuild, plan, tmp_path: Path):
    patch = tmp_path / "0001.patch"
    patch.write_text(PATCH.replace("KNOWN", "OTHER"))
    with pytest.raises(PatchRejected, match=r"0001\.patch does not apply"):
        ensure_kernel(workshop, dataclasses.replace(plan, patches=(str(patch),)))
    assert not [call for call in kbuild.commands.calls if "allnoconfig" in call]


def patches_of(*texts: str) -> tuple[Patch, ...]:
    return tuple(Patch(f"{number}.patch", text.encode()) for number, text in enumerate(texts))


@pytest.mark.parametrize("changed", ["source", "compiler", "arch", "patch", "fragment", "order"])
def test_everything_that_goes_in_changes_the_key(tmp_path: Path, changed: str):
    fragment = tmp_path / "a.config"
    fragment.write_text("CONFIG_A=y\n")
    plan = KernelPlan("k", KernelSourcePlan("debian", "6.12"), (), (str(fragment),), "")
    given = {"source": "s1", "compiler": "gcc 12", "arch": "x86_64"}
    texts = [PATCH, PATCH.replace("RENAMED", "OTHER")]
    before = entry_key(kernel_inputs(plan, patches_of(*texts), **given))
    if changed in given:
        given[changed] = "other"
    elif changed == "order":
        texts.reverse()
    elif changed == "patch":
        texts[0] = PATCH.replace("RENAMED", "CHANGED")
    else:
        fragment.write_text("other")
    assert entry_key(kernel_inputs(plan, patches_of(*texts), **given)) != before


def test_name_and_command_line_do_not_change_the_key():
    plan = KernelPlan("a", KernelSourcePlan("debian", "6.12"), (), (), "quiet")
    other = dataclasses.replace(plan, name="b", cmdline="loud")
    assert kernel_inputs(plan, (), "s", "gcc", "x86_64") == kernel_inputs(other, (), "s", "gcc", "x86_64")


def test_a_patch_out_of_a_mail_makes_the_kernel_that_is_built_already(
    workshop: Workshop, kbuild: Kbuild, plan: KernelPlan, tmp_path: Path
):
    plain, mailed = tmp_path / "0001-rename.patch", tmp_path / "series.mbox"
    plain.write_text(PATCH)
    mailed.write_text(
        "From git@z Thu Jan  1 00:00:00 1970\nFrom: A <a@b.invalid>\nSubject: [PATCH] rename\n\nWhy.\n---\n"
        f" Kconfig | 2 +-\n\n{PATCH}-- \n2.45\n"
    )
    built = ensure_kernel(workshop, dataclasses.replace(plan, patches=(str(plain),)))
    makes = kbuild.commands.count("make")
    assert ensure_kernel(workshop, dataclasses.replace(plan, patches=(str(mailed),))) == built
    assert kbuild.commands.count("make") == makes


def bzimage(release: bytes) -> bytes:
    head = bytearray(0x400)
    head[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", head, 0x20E, 0x200)
    return bytes(head) + release + b" (a@b) #1\0"


def test_ready_images_are_taken_as_they_are(workshop: Workshop, kbuild: Kbuild, tmp_path: Path):
    path = tmp_path / "vmlinuz"
    path.write_bytes(bzimage(b"7.3.4-rc1"))
    plan = KernelPlan("ready", KernelSourcePlan("image", str(path)), (), (), "")
    kernel = ensure_kernel(workshop, plan)
    assert kernel.release == "7.3.4-rc1"
    assert kernel.vmlinux is kernel.config is kernel.log is None
    assert kernel.boot_image.read_bytes() == path.read_bytes()
    assert kbuild.commands.calls == []


def test_the_kind_of_an_image_is_detected():
    assert image_name(bzimage(b"x")) == "bzImage"
    assert image_name(b"\x7fELF" + bytes(600)) == "vmlinux"
    assert image_name(b"#!/bin/sh") is None
    assert image_release(b"\x7fELF" + bytes(600)) == ""


def test_what_is_no_kernel_is_bad_input(workshop: Workshop, tmp_path: Path):
    path = tmp_path / "initrd"
    path.write_bytes(b"070701")
    with pytest.raises(InputError, match="neither a bzImage nor an ELF"):
        ensure_kernel(workshop, KernelPlan("r", KernelSourcePlan("image", str(path)), (), (), ""))


def test_errors_are_picked_out_of_a_log():
    log = "  CC  a.o\nkernel/a.c:3:1: error: expected ';'\n  CC  errors.o\nmake[2]: *** [a.o] Error 1\n"
    assert first_errors(log).splitlines() == [
        "kernel/a.c:3:1: error: expected ';'",
        "make[2]: *** [a.o] Error 1",
    ]
    assert first_errors("  CC  a.o\n") == ""


def test_work_is_counted_by_kbuilds_lines():
    assert count_work(WORK.encode() + b"make[1]: Entering\n  CC [M] x.o\n") == 3


def test_the_host_kernel_is_made_of_files_that_exist():
    plan = host_kernel_plan(IMAGES)
    assert [Path(path).name for path in plan.fragments] == ["base.config", "emulated.config", "host.config"]
    assert all(Path(path).is_file() for path in plan.fragments)

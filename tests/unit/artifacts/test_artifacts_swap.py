# SPDX-License-Identifier: GPL-2.0-only
"""Which kernel a word means, and what of a kernel is somebody else's code."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest

from lab.artifacts.foreign import why_foreign
from lab.artifacts.swap import Swapped, find_swap, split_swap, with_patches
from lab.errors import InputError
from lab.plan.kernels import parse_series
from lab.plan.labplan import KernelPlan, KernelSourcePlan
from lab.topology.spec import KernelSpec

IMAGES = Path(__file__).parents[3] / "images"
SERIES = IMAGES / "kernels/paravirt-cpus"


def spec(**said: object) -> KernelSpec:
    return KernelSpec.model_validate({"source": {"debian": "6.12"}, **said})


KERNELS = {
    "mine": spec(patches=["./inputs/patches"], config=["./inputs/own.config"], cmdline="quiet"),
    "other": spec(source={"debian": "6.1"}),
}


@pytest.fixture
def swapped(tmp_path: Path) -> Swapped:
    patches = tmp_path / "bundle/inputs/patches"
    patches.mkdir(parents=True)
    (patches / "fragment.config").write_text("CONFIG_FEATURE=y\n")
    return Swapped("mine", KERNELS["mine"], tmp_path / "bundle", (patches / "fragment.config",))


def bzimage() -> bytes:
    image = bytearray(4096)
    image[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", image, 0x20E, 0x400)
    image[0x600:0x610] = b"6.99.1 (lab) x\0\0"
    return bytes(image)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("mine=6.1", ("mine", "6.1")),
        ("other=/a=b", ("other", "/a=b")),
    ],
)
def test_the_kernel_to_swap_is_named_where_there_are_several(word: str, expected: tuple[str, str]):
    assert split_swap(word, KERNELS) == expected


def test_the_only_kernel_needs_no_name():
    only = {"mine": KERNELS["mine"]}
    assert split_swap("/path/with=sign", only) == ("mine", "/path/with=sign")
    with pytest.raises(InputError, match="boots 2 kernels \\(mine, other\\); say which is swapped"):
        split_swap("6.1", KERNELS)


def test_each_word_is_told_by_what_it_is(swapped: Swapped, tmp_path: Path):
    tree = tmp_path / "linux"
    tree.mkdir()
    (tree / "Kconfig").write_text("")
    (tmp_path / "vmlinuz").write_bytes(bzimage())
    (tmp_path / "elf").write_bytes(b"\x7fELF" + bytes(2000))
    (tmp_path / "linux-6.9.tar.xz").write_bytes(b"\xfd7zXZ")
    found = {
        word: find_swap(word, swapped, KERNELS, IMAGES, tmp_path)
        for word in ("linux", "vmlinuz", "elf", "linux-6.9.tar.xz", "6.1", "paravirt-cpus", "other")
    }
    assert {word: swap.entry["source"] for word, swap in found.items()} == {
        "linux": {"tree": str(tree)},
        "vmlinuz": {"image": str(tmp_path / "vmlinuz")},
        "elf": {"image": str(tmp_path / "elf")},
        "linux-6.9.tar.xz": {"tarball": str(tmp_path / "linux-6.9.tar.xz")},
        "6.1": {"debian": "6.1"},
        "paravirt-cpus": {"debian": "6.12"},
        "other": {"debian": "6.1"},
    }
    told = {word: swap.told for word, swap in found.items()}
    assert told["vmlinuz"] == f"the bzImage {tmp_path}/vmlinuz, release 6.99.1, taken as it is"
    assert told["linux"] == f"the source tree {tree}"
    assert told["6.1"] == "Debian's linux-source-6.1, without patches"
    assert told["other"] == "the scenario's own kernel other"


def test_a_tree_gets_the_config_of_the_kernel_it_stands_for_and_all_its_command_line(
    swapped: Swapped, tmp_path: Path
):
    (tmp_path / "linux").mkdir()
    (tmp_path / "linux/Kconfig").write_text("")
    swap = find_swap("./linux", swapped, KERNELS, IMAGES, tmp_path)
    own = str(tmp_path / "bundle/inputs/own.config")
    assert swap.entry["config"] == [str(swapped.series_config[0]), own]
    assert swap.foreign_config == (str(swapped.series_config[0]), own)
    assert swap.entry["cmdline"] == "quiet"
    unpatched = find_swap("6.12", swapped, KERNELS, IMAGES, tmp_path)
    assert unpatched.entry["config"] == [own], "what comes with the patches goes with them"


def test_an_image_has_neither_patches_nor_config(swapped: Swapped, tmp_path: Path):
    (tmp_path / "vmlinuz").write_bytes(bzimage())
    swap = find_swap("./vmlinuz", swapped, KERNELS, IMAGES, tmp_path)
    assert KernelSpec.model_validate(swap.entry).config == ()
    (tmp_path / "x.patch").write_text("--- a/x\n")
    with pytest.raises(InputError, match="a ready image takes no patches"):
        with_patches(swap, swapped, tmp_path / "x.patch")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: path.mkdir(), "has no Kconfig: it is not a kernel's source tree"),
        (lambda path: path.write_text("From: me\n"), "is neither a bzImage nor an ELF kernel, nor a tarball"),
        (lambda path: None, "none of the shipped series paravirt-cpus, and no version X.Y"),
    ],
    ids=["directory", "file", "nothing"],
)
def test_what_is_no_kernel_is_refused(swapped: Swapped, tmp_path: Path, make, told: str):
    make(tmp_path / "what")
    with pytest.raises(InputError) as refused:
        find_swap("./what", swapped, KERNELS, IMAGES, tmp_path)
    assert told in refused.value.message


def test_patches_given_as_a_kernel_are_led_to_the_other_option(swapped: Swapped, tmp_path: Path):
    (tmp_path / "one.patch").write_text("From 0123 Mon\n--- a/x\n")
    (tmp_path / "many").mkdir()
    (tmp_path / "many/series").write_text("")
    for name in ("one.patch", "many"):
        with pytest.raises(InputError) as refused:
            find_swap(f"./{name}", swapped, KERNELS, IMAGES, tmp_path)
        assert "--patches takes it" in (refused.value.hint or "")


def test_other_patches_go_onto_the_reporters_source(swapped: Swapped, tmp_path: Path):
    (tmp_path / "v2.mbox").write_text("From 0123 Mon\n--- a/x\n")
    swap = with_patches(None, swapped, tmp_path / "v2.mbox")
    assert swap.entry["source"] == {"debian": "6.12"}
    assert swap.entry["patches"] == [str(tmp_path / "v2.mbox")]
    assert swap.foreign_config == (str(swapped.series_config[0]), *swapped.config())
    assert KernelSpec.model_validate(swap.entry).cmdline == "quiet"


def test_a_series_with_config_of_its_own_does_not_get_that_of_the_other(swapped: Swapped, tmp_path: Path):
    series = tmp_path / "v2"
    series.mkdir()
    (series / "series").write_text("a.patch\n")
    (series / "fragment.config").write_text("")
    assert with_patches(None, swapped, series).entry["config"] == list(swapped.config())
    (series / "series").unlink()
    with pytest.raises(InputError, match="has no `series` file"):
        with_patches(None, swapped, series)


# ---- whose code a build would run


def plan(*patches: Path, config: tuple[Path, ...] = ()) -> KernelPlan:
    source = KernelSourcePlan("debian", "6.12")
    return KernelPlan("mine", source, tuple(map(str, patches)), tuple(map(str, config)), "")


def test_the_labs_own_patches_are_its_own_wherever_they_lie_and_whatever_is_said_around_them(tmp_path: Path):
    names = parse_series((SERIES / "series").read_text())[:2]
    for name in names:
        (tmp_path / name).write_text("From: somebody else\n\n" + (SERIES / name).read_text())
    assert why_foreign(plan(*(tmp_path / name for name in names)), IMAGES) == ""
    assert why_foreign(plan(), IMAGES) == ""


def test_one_other_patch_makes_the_build_foreign(tmp_path: Path):
    name = parse_series((SERIES / "series").read_text())[0]
    text = (SERIES / name).read_text()
    (tmp_path / "changed.patch").write_text(text.replace("\n+", "\n+/* */", 1))
    told = why_foreign(plan(SERIES / name, tmp_path / "changed.patch"), IMAGES)
    assert told.startswith("1 of its 2 patches are not the lab's own (changed.patch")


@pytest.mark.parametrize(
    ("line", "foreign"),
    [
        ("CONFIG_A=y", False),
        ("CONFIG_A=-12", False),
        ("CONFIG_A=0x1F", False),
        ('CONFIG_A="lab/init,ro console=ttyS0"', False),
        ("# CONFIG_A is not set", False),
        ('CONFIG_A="$(shell touch /tmp/x)"', True),
        ("CONFIG_A=`id`", True),
        ('CONFIG_A="a"; id', True),
    ],
)
def test_values_that_make_would_expand_are_foreign_code(tmp_path: Path, line: str, foreign: bool):
    (tmp_path / "their.config").write_text(f"{line}\n")
    told = why_foreign(plan(config=(tmp_path / "their.config",)), IMAGES)
    assert bool(told) == foreign, told


def test_the_labs_own_fragments_are_not_looked_at():
    own = tuple(sorted((IMAGES / "kernels/configs").glob("*.config")))
    assert why_foreign(replace(plan(), fragments=tuple(map(str, own))), IMAGES) == ""

# SPDX-License-Identifier: GPL-2.0-only
"""What a topology's kernels need on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.artifacts.catalogue import read_kernel_catalogue, shipped_series
from lab.errors import InputError
from lab.plan.kernels import KernelCatalogue, PatchSet
from lab.topology.decode import decode_topology, read_topology

ROOT = Path(__file__).parents[3]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """An `images` directory with one shipped series."""
    _write_series(tmp_path / "images/kernels/shipped", ["0001-a.patch", "0002-b.patch"])
    (tmp_path / "images/kernels/shipped/fragment.config").write_text("CONFIG_A=y\n")
    return tmp_path / "images"


def _write_series(directory: Path, names: list[str]) -> None:
    directory.mkdir(parents=True)
    (directory / "series").write_text("\n".join(["# order matters", *names, ""]))
    for name in names:
        (directory / name).write_text("patch\n")


def read(images: Path, kernel: str) -> KernelCatalogue:
    path = images.parent / "lab.yaml"
    text = f"version: 1\nname: lab\nkernels:\n  k: {{{kernel}}}\nnodes: [{{name: a}}]\n"
    return read_kernel_catalogue(decode_topology(text, path), images)


def patches(images: Path, entry: str) -> PatchSet:
    return read(images, f'source: {{debian: "6.12"}}, patches: [{entry}]').patch_sets[entry]


def test_a_shipped_series(images: Path) -> None:
    directory = images / "kernels/shipped"
    assert patches(images, "shipped") == PatchSet(
        (str(directory / "0001-a.patch"), str(directory / "0002-b.patch")),
        (str(directory / "fragment.config"),),
    )
    assert shipped_series(images) == ("shipped",)


def test_a_path_wins_where_it_is_written_as_one(images: Path) -> None:
    _write_series(images.parent / "shipped", ["own.patch"])
    assert patches(images, "./shipped") == PatchSet((str(images.parent / "shipped/own.patch"),))
    assert len(patches(images, "shipped").patches) == 2


def test_a_single_file(images: Path) -> None:
    (images.parent / "series.mbox").write_text("From x\n")
    assert patches(images, "series.mbox") == PatchSet((str(images.parent / "series.mbox"),))


def test_paths_are_absolute_although_the_topology_is_named_relatively(
    images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (images.parent / "one.patch").write_text("patch\n")
    monkeypatch.chdir(images.parent)
    made = read(Path("images"), 'source: {debian: "6.12"}, patches: [one.patch, shipped]')
    assert made.directory == images.parent
    assert all(Path(path).is_absolute() for each in made.patch_sets.values() for path in each.patches)
    assert all(
        Path(path).is_absolute()
        for path in made.base_fragments + made.emulated_fragments + made.native_fragments
    )


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (
            'source: {debian: "6.12"}, patches: [shiped]',
            "kernels.k.patches: 'shiped' is no shipped series (shipped)",
        ),
        ("source: {tarball: no.tar}", "kernels.k.source.tarball: there is no file"),
        ("source: {tree: nowhere}", "kernels.k.source.tree: there is no directory"),
        ("source: {image: nothing}", "kernels.k.source.image: there is no file"),
        ('source: {debian: "6.12"}, config: [my.config]', "kernels.k.config: there is no file"),
    ],
)
def test_what_does_not_exist(images: Path, kernel: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read(images, kernel)
    assert message in caught.value.message
    assert str(images.parent / "lab.yaml") in caught.value.message


def test_a_directory_without_series(images: Path) -> None:
    (images.parent / "empty").mkdir()
    with pytest.raises(InputError, match="empty/series: cannot be read: No such file"):
        patches(images, "empty")


def test_a_series_that_lists_a_missing_patch(images: Path) -> None:
    (images / "kernels/shipped/0002-b.patch").unlink()
    with pytest.raises(InputError, match=r"series lists 0002-b\.patch, which is not there"):
        patches(images, "shipped")


def test_a_series_with_options(images: Path) -> None:
    (images / "kernels/shipped/series").write_text("0001-a.patch -p0\n")
    with pytest.raises(InputError, match=r"lab.yaml: kernels.k.patches: .*series: line 1: '-p0'"):
        patches(images, "shipped")


@pytest.mark.parametrize("path", sorted((ROOT / "topologies").glob("*.yaml")), ids=lambda path: path.stem)
def test_kernels_of_shipped_topologies_are_there(path: Path) -> None:
    made = read_kernel_catalogue(read_topology(path), ROOT / "images")
    shipped = [fragment for each in made.patch_sets.values() for fragment in each.fragments]
    for fragment in (*made.base_fragments, *made.emulated_fragments, *made.native_fragments, *shipped):
        assert Path(fragment).is_file()


def test_a_series_that_is_not_text(images: Path) -> None:
    (images / "kernels/shipped/series").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="cannot be read"):
        patches(images, "shipped")

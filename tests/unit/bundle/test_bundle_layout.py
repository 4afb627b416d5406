# SPDX-License-Identifier: GPL-2.0-only
"""Where kernels' inputs lie in a bundle."""

from __future__ import annotations

import pytest
import yaml

from lab.bundle.layout import file_name, is_own_fragment, lay_out_kernel
from lab.bundle.names import wrong_name
from lab.bundle.resolved import resolve_topology
from lab.plan.kernels import parse_series
from lab.plan.labplan import KernelPlan, KernelSourcePlan

DEBIAN = KernelSourcePlan("debian", "6.12")
BASE = "/checkout/images/kernels/configs/base.config"


def kernel(patches=(), fragments=(BASE,), source=DEBIAN) -> KernelPlan:
    return KernelPlan("mine", source, tuple(patches), tuple(fragments), "")


def test_patches_become_one_series_in_their_order():
    layout = lay_out_kernel(kernel(["/b/0002-b.patch", "/a/0001-a.patch", "/c/all.mbox"]))
    where = "inputs/kernels/mine/patches"
    assert layout.series == "0002-b.patch\n0001-a.patch\nall.mbox\n"
    assert dict(layout.patches) == {
        f"{where}/0002-b.patch": "/b/0002-b.patch",
        f"{where}/0001-a.patch": "/a/0001-a.patch",
        f"{where}/all.mbox": "/c/all.mbox",
    }
    assert layout.topology["patches"] == (f"./{where}",)


@pytest.mark.parametrize(
    "paths",
    [
        ["/a/0001-x.patch", "/b/0001-x.patch"],
        ["/a/series", "/a/fragment.config"],
        ["/a/my patch.diff", "/a/# not a comment", "/a/back\\slash", "/a/\x1b[2J", f"/a/{'n' * 200}.patch"],
    ],
)
def test_awkward_names_are_listed_and_told_apart(paths):
    layout = lay_out_kernel(kernel(paths))
    names = parse_series(layout.series)
    assert [f"inputs/kernels/mine/patches/{name}" for name in names] == list(layout.patches)
    assert list(layout.patches.values()) == paths
    assert [wrong_name(member) for member in layout.patches] == [None] * len(paths)
    assert layout.series_file not in layout.patches


def test_a_series_keeps_its_fragment_and_others_are_named():
    fragments = (BASE, "/s/fragment.config", "/t/fragment.config", "/u/my.config")
    layout = lay_out_kernel(kernel(["/s/0001.patch"], fragments))
    where = "inputs/kernels/mine"
    assert list(layout.given.items()) == [
        (f"{where}/patches/fragment.config", "/s/fragment.config"),
        (f"{where}/config/1/fragment.config", "/t/fragment.config"),
        (f"{where}/config/2/my.config", "/u/my.config"),
    ]
    assert layout.topology["config"] == (
        f"./{where}/config/1/fragment.config",
        f"./{where}/config/2/my.config",
    )
    assert list(layout.fragments) == [
        "kernels/mine/fragments/1-base.config",
        "kernels/mine/fragments/2-fragment.config",
        "kernels/mine/fragments/3-fragment.config",
        "kernels/mine/fragments/4-my.config",
    ]


def test_the_labs_own_fragments_are_known_in_any_checkout():
    assert is_own_fragment(BASE)
    assert not is_own_fragment("/x/configs/base.config")
    assert not is_own_fragment("/checkout/images/kernels/paravirt-cpus/fragment.config")


def test_names_of_files_are_cut_at_their_beginning():
    assert file_name(f"/a/{'é' * 80}.patch").endswith("é.patch")
    assert len(file_name(f"/a/{'é' * 80}.patch").encode()) <= 99


@pytest.mark.parametrize("kind", ["tarball", "tree", "image"])
def test_a_source_by_path_is_looked_for_in_the_bundle(kind):
    text = f"version: 1\nname: x\nkernels: {{mine: {{source: {{{kind}: /home/me/linux-6.12.1}}}}}}\n"
    layouts = {"mine": lay_out_kernel(kernel(fragments=()))}
    resolved = resolve_topology(text, layouts, {}, {})
    assert f"{kind}: ./inputs/kernels/mine/{kind}/linux-6.12.1" in resolved
    assert "/home/me" not in resolved


def test_words_stay_words_and_numbers_numbers():
    """What YAML 1.1 would make of them is not what the lab reads."""
    text = "name: 'on'\nkernels: {}\nload: [{name: '1:30', vcpus: 0-1, value: '0x10', n: 1.50, b: true}]\n"
    loaded = yaml.safe_load(resolve_topology(text, {}, {}, {}))
    assert loaded["name"] == "on"
    assert loaded["load"] == [{"name": "1:30", "vcpus": "0-1", "value": "0x10", "n": 1.5, "b": True}]

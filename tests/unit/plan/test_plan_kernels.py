# SPDX-License-Identifier: GPL-2.0-only
"""Kernels: order of patches and fragments, absolute paths."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from planning import catalogue, facts, topology

from lab.errors import InputError
from lab.plan.decide import plan_lab
from lab.plan.kernels import PatchSet, parse_series
from lab.plan.labplan import KernelPlan, KernelSourcePlan

HEAD = "version: 1\nname: unit\n"
BASE = "/lab/images/kernels/configs/base.config"
EMULATED = "/lab/images/kernels/configs/emulated.config"
NATIVE = "/lab/images/kernels/configs/native.config"


def kernel(text: str, emulated: bool = False, sets: dict[str, PatchSet] | None = None) -> KernelPlan:
    asked = topology(f"kernels:\n  k: {{{text}}}\nnodes: [{{name: a, kernel: k}}]\n", HEAD)
    known = catalogue(asked)
    known = known if sets is None else replace(known, patch_sets=sets)
    (made,) = plan_lab(asked, facts(emulated=emulated), "unit0", known).kernels
    return made


def test_patches_and_fragments_stand_in_the_order_in_which_they_apply() -> None:
    sets = {
        "one": PatchSet(("/s/one/1.patch", "/s/one/2.patch"), ("/s/one/fragment.config",)),
        "../two.mbox": PatchSet(("/lab/two.mbox",)),
    }
    made = kernel(
        'source: {debian: "6.12"}, patches: [one, ../two.mbox], config: [my.config], cmdline: " a  b "',
        emulated=True,
        sets=sets,
    )
    assert made == KernelPlan(
        name="k",
        source=KernelSourcePlan("debian", "6.12"),
        patches=("/s/one/1.patch", "/s/one/2.patch", "/lab/two.mbox"),
        fragments=(BASE, EMULATED, "/s/one/fragment.config", "/lab/topologies/my.config"),
        cmdline="a b",
    )


def test_a_host_that_is_not_emulated_has_its_own_fragment() -> None:
    assert kernel('source: {debian: "6.12"}').fragments == (BASE, NATIVE)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("tarball: linux.tar.xz", KernelSourcePlan("tarball", "/lab/topologies/linux.tar.xz")),
        ("tree: ../linux, ref: v6.12", KernelSourcePlan("tree", "/lab/linux", "v6.12")),
        ("tree: /src/linux", KernelSourcePlan("tree", "/src/linux")),
        ("image: ./bzImage", KernelSourcePlan("image", "/lab/topologies/bzImage")),
    ],
)
def test_sources(source: str, expected: KernelSourcePlan) -> None:
    assert kernel(f"source: {{{source}}}").source == expected


def test_a_ready_image_is_not_configured() -> None:
    assert kernel("source: {image: bzImage}", emulated=True).fragments == ()


def test_a_kernel_that_no_node_uses_is_not_planned() -> None:
    asked = topology(
        'kernels:\n  k: {source: {debian: "6.12"}}\n  other: {source: {debian: "6.12"}}\n'
        "nodes: [{name: a, kernel: other}]\n",
        HEAD,
    )
    made = plan_lab(asked, facts(), "unit0", catalogue(asked))
    assert [each.name for each in made.kernels] == ["other"]
    assert [each.name for each in made.artifacts if each.kind == "kernel"] == ["other"]


def test_patches_that_the_catalogue_lacks() -> None:
    with pytest.raises(InputError, match=r"/lab/topologies/unit.yaml: kernels.k.patches: 'one'"):
        kernel('source: {debian: "6.12"}, patches: [one]', sets={})


def test_series() -> None:
    assert parse_series("# head\n\na.patch\n  b.patch -p1\nc.patch # why\n") == (
        "a.patch",
        "b.patch",
        "c.patch",
    )


def test_series_with_another_strip_level() -> None:
    with pytest.raises(ValueError, match="line 2: '-p0'"):
        parse_series("a.patch\nb.patch -p0\n")


def test_paths_stay_relative_to_the_catalogue_not_to_this_process() -> None:
    asked = topology("kernels:\n  k: {source: {image: b}}\nnodes: [{name: a}]\n", HEAD)
    known = replace(catalogue(asked), directory=Path("/elsewhere"))
    assert plan_lab(asked, facts(), "unit0", known).kernels[0].source.value == "/elsewhere/b"

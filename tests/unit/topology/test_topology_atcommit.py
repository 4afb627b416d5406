# SPDX-License-Identifier: GPL-2.0-only
"""Topologies whose kernels come from a commit of a git tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import InputError
from lab.topology.atcommit import at_commit, bisected_kernels, without_patches
from lab.topology.decode import decode_topology
from lab.topology.model import Topology

TREE = Path("/src/linux")
ONE = "{mine: {source: {debian: '6.12'}, patches: [series, b.patch], config: [c.config], cmdline: quiet}}"
TWO = "{plain: {source: {debian: '6.12'}}, mine: {source: {tree: ../linux, ref: v6.12}}}"


def topology(kernels: str) -> Topology:
    text = f"version: 1\nname: t\nkernels: {kernels}\nnodes: [{{name: guest, kernel: mine}}]\n"
    return decode_topology(text, Path("/src/topologies/t.yaml"))


def test_only_the_source_is_replaced_and_the_text_says_so() -> None:
    asked = topology(ONE)
    there = at_commit(asked, ("mine",), TREE, "abc")
    kernel = there.kernels["mine"]
    assert (kernel.source.tree, kernel.source.ref, kernel.source.debian) == ("/src/linux", "abc", None)
    assert (kernel.patches, kernel.config, kernel.cmdline) == (("series", "b.patch"), ("c.config",), "quiet")
    assert there.text.splitlines()[0] == "# The source of kernel mine was commit abc of a git tree."
    assert decode_topology(there.text, there.path).name == "t"
    assert asked.kernels["mine"].source.debian == "6.12"


def test_other_kernels_stay() -> None:
    there = at_commit(topology(TWO), ("mine",), TREE, "abc")
    assert there.kernels["plain"].source.debian == "6.12"


def test_without_patches_their_config_stays() -> None:
    bare = without_patches(topology(ONE), ("mine",), {"series": ("/images/series/fragment.config",)})
    assert bare.kernels["mine"].patches == ()
    assert bare.kernels["mine"].config == ("/images/series/fragment.config", "c.config")


def test_which_kernel_is_meant() -> None:
    assert bisected_kernels(topology(ONE), (), TREE) == ("mine",)
    assert bisected_kernels(topology(TWO), (), TREE) == ("mine",)
    assert bisected_kernels(topology(TWO), ("plain", "mine", "plain"), TREE) == ("plain", "mine")
    with pytest.raises(InputError, match=r"there is no kernel 'yours' \(it has: plain, mine\)"):
        bisected_kernels(topology(TWO), ("yours",), TREE)
    with pytest.raises(InputError, match="which kernel is built from /elsewhere"):
        bisected_kernels(topology(TWO), (), Path("/elsewhere"))

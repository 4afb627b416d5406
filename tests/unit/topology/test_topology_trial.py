# SPDX-License-Identifier: GPL-2.0-only
"""A topology made into a trial of a series is a topology like any other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lab.errors import InputError
from lab.topology.decode import decode_topology, read_topology
from lab.topology.model import Topology
from lab.topology.trial import Trial, render_trial

TOPOLOGIES = Path(__file__).parents[3] / "topologies"
SHIPPED = ("paravirt-cpus",)
TEXT = """\
# SPDX-License-Identifier: GPL-2.0-only
# What is asked here?
version: 1
name: unit
description: Something
kernels:
  plain: {source: {tree: ../linux}, config: [my.config], cmdline: quiet}
  other: {source: {debian: "6.12"}, patches: [paravirt-cpus, ./mine.patch]}
  unused: {source: {image: bzImage}}
nodes:
  - {name: one, vcpus: 2, kernel: plain}
  - {name: two, vcpus: 2, kernel: other}
load: [{name: busy, tasks: 2}]
knobs: [{knob: steal.high, value: "5%"}]
phases:
  - {name: before, start: [busy], duration: 5s}
  - {name: folded, duration: 5s, fold: [{nodes: two, vcpus: "1", by: mask}]}
expect:
  - steal: {phase: before, min: 10%}
  - agreement: {max: 2%}
  - affinity_unchanged: {load: busy}
  - affinity_unchanged: {load: busy, phase: folded}
  - fold_effect: {nodes: two, phase: folded, max: 1s}
"""


def asked(text: str = TEXT, path: str = "/there/unit.yaml") -> Topology:
    return decode_topology(text, Path(path))


def tried(topology: Topology, base: Mapping[str, Any] | None = None, **how: Any) -> Topology:
    trial = Trial("./series", how.pop("repeats", 4), "[PATCH 0/2] lines", base=base, **how)
    return decode_topology(render_trial(topology, trial, SHIPPED), Path("/here/topology.yaml"))


def test_every_node_boots_its_kernel_and_the_same_with_the_series() -> None:
    made = tried(asked())
    assert list(made.kernels) == ["plain", "other", "plain-patched", "other-patched"]
    assert made.kernels["plain"].patches == ()
    assert made.kernels["plain-patched"].patches == ("./series",)
    assert made.kernels["other-patched"].patches == ("paravirt-cpus", "/there/mine.patch", "./series")
    for name in ("plain", "other"):
        base, patched = made.kernels[name], made.kernels[f"{name}-patched"]
        assert patched.model_copy(update={"patches": base.patches}) == base
    assert made.kernels["plain"].source.tree == "/linux"
    assert made.kernels["plain"].config == ("/there/my.config",)
    base_arm, patched_arm = made.arms
    assert (base_arm.name, base_arm.kernel, base_arm.lacks_knobs) == ("base", None, True)
    assert not isinstance(patched_arm.kernel, str) and patched_arm.kernel is not None
    assert [(one.nodes, one.kernel) for one in patched_arm.kernel] == [
        ("one", "plain-patched"),
        ("two", "other-patched"),
    ]


def test_what_is_expected_is_expected_of_the_patched_kernel() -> None:
    made = tried(asked())
    kinds = ("steal", "agreement", "affinity_unchanged", "fold_effect")
    said = [getattr(one, kind) for one in made.expectations for kind in kinds if getattr(one, kind)]
    arms = [one.arm for one in said]
    assert arms == ["patched", None, None, "patched", "patched"]


@pytest.mark.parametrize(("repeats", "order"), [(4, "abba"), (5, "random")])
def test_repeats_are_interleaved(repeats: int, order: str) -> None:
    made = tried(asked(), repeats=repeats).repeats
    assert (made.count, made.order, made.baseline, made.warmup, made.aa) == (repeats, order, "base", 0, False)
    assert tried(asked(), aa=True).repeats.aa is True


def test_the_text_says_what_it_is_and_what_was_asked() -> None:
    text = render_trial(asked(), Trial("./series", 4, "[PATCH 0/2] lines"), SHIPPED)
    assert text.splitlines()[1] == "# What is asked here?"
    assert "# Made by `lab try` of unit.yaml: base as it is, patched with [PATCH 0/2] lines" in text
    assert "&id" not in text


def test_another_base_is_for_all_and_keeps_what_the_scenario_needs() -> None:
    made = tried(asked(), {"source": {"debian": "6.12"}})
    assert {kernel.source.debian for kernel in made.kernels.values()} == {"6.12"}
    assert made.kernels["plain"].cmdline == "quiet"
    assert made.kernels["other"].patches == ()
    assert made.kernels["other-patched"].patches == ("./series",)


def test_a_commit_is_for_trees_that_name_none() -> None:
    made = tried(asked(), ref="abc")
    assert [made.kernels[name].source.ref for name in ("plain", "plain-patched", "other")] == [
        "abc",
        "abc",
        None,
    ]
    named = TEXT.replace("{tree: ../linux}", "{tree: ../linux, ref: v6.12}")
    assert tried(asked(named), ref="abc").kernels["plain"].source.ref == "v6.12"


def test_aliases_are_not_changed_in_places_where_they_were_not_meant() -> None:
    text = TEXT.replace(
        "  - steal: {phase: before, min: 10%}\n", "  - steal: &s {phase: before, min: 10%}\n  - steal: *s\n"
    )
    assert len(tried(asked(text)).expectations) == 6


def test_arms_of_ones_own_and_ready_images_are_told() -> None:
    with pytest.raises(InputError, match=r"has arms already \(feature-on, feature-off, baseline\)"):
        tried(read_topology(TOPOLOGIES / "matrix-small.yaml"))
    image = TEXT.replace("tree: ../linux}, config: [my.config]", "image: bzImage}")
    with pytest.raises(InputError, match=r"kernels\.plain is a ready image") as caught:
        tried(asked(image))
    assert caught.value.hint is not None and "--kernel" in caught.value.hint
    assert tried(asked(image), {"source": {"debian": "6.12"}}).kernels["plain"].source.debian == "6.12"
    long = TEXT.replace("plain", "a" * 30)
    with pytest.raises(InputError, match="too long"):
        tried(asked(long))


@pytest.mark.parametrize(
    "path", [path for path in sorted(TOPOLOGIES.glob("*.yaml")) if "arms:" not in path.read_text()],
    ids=lambda path: path.stem,
)  # fmt: skip
def test_every_shipped_topology_without_arms_can_be_tried(path: Path) -> None:
    topology = read_topology(path)
    made = tried(topology)
    assert [node.name for node in made.nodes] == [node.name for node in topology.nodes]
    assert [phase.name for phase in made.phases] == [phase.name for phase in topology.phases]
    assert made.load_kinds == topology.load_kinds

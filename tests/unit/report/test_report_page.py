# SPDX-License-Identifier: GPL-2.0-only
"""The page: one well-formed file with nothing to fetch, whatever the recording is and says."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reporting import (
    SECTIONS,
    Happened,
    console,
    make_plan,
    material_of,
    measure,
    page_of,
    start_ns,
    table_rows,
    traced,
    tree_of,
)
from unit.judge.comparing import TOPOLOGY, arm_speed, measure_arms, plan_arms

from lab.judge.evaluate import judge
from lab.judge.layout import WIDTH
from lab.judge.verdict import Outcome
from lab.measure.windows import PhaseWindow
from lab.report.mail import render_mail
from lab.report.material import Material

PLAN = make_plan()
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=y>\"' & {{ 7*7 }} \x1b[31m\u202e\ud800\x00"


def arms() -> Material:
    plan = plan_arms(TOPOLOGY)
    measurements = measure_arms(plan, arm_speed({"feature-on": 1.1}))
    return Material(plan, measurements, judge(plan, measurements), {}, "", ())


def doubted() -> Material:
    well = measure(PLAN)
    phases = (replace(well.phases[0], doubts=("host disturbed: somebody compiled",)), *well.phases[1:])
    return material_of(PLAN, replace(well, phases=phases))


KINDS = {
    "passed": lambda: material_of(PLAN, measure(PLAN)),
    "failed": lambda: material_of(PLAN, measure(PLAN, steal_pct=10.0)),
    "undecided": doubted,
    "cut short": lambda: material_of(PLAN, measure(PLAN, measured=1)),
    "never begun": lambda: material_of(PLAN, measure(PLAN, measured=0)),
    "traced": lambda: material_of(PLAN, traced(PLAN, measure(PLAN))),
    "one vCPU": lambda: material_of(one := make_plan(guests=1, vcpus=1), measure(one)),
    "64 vCPUs": lambda: material_of(large := make_plan(guests=2, vcpus=64), measure(large)),
    "a hundred guests": lambda: material_of(wide := make_plan(guests=100), measure(wide)),
    "arms": arms,
}
OUTCOMES = {"failed": Outcome.FAILED, "undecided": Outcome.UNDECIDED, "cut short": Outcome.UNDECIDED}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_recording_makes_a_whole_page(kind):
    material = KINDS[kind]()
    page = page_of(material)
    tree = tree_of(page)
    sections = [one for one in tree.xpath("//section/@id") if one != "arms"]
    assert sections == list(SECTIONS)
    assert len(page) < 1024 * 1024
    assert tree.xpath("string(//h1/span)") == material.judgement.outcome.name
    assert material.judgement.outcome is OUTCOMES.get(kind, material.judgement.outcome)
    idents = tree.xpath("//@id")
    assert len(idents) == len(set(idents))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_recording_makes_a_whole_mail(kind):
    material = KINDS[kind]()
    text = render_mail(material)
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= WIDTH
    assert material.judgement.outcome.name in text.splitlines()[0]


@pytest.mark.parametrize("kind", ["passed", "traced", "arms"])
def test_nothing_is_fetched_and_nothing_runs(kind):
    page = page_of(KINDS[kind]())
    tree = tree_of(page)
    assert not tree.xpath("//script | //link | //img | //iframe | //object | //embed | //base | //form")
    assert not tree.xpath("//@src | //@srcset | //@*[starts-with(name(), 'on')]")
    assert all(one.startswith("#") for one in tree.xpath("//@href"))
    style = tree.xpath("string(//style)")
    assert not re.search(r"@import|url\(|expression|https?:", style)
    assert "prefers-color-scheme: dark" in style
    assert "@media print" in style


def test_links_lead_to_sections():
    tree = tree_of(page_of(KINDS["arms"]()))
    targets = {one.removeprefix("#") for one in tree.xpath("//nav/a/@href")}
    assert targets == {*SECTIONS, "arms"}
    assert targets <= set(tree.xpath("//@id"))


def test_drawings_and_tables_can_be_read_without_being_seen():
    tree = tree_of(page_of(KINDS["traced"]()))
    drawings = tree.xpath("//svg")
    assert len(drawings) == 1 + 2 + 2 * 4  # placement, a drawing of each guest, two histograms of each vCPU
    for one in drawings:
        ids = one.get("aria-labelledby").split()
        named = [tree.xpath("//*[@id = $it]", it=ident)[0] for ident in ids]
        assert [name.tag for name in named] == ["title", "desc"]
        assert all("".join(name.itertext()).strip() for name in named)
    assert tree.xpath("//table")
    assert not tree.xpath("//thead//th[not(@scope = 'col')] | //tbody//th[not(@scope = 'row')]")
    assert all(row.xpath("./th") for row in tree.xpath("//tbody/tr"))


def hostile() -> Material:
    """Everything that others may have written says what a page must not do."""
    plan = make_plan()
    phases = (replace(plan.phases[0], name=HOSTILE), *plan.phases[1:])
    plan = replace(
        plan, name=HOSTILE, phases=phases, expectations=(replace(plan.expectations[0], text=HOSTILE),)
    )
    well = measure(plan)
    doubts = (PhaseWindow(HOSTILE, start_ns(0), start_ns(1), (HOSTILE,)), *well.phases[1:])
    knob = dict.fromkeys(("node", "knob", "old", "new", "path", "reason", "text"), HOSTILE)
    events = [
        Happened(S_NS, kind, knob) for kind in ("knob", "knob-skipped", "contention", "note", "disturbance")
    ]
    return material_of(
        plan,
        replace(well, phases=doubts, retries=(HOSTILE,)),
        about={"created": HOSTILE, "python": HOSTILE},
        topology_text=f"# {HOSTILE}\ndescription: {HOSTILE!r}\n",
        events=events,
        consoles=(console(f"BUG: {HOSTILE}\n" * 3, HOSTILE),),
    )


S_NS = 1_000_000_000


def test_what_others_wrote_is_text():
    page = page_of(hostile())
    tree = tree_of(page)
    assert not tree.xpath("//script | //img")
    assert "<script>alert" not in page
    assert "49" not in tree.xpath("string(//h1)")
    assert "\\u202e" in page
    assert not {"\x1b", "\x00", "\u202e", "\ud800"} & set(page)
    page.encode("utf-8")
    render_mail(hostile()).encode("ascii")


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=60))
def test_no_console_breaks_the_page(text):
    page = page_of(material_of(PLAN, measure(PLAN), consoles=(console(f"Oops: {text}"),)))
    tree = tree_of(page)
    assert len(tree.xpath("//section")) == len(SECTIONS)
    page.encode("utf-8")


def test_verdicts_stand_first_with_what_was_seen_and_why():
    tree = tree_of(page_of(KINDS["undecided"]()))
    first = tree.xpath("//section")[0]
    assert first.get("id") == "verdicts"
    row = " ".join(first.xpath("string(.//tbody/tr[1])").split())
    assert "UNDECIDED" in row
    assert "guest1 vcpu 0" in row
    assert "guest 50.0 %, host 50.0 %" in row
    assert "host disturbed: somebody compiled" in row
    doubts = table_rows(tree, "Why something may not count")
    assert doubts == [["host disturbed: somebody compiled", "phase0"]]


def test_many_verdicts_that_passed_open_on_demand_and_others_do_not():
    tree = tree_of(page_of(KINDS["64 vCPUs"]()))
    assert "256 passed" in tree.xpath("string(//section[@id = 'verdicts']//h3)")
    assert tree.xpath("//section[@id = 'verdicts']//details")
    failed = material_of(plan := make_plan(guests=2, vcpus=64), measure(plan, steal_pct=5.0))
    tree = tree_of(page_of(failed))
    assert tree.xpath("//section[@id = 'verdicts']//article/div//tr[@class = 'failed']")
    assert "188 more verdicts" in tree.xpath("string(//section[@id = 'verdicts'])")


def test_a_thousand_windows_stay_a_page():
    plan = make_plan(phases=1000)
    material = material_of(plan, measure(plan))
    page = page_of(material)
    assert len(page) < 600 * 1024
    tree = tree_of(page)
    rows = table_rows(tree, "Knobs, times in seconds")
    assert len(rows) == 300
    assert "700 more rows" in tree.xpath("string(//section[@id = 'journal'])")
    # Windows that are too narrow to be told apart are shaded together.
    assert len(tree.xpath("//svg[contains(@class, 'steal')]//rect")) < 2 * 250
    assert len(render_mail(material).splitlines()) < 400


def test_repeats_of_arms_are_told_together():
    tree = tree_of(page_of(KINDS["arms"]()))
    assert "baseline" in tree.xpath("string(//section[@id = 'arms'])")
    rows = table_rows(tree, "Steal over windows and vCPUs, % of time")
    assert {row[1] for row in rows} >= {"baseline"}
    metrics = tree.xpath("//section[@id = 'arms']//tbody/tr")
    improved = [row for row in metrics if "improved" in row.xpath("string()")]
    assert any("feature-on" in row.xpath("string()") for row in improved)


def test_the_journal_numbers_what_the_drawing_marks():
    tree = tree_of(page_of(KINDS["passed"]()))
    rows = table_rows(tree, "Knobs, times in seconds")
    assert rows[0] == ["k1", "0.50", "guest1", "avoid_cpus", "(empty) → 1", "/sys/avoid"]
    drawing = tree.xpath("//svg[contains(@class, 'steal')]")[0]
    assert drawing.xpath(".//text[contains(@class, 'knob')]/text()") == ["k1", "k2"]
    assert drawing.xpath(".//line[contains(@class, 'knob')]/title/text()")[0].startswith(
        "k1: avoid_cpus of guest1"
    )


def test_preemptions_are_told_where_they_were_traced():
    tree = tree_of(page_of(KINDS["traced"]()))
    assert table_rows(tree, "Who took its pCPU")[0] == ["guest1", "0", "guest2 vcpu 1", "1900", "3000.0"]
    rate = table_rows(tree, "Preemptions in phase0, times in ms")[0]
    assert rate[:3] == ["guest1", "0", "200.0"]
    assert table_rows(tree, "Run delay, % of the window, by")[0] == [
        "guest1",
        "0",
        "50.0",
        "50.0",
        "50.0",
        "0.0",
    ]
    assert "lost events: 7 of the host" in tree.xpath("string(//section[@id = 'preemptions'])")
    assert "Not traced" in tree_of(page_of(KINDS["passed"]())).xpath("string(//section[@id = 'preemptions'])")

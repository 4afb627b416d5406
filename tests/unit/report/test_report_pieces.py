# SPDX-License-Identifier: GPL-2.0-only
"""The pieces of a report: scales, drawings, consoles, and texts that must not act."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from reporting import make_plan

from lab.measure.course import VcpuCourse
from lab.report.console import COMPLAINTS, LAST, LONGEST, Console, excerpt
from lab.report.histogram import draw_histogram, render_length
from lab.report.placement import MOST_ROWS, draw_placement
from lab.report.runview import question_of
from lab.report.scale import Scale, round_step, ticks
from lab.report.stealchart import Band, Mark, Span, draw_steal
from lab.report.svg import clipped, element
from lab.report.visible import visible, without_escapes
from lab.trace.distribution import Bucket

S = 1_000_000_000


def parsed(drawing) -> etree._Element:
    """A drawing by itself is well-formed XML."""
    return etree.fromstring(str(drawing))


def test_scales_keep_what_lies_outside_at_the_edge():
    scale = Scale(0, 10, 100, 200)
    assert [scale(value) for value in (-5, 0, 5, 10, 99)] == [100, 100, 150, 200, 200]
    assert Scale(3, 3, 100, 200)(3) == 100


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [
        (0, 100, 4, [0, 50, 100]),
        (-1.2, 45, 8, [0, 10, 20, 30, 40]),
        (0, 0.5, 5, [0, 0.1, 0.2, 0.3, 0.4, 0.5]),
    ],
)
def test_ticks_are_round(low, high, most, expected):
    assert list(ticks(low, high, most)) == pytest.approx(expected)


@given(st.floats(1e-6, 1e9), st.integers(1, 20))
def test_a_step_never_gives_more_ticks_than_asked(length, most):
    assert length / round_step(length, most) <= most * (1 + 1e-6)


def test_elements_escape_names_and_values():
    made = element("text", "a < b & \x07", title='"quoted"', class_="x", font_size=1.25, left_out=None)
    assert made == '<text title="&#34;quoted&#34;" class="x" font-size="1.2">a &lt; b &amp; \\x07</text>'


@pytest.mark.parametrize(
    ("text", "width", "expected"), [("abc", 20, "abc"), ("abcdefgh", 31, "abcd…"), ("abcdefgh", 6, "")]
)
def test_texts_are_clipped_to_their_room(text, width, expected):
    assert clipped(text, width) == expected


@given(st.text())
def test_visible_text_has_nothing_unseen(text):
    shown = visible(text)
    assert not any(char < " " and char not in "\n\t" for char in shown)
    assert not set("\u202a\u202e\u2066\u200b\ufeff\x7f\x9b") & set(shown)
    shown.encode()
    assert visible(shown) == shown


def test_consoles_lose_what_drives_terminals():
    assert (
        without_escapes("\x1b[1;31mred\x1b[0m\x1b]0;title\x07 line\r\nnext\rover") == "red line\nnext\nover"
    )


# ---- consoles


def test_lines_that_look_like_trouble_are_found_with_their_numbers():
    lines = [f"[ {number}.0] all is well" for number in range(100)]
    lines[10] = "[ 1.0] ------------[ cut here ]------------"
    lines[20] = "[ 2.0] WARNING: CPU: 0 PID: 1 at kernel/sched/core.c:1 x+0x1/0x2"
    lines[30] = "[ 3.0] watchdog: BUG: soft lockup - CPU#1 stuck for 22s!"
    lines[40] = "[ 4.0] clocksource: timekeeping watchdog: Marking clocksource 'tsc' as unstable"
    seen = excerpt(Console("guest1", "\n".join(lines) + "\n\n"))
    assert [number for number, _ in seen.complaints] == [11, 21, 31, 41]
    assert seen.lines == 100
    assert [number for number, _ in seen.last] == list(range(101 - LAST, 101))


def test_endless_consoles_are_cut():
    seen = excerpt(Console("guest1", "Oops: 0000\n" * 1000 + "x" * 10_000))
    assert len(seen.complaints) == COMPLAINTS
    assert seen.more_complaints == 1000 - COMPLAINTS
    assert seen.last[-1][1].endswith(f"({10_000 - LONGEST} more)")
    assert len(excerpt(Console("guest1", "y\n" * 2_000_000)).last) == LAST


def test_a_silent_console_is_no_trouble():
    assert excerpt(Console("guest1", "\n\n")).last == ()


# ---- questions


def test_the_question_is_the_comment_at_the_top():
    text = "# SPDX-License-Identifier: GPL-2.0-only\n# Why\n# so?\n#\n#   one\n#   two\nname: x\n# not this\n"
    asked = question_of(text + "description: About it\n")
    assert (asked.description, asked.asked) == ("About it", ("Why so?", "one", "two"))


@pytest.mark.parametrize("text", ["", "\t: no: yaml", "- a list", "description: [1]", "a: &a [*a]"])
def test_a_topology_that_says_nothing_is_no_error(text):
    assert question_of(text).description == ""


# ---- drawings

PLACEMENT = """\
<text x="4" y="24" class="name">pCPU</text>\
<rect x="118.5" y="32" width="75" height="93" class="column leased"/>\
<text x="156" y="26" class="number" text-anchor="middle">0</text>\
<rect x="194.5" y="32" width="75" height="93" class="column spare"/>\
<text x="232" y="26" class="number" text-anchor="middle">1</text>\
<text x="4" y="51" class="name">guest1</text>\
<rect x="121" y="36" width="70" height="22" class="bar guest-0" rx="4">\
<title>guest1 vCPU 0-1 on pCPU 0</title></rect>\
<text x="156" y="51" class="label" text-anchor="middle">0-1</text>\
<text x="4" y="82" class="name">hog noisy</text>\
<rect x="121" y="67" width="70" height="22" class="bar hog" rx="4"><title>hog noisy, 20 %</title></rect>\
<text x="156" y="82" class="label" text-anchor="middle">20 %</text>\
<text x="4" y="113" class="name">housekeeping</text>\
<rect x="197" y="98" width="70" height="22" class="bar keeping floats" rx="4">\
<title>emulator and I/O threads</title></rect>\
<text x="232" y="113" class="label" text-anchor="middle">emulators</text></svg>"""


def test_placement_is_drawn():
    plan = make_plan(guests=1)
    drawn = str(draw_placement(plan))
    assert drawn.endswith(PLACEMENT)
    about = "guest1 vCPU 0-1 on pCPU 0; hog noisy on pCPU 0; housekeeping on pCPU 1"
    assert parsed(drawn).xpath("string(desc)") == about


def test_vcpus_that_move_have_a_lane_of_their_own():
    plan = make_plan(guests=1, vcpus=4)
    free = tuple(replace(one, pcpus=(0, 1)) if one.vcpu > 1 else one for one in plan.nodes[0].vcpus)
    tree = parsed(draw_placement(replace(plan, nodes=(replace(plan.nodes[0], vcpus=free),))))
    bars = [(one.get("class"), one.get("y")) for one in tree.xpath("//rect[contains(@class, 'guest-0')]")]
    assert bars == [("bar guest-0", "36"), ("bar guest-0", "36"), ("bar guest-0 floats", "62")]


def test_cores_and_numa_nodes_stand_above_their_pcpus():
    plan = make_plan(guests=2)
    known = replace(plan.host, cores=((0, 1), (2,)), numa_nodes=((0, 1), (2,)))
    tree = parsed(draw_placement(replace(plan, host=known)))
    assert tree.xpath("//rect[@class = 'band']/title/text()") == [
        "NUMA node 0: pCPU 0-1",
        "NUMA node 1: pCPU 2",
    ]
    cores = parsed(draw_placement(replace(plan, host=replace(known, numa_nodes=()))))
    assert cores.xpath("//rect[@class = 'band']/title/text()") == ["core 0: pCPU 0-1"]


def test_guests_without_number_are_no_drawing_without_end():
    alike = parsed(draw_placement(make_plan(guests=500, vcpus=2)))
    assert "guest1 … (500)" in alike.xpath("//text/text()")
    plan = make_plan(guests=200)
    different = tuple(
        replace(node, vcpus=(replace(node.vcpus[0], pcpus=(number,)),))
        for number, node in enumerate(plan.nodes)
    )
    tree = parsed(draw_placement(replace(plan, nodes=different)))
    assert len(tree.xpath("//rect[contains(@class, 'bar guest')]")) == MOST_ROWS


def course(guest, host) -> VcpuCourse:
    return VcpuCourse("guest1", 0, tuple(number * S for number in range(len(guest) + 1)), guest, host)


def test_a_line_breaks_where_nothing_was_seen():
    seen = course((0.0, 50.0, None, 100.0), (None,) * 4)
    tree = parsed(draw_steal("s", "Steal", [seen], Span(0, 4, (), ()), 0))
    paths = {one.get("class"): one.get("d") for one in tree.xpath("//path")}
    assert paths == {"guest": "M128 80L260 57M524 34", "host": "M0 0"}
    assert "vCPU 0 on the whole: guest 50 %." in tree.xpath("string(desc)")


def test_windows_and_changes_are_marked():
    span = Span(
        0, 10, (Band(1, 4, "first"), Band(5, 9, "second")), (Mark(4.5, "knob", "k1", "k1: avoid_cpus"),)
    )
    tree = parsed(draw_steal("s", "Steal", [course((50.0,) * 10, (40.0,) * 10)], span, 0))
    windows = [(one.get("x"), one.get("width")) for one in tree.xpath("//rect")]
    assert windows == [("114.8", "158.4"), ("326", "211.2")]
    assert tree.xpath("//rect/title/text()") == ["first", "second"]
    assert tree.xpath("//line[contains(@class, 'knob')]/@x1") == ["299.6"]
    assert tree.xpath("//text[contains(@class, 'knob')]/text()") == ["k1"]


def test_histograms_have_a_bar_for_each_power_that_any_has():
    buckets = (Bucket(1024, 2048, 3), Bucket(2048, 4096, 0), Bucket(4096, 8192, 6))
    tree = parsed(draw_histogram("h", "guest1 vCPU 0", buckets, (11, 17), "preempted"))
    bars = [(one.get("x"), one.get("y"), one.get("height")) for one in tree.xpath("//rect")]
    assert bars == [("40.5", "61", "41"), ("124.5", "20", "82")]
    assert tree.xpath("//rect/title/text()") == ["3 of 1.0 ms to 2.0 ms", "6 of 4.1 ms to 8.2 ms"]
    assert "10 ms" in tree.xpath("//text/text()")


@pytest.mark.parametrize(
    ("length_ns", "expected"),
    [(0, "0 ns"), (999, "999 ns"), (1500, "1.5 us"), (20e6, "20.0 ms"), (150e9, "150 s")],
)
def test_lengths_have_three_digits(length_ns, expected):
    assert render_length(length_ns) == expected

# SPDX-License-Identifier: GPL-2.0-only
"""Command lines with parameters put in, replaced and taken away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.plan.cmdline import (
    cmdline_candidate,
    cmdline_parameters,
    override_cmdline,
    read_parameter,
    restarted_nodes,
)
from lab.plan.labplan import KnobCandidate, KnobSetting

FILE = KnobCandidate("g", "file", "/sys/kernel/thing", "1", "bool")


def parameter(name: str, raw: str) -> KnobCandidate:
    return KnobCandidate("g", "cmdline", name, raw, "text")


def setting(node: str, *candidates: KnobCandidate) -> KnobSetting:
    return KnobSetting(node, "knob", "1", "text", candidates)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, "quiet nohz=on lab.name=a"),
        ({"nohz": "off"}, "quiet lab.name=a nohz=off"),
        ({"nohz": ""}, "quiet lab.name=a"),
        ({"threadirqs": "threadirqs"}, "quiet nohz=on lab.name=a threadirqs"),
        ({"quiet": ""}, "nohz=on lab.name=a"),
        ({"isolcpus": "1-2", "noh": "x"}, "quiet nohz=on lab.name=a isolcpus=1-2 noh=x"),
    ],
)
def test_parameters_are_put_in_replaced_and_taken_away(parameters, expected):
    assert override_cmdline("quiet nohz=on lab.name=a", parameters) == expected


def test_words_in_quotes_stay_whole():
    assert (
        override_cmdline('dyndbg="file a.c +p" nohz=on', {"nohz": "off"}) == 'dyndbg="file a.c +p" nohz=off'
    )


@given(
    st.sampled_from(["", "off", "flag", "1,2", "a=b", "file a.c +p"]),
    st.sampled_from(["", "flag", "flag=3", "x flag=1 y flag=2"]),
)
def test_what_was_put_in_is_what_is_read(raw, before):
    assert read_parameter(override_cmdline(before, {"flag": raw}), "flag") == raw


def test_of_several_values_the_kernel_takes_the_last():
    assert read_parameter("nohz=on nohz=off", "nohz") == "off"


def test_a_guest_is_started_anew_only_for_what_has_no_other_place():
    only, either, other = (
        setting("a", parameter("nohz", "off")),
        setting("b", FILE, parameter("x", "1")),
        setting("c", FILE),
    )
    assert restarted_nodes([only, either, other, only]) == ("a",)
    assert cmdline_candidate(only) == parameter("nohz", "off")
    assert cmdline_candidate(setting("d")) is None


def test_the_last_value_for_a_parameter_counts_on_its_own_node():
    settings = [
        setting("a", parameter("nohz", "off")),
        setting("b", parameter("nohz", "x")),
        setting("a", parameter("nohz", "on")),
    ]
    assert cmdline_parameters(settings, "a") == {"nohz": "on"}

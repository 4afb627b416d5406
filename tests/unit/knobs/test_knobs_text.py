# SPDX-License-Identifier: GPL-2.0-only
"""The registry told in words."""

from __future__ import annotations

import pytest

from lab.errors import InputError
from lab.knobs.load import shipped_registry
from lab.knobs.text import render_explanation, render_knob_list

SHIPPED = shipped_registry()

PERIOD = """\
steal.period: integer ms 10..100000, of a guest
  How often the guest looks at its steal and decides.
  Values: a whole number, in ms; 2s is converted.

Where it is kept; the first of these that the kernel has is used:
  reference: the project's own series (paravirt-cpus), Linux 6.12
    debugfs sched/paravirt_governor/interval_ms
      takes 100..100000
  steal-governor-v8: module steal_governor, v8 to v14 (merged for Linux 7.4, September 2026)
    module parameter steal_governor/interval_ms, by loading the module anew
      takes 100..
  steal-monitor-v7: module steal_monitor, parameters fixed at load, v7 (July 2026)
    module parameter steal_monitor/interval_ms, by loading the module anew
  steal-monitor-v5: module steal_monitor with writable parameters, v5 and v6 (June-July 2026)
    module parameter steal_monitor/interval_ms
  steal-monitor-v3: preferred CPUs with sched/steal_monitor in debugfs, v3 and v4 (May-June 2026)
    debugfs sched/steal_monitor/sampling_period
  paravirt-cpus-v1: Paravirt CPUs (November 2025)
    debugfs powerpc/steal_check_frequency
      in s
      takes 1..10
"""


def test_an_explanation_as_a_whole() -> None:
    assert render_explanation("steal.period", SHIPPED) == PERIOD


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("avoid_cpus", "holds the other vCPUs: those that are not in the value"),
        ("avoid_cpus", "At least 1 vCPU must stay out of it."),
        ("steal.policy", "Values: last or numa."),
        ("steal.ratio", "read-only"),
        ("debooster.enable", "of the host"),
        ("debooster.enable", "scheduler feature YIELD_TO_LAG_CREDIT"),
        ("nohz_full", "kernel command line, nohz_full=: the guest is started anew"),
        ("vcpu.quota", "cpu.max of the control group of each vCPU, on the host"),
        ("cpu_online", "CPU hotplug"),
        ("steal.enable", "whether the module steal_governor is loaded"),
    ],
)
def test_an_explanation_says(name: str, said: str) -> None:
    assert said in render_explanation(name, SHIPPED)


def test_every_knob_can_be_explained() -> None:
    for name in SHIPPED.knobs:
        assert render_explanation(name, SHIPPED).startswith(f"{name}: ")


def test_an_unknown_knob() -> None:
    with pytest.raises(InputError, match=r"unknown knob 'steal.hihg'; did you mean 'steal.high'"):
        render_explanation("steal.hihg", SHIPPED)


def test_the_list_has_a_line_for_each() -> None:
    lines = render_knob_list(SHIPPED).splitlines()
    assert [line.split()[0] for line in lines[1:]] == sorted(SHIPPED.knobs)
    (high,) = (line for line in lines if line.startswith("steal.high"))
    assert high.split()[:4] == ["steal.high", "guest", "integer", "percent_x100"]
    assert "reference" in high

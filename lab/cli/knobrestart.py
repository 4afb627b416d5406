# SPDX-License-Identifier: GPL-2.0-only
"""`lab knob set` of a knob on the kernel's command line: the guest is started anew."""

from __future__ import annotations

from lab.cli.desk import Desk
from lab.cli.running import RunningLab, open_running_host, open_running_knobs
from lab.plan.cmdline import cmdline_candidate
from lab.plan.labplan import KnobSetting
from lab.run.kept import kept_parameter, start_kept_anew
from lab.run.ports import Host


def set_on_command_line(desk: Desk, lab: RunningLab, setting: KnobSetting) -> str:
    """Start the guest of `setting` anew with it, unless it has it; what has changed, in a line.

    The knobs that the topology sets before the first phase are set again. Loads have ended.
    """
    place = cmdline_candidate(setting)
    assert place is not None
    old = kept_parameter(lab.directory, setting.node, place.path)
    if old == place.raw:
        return f"{setting.node} {setting.knob}: is {old or 'empty'} already"
    with open_running_host(desk, lab) as host:
        changes = {setting.node: {place.path: place.raw}}
        start_kept_anew(host, lab.plan, lab.directory, lab.record.remote_dir, changes, desk.narrator)
        _set_again(desk, host, lab, setting.node)
    return (
        f"{setting.node} {setting.knob}: {old or 'empty'} -> {place.raw or 'empty'}; {setting.node} was started "
        "anew: its loads have ended, knobs are as the topology sets them"
    )


def _set_again(desk: Desk, host: Host, lab: RunningLab, node: str) -> None:
    settings = [one for one in lab.plan.knobs if one.node == node and cmdline_candidate(one) is None]
    with open_running_knobs(desk, lab, host) as knobs, knobs.writing() as writer:
        writer.write(settings, lambda _done: None)

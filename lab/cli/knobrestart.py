# SPDX-License-Identifier: GPL-2.0-only
"""`lab knob set` of a knob on the kernel's command line: the guest is started anew."""

from __future__ import annotations

from collections.abc import Sequence

from lab.cli.desk import Desk
from lab.cli.running import RunningLab, open_running_host, open_running_knobs
from lab.errors import KnobError
from lab.plan.cmdline import cmdline_candidate
from lab.plan.labplan import KnobSetting
from lab.run.kept import kept_parameter, standing_settings, start_kept_anew
from lab.run.ports import Host


def set_on_command_line(desk: Desk, lab: RunningLab, setting: KnobSetting) -> str:
    """Start the guest of `setting` anew with it, unless it has it; what has changed, a line for each thing.

    Knobs that were set in it, by the topology or by hand, are set again; where one cannot be, that is told. Loads
    have ended.
    """
    place = cmdline_candidate(setting)
    assert place is not None
    node = setting.node
    old = kept_parameter(lab.directory, node, place.path)
    if old == place.raw:
        return f"{node} {setting.knob}: is {old or 'empty'} already"
    standing = standing_settings(lab.directory, node)
    with open_running_host(desk, lab) as host:
        changes = {node: {place.path: place.raw}}
        start_kept_anew(host, lab.plan, lab.directory, lab.record.remote_dir, changes, desk.narrator)
        lost = _set_again(desk, host, lab, standing)
    change = f"{node} {setting.knob}: {old or 'empty'} -> {place.raw or 'empty'}"
    again = [one.knob for one in standing if one.knob not in lost]
    return "\n".join(
        [
            f"{change}; {node} was started anew, which ends the loads in it",
            *(f"{node} {knob}: set again" for knob in again),
            *(f"{node} {knob}: not set any more: {why}" for knob, why in lost.items()),
        ]
    )


def _set_again(desk: Desk, host: Host, lab: RunningLab, settings: Sequence[KnobSetting]) -> dict[str, str]:
    """Why what cannot be set again cannot, by knob."""
    lost = {}
    with open_running_knobs(desk, lab, host) as knobs, knobs.writing() as writer:
        for setting in settings:
            try:
                writer.write([setting], lambda _done: None)
            except KnobError as error:
                lost[setting.knob] = error.message.splitlines()[0]
    return lost

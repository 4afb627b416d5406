# SPDX-License-Identifier: GPL-2.0-only
"""Knobs of a lab that this process runs: written on all machines at the same time, and told as events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from lab.errors import LabError, Lost
from lab.plan.labplan import HOST_SCOPE, KnobSetting
from lab.run.bynode import by_node
from lab.run.knobevents import describe_change, describe_restored, describe_skipped
from lab.run.knobrestore import Restored
from lab.run.knobs import KnobChange, KnobSkipped
from lab.run.lab import Lab
from lab.run.ports import Narrator


def write_settings(lab: Lab, settings: Sequence[KnobSetting]) -> tuple[KnobSetting, ...]:
    """Write settings, all machines at the same time, each one's in order. Returns those that stand now.

    Raises KnobError as KnobWriter.write does, and Lost; what was written until then is told.
    """
    if not settings:
        return ()
    of_node = by_node(settings, lambda one: one.node)
    done: list[KnobChange | KnobSkipped] = []
    before_ns = lab.watch.mark("knobs")
    try:
        with lab.knobs.writing() as writer:
            lab.everywhere(list(of_node), lambda node: writer.write(of_node[node], done.append))
    except Lost:
        raise
    except LabError:
        with suppress(LabError):
            _tell_done(lab, done, before_ns)
        raise
    _tell_done(lab, done, before_ns)
    return tuple(one.setting for one in done if isinstance(one, KnobChange))


def _tell_done(lab: Lab, done: Sequence[KnobChange | KnobSkipped], before_ns: int) -> None:
    after_ns = lab.watch.mark("knobs-written")
    for one in done:
        if isinstance(one, KnobChange):
            lab.journal.add(after_ns, "knob", **describe_change(one, before_ns, after_ns))
        else:
            lab.journal.add(after_ns, "knob-skipped", **describe_skipped(one))


def restore_settings(lab: Lab, machines: Sequence[str], since: int = 0) -> None:
    """Bring back what was written on machines after an entry of the knobs' journal (KnobDriver.mark)."""
    owing = [name for name in machines if lab.knobs.owes(name)]
    if not owing:
        return
    before_ns = lab.watch.mark("knobs")
    with lab.knobs.writing() as writer:
        restored = lab.everywhere(owing, lambda name: writer.restore(name, since))
    after_ns = lab.watch.mark("knobs-restored")
    for one in (one for each in restored for one in each):
        _tell_restored(lab, one, before_ns, after_ns)


def _tell_restored(lab: Lab, restored: Restored, before_ns: int, after_ns: int) -> None:
    lab.journal.add(after_ns, "knob-restored", **describe_restored(restored, before_ns, after_ns))


@contextmanager
def host_knobs_restored(lab: Lab, narrator: Narrator) -> Iterator[None]:
    """Whatever happens inside, the host's knobs are brought back at its end, while a recording can be told.

    The guests' end with them. Where that fails, ending the lab tries again.
    """
    try:
        yield
    except BaseException:
        with lab.uninterrupted(), suppress(LabError):
            restore_settings(lab, [HOST_SCOPE])
        raise
    with lab.uninterrupted():
        try:
            restore_settings(lab, [HOST_SCOPE])
        except Lost:
            raise
        except LabError as error:
            narrator.say(error.message)
